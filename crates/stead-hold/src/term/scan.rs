//! Where sequences begin and end in a stream of terminal output.
//!
//! The scanner knows the shape of sequences, not their meaning, and follows the same state machine as the
//! parser of the model. Plain text costs a search for the next escape character.

use memchr::memchr;

/// What the byte after the last one scanned would belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing: the stream can be cut here.
    #[default]
    Ground,
    /// A character of which this many bytes are missing.
    Utf8(u8),
    /// After an escape character.
    Escape,
    /// An escape sequence with intermediate bytes.
    EscapeIntermediate,
    /// A control sequence.
    Csi,
    /// An operating system command, which also BEL ends.
    Osc,
    /// A device control string, before its final byte.
    DcsEntry,
    /// The body of a device control string.
    Dcs,
    /// A start-of-string, privacy or application string.
    Text,
}

impl State {
    /// Whether this is inside a string that can be of any length.
    pub fn in_string(self) -> bool {
        matches!(self, State::Osc | State::Dcs | State::DcsEntry | State::Text)
    }
}

const ESC: u8 = 0x1b;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const BEL: u8 = 0x07;

/// Scans a stream in chunks of any size.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    state: State,
}

impl Scanner {
    /// What the next byte belongs to.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes the scanner back to the ground state.
    pub fn reset(&mut self) {
        self.state = State::Ground;
    }

    /// Takes the scanner to after an escape character.
    pub fn escape(&mut self) {
        self.state = State::Escape;
    }

    /// Scans until the sequence that is under way ends. Returns the number of bytes that still belong to
    /// it, or `None` if it goes on beyond `bytes`. In the ground state that is 0.
    pub fn finish(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.state != State::Ground {
            if let State::Utf8(missing) = self.state {
                match bytes.get(at) {
                    None => return None,
                    Some(0x80..=0xbf) => {
                        at += 1;
                        self.state =
                            if missing > 1 { State::Utf8(missing - 1) } else { State::Ground };
                    }
                    Some(_) => self.state = State::Ground,
                }
                continue;
            }
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            if self.state.in_string() && self.state != State::DcsEntry {
                let stop = rest.iter().position(|b| self.ends_string(*b))?;
                at += stop;
            }
            if self.state == State::Escape && rest[0] == b'[' {
                // By far the most common sequence, so take all its parameters at once.
                let parameters = rest[1..].iter().take_while(|b| matches!(b, 0x20..=0x3f)).count();
                self.state = State::Csi;
                at += 1 + parameters;
                continue;
            }
            self.step(bytes[at]);
            at += 1;
        }
        Some(at)
    }

    /// Scans all of `bytes` from the ground state and returns how many of them are complete: the rest is the
    /// beginning of a sequence or character.
    pub fn complete(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let Some(next) = memchr(ESC, &bytes[at..]) else {
                let partial = partial_utf8(&bytes[at..]);
                if let Some((have, missing)) = partial {
                    self.state = State::Utf8(missing);
                    return bytes.len() - have;
                }
                return bytes.len();
            };
            let start = at + next;
            self.state = State::Escape;
            match self.finish(&bytes[start + 1..]) {
                Some(length) => at = start + 1 + length,
                None => return start,
            }
        }
    }

    fn ends_string(&self, byte: u8) -> bool {
        matches!(byte, ESC | CAN | SUB)
            || (self.state == State::Osc && byte == BEL)
            || (self.state == State::Dcs && byte == 0x9c)
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (_, ESC) => State::Escape,
            (_, CAN | SUB) => State::Ground,
            (State::Escape, b'[') => State::Csi,
            (State::Escape, b']') => State::Osc,
            (State::Escape, b'P') => State::DcsEntry,
            (State::Escape, b'X' | b'^' | b'_') => State::Text,
            (State::Escape | State::EscapeIntermediate, 0x20..=0x2f) => State::EscapeIntermediate,
            (State::Escape | State::EscapeIntermediate, 0x30..=0x7e)
            | (State::Csi, 0x40..=0x7e)
            | (State::Osc, BEL)
            | (State::Dcs, 0x9c) => State::Ground,
            (State::DcsEntry, 0x40..=0x7e) => State::Dcs,
            (state, _) => state,
        };
    }
}

/// If `text` ends within a character: how many of its bytes are there, and how many are missing.
fn partial_utf8(text: &[u8]) -> Option<(usize, u8)> {
    for have in 1..=text.len().min(3) {
        let byte = text[text.len() - have];
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return None,
        };
        // A second byte that cannot follow this first one has already ended the character.
        let second = (have > 1).then(|| text[text.len() - have + 1]);
        let follows = match (byte, second) {
            (0xe0, Some(b)) => b >= 0xa0,
            (0xed, Some(b)) => b < 0xa0,
            (0xf0, Some(b)) => b >= 0x90,
            (0xf4, Some(b)) => b < 0x90,
            _ => true,
        };
        return (have < length && follows).then(|| (have, (length - have) as u8));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(bytes: &[u8]) -> usize {
        Scanner::default().complete(bytes)
    }

    #[test]
    fn the_tail_is_the_sequence_under_way() {
        for (bytes, tail) in [
            (&b"plain"[..], 0),
            (b"a\x1b", 1),
            (b"a\x1b[31", 4),
            (b"a\x1b[31m", 0),
            (b"a\x1b(", 2),
            (b"a\x1b(0", 0),
            (b"\x1b]0;title", 9),
            (b"\x1b]0;title\x07", 0),
            (b"\x1b]0;title\x1b", 10),
            (b"\x1b]0;title\x1b\\b", 0),
            (b"\x1bPq#1\x07", 6),
            (b"\x1bP1$q\x1b\\", 0),
            (b"\x1b_Ga=q\x07\x1b\\", 0),
            (b"\x1b[3\x18b", 0),
            ("h\u{e9}".as_bytes(), 0),
            (b"h\xc3", 1),
            (b"\xf0\x9f\x98", 3),
            (b"\xe0\x80", 0),
            (b"\x80\x80", 0),
            (b"\xe2\x82\x1b[m", 0),
        ] {
            assert_eq!(
                bytes.len() - complete(bytes),
                tail,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_sequence_ends_in_a_later_chunk() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.complete(b"x\x1b]8;;http"), 1);
        assert_eq!(scanner.finish(b"://a"), None);
        assert_eq!(scanner.finish(b"\x1b"), None);
        assert_eq!(scanner.finish(b"\\y"), Some(1));
        assert_eq!(scanner.state(), State::Ground);
        assert_eq!(scanner.complete(b"\xe2"), 0);
        assert_eq!(scanner.finish(b"A"), Some(0));
    }
}
