//! Turning output into the text that a person saw, well enough to search in it.
//!
//! Escape sequences go. What moves the cursor to another row ends the line, what moves it along the row is a
//! space, a backspace takes a character back. It is no terminal: what is overwritten later stays.

/// Text, and where each of its bytes was in the output.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub bytes: Vec<u8>,
    /// From this place in the text on, bytes come from this offset on.
    runs: Vec<(usize, u64)>,
}

impl Text {
    /// Offset in the output of the byte at `place`.
    pub(super) fn offset(&self, place: usize) -> u64 {
        let after = self.runs.partition_point(|(at, _)| *at <= place);
        match after.checked_sub(1).map(|i| self.runs[i]) {
            Some((at, offset)) => offset + (place - at) as u64,
            None => 0,
        }
    }

    /// Adds output as it is.
    pub(super) fn push(&mut self, bytes: &[u8], offset: u64) {
        if !bytes.is_empty() {
            self.runs.push((self.bytes.len(), offset));
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Removes the first `len` bytes.
    pub(super) fn drop_front(&mut self, len: usize) {
        if len == self.bytes.len() {
            self.bytes.clear();
            self.runs.clear();
            return;
        }
        let offset = self.offset(len);
        self.bytes.drain(..len);
        self.runs.retain_mut(|(at, _)| {
            let keep = *at > len;
            *at = at.saturating_sub(len);
            keep
        });
        self.runs.insert(0, (0, offset));
    }

    fn pop(&mut self) {
        while let Some(last) = self.bytes.pop_if(|b| *b != b'\n') {
            if last & 0xc0 != 0x80 {
                break;
            }
        }
        let len = self.bytes.len();
        while self.runs.pop_if(|(at, _)| *at >= len).is_some() {}
    }
}

/// Takes escape sequences out of output that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Stripper {
    state: State,
    /// First number of the control sequence.
    number: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: one more follows.
    Charset,
    /// In a control sequence, first number.
    Control,
    /// In a control sequence, after that.
    ControlRest,
    /// In a string: a title, a picture.
    String,
    /// In a string, after ESC.
    StringEscape,
}

const ESC: u8 = 0x1b;
/// Most spaces that one cursor movement stands for.
const MAX_SPACES: usize = 256;

impl Stripper {
    /// Whether no escape sequence is open.
    pub(super) fn is_ground(&self) -> bool {
        self.state == State::Ground
    }

    /// Adds the text of `raw`, output that begins at `offset`.
    pub(super) fn strip(&mut self, raw: &[u8], offset: u64, text: &mut Text) {
        let mut at = 0;
        while at < raw.len() {
            if self.state == State::Ground {
                let len = find_control(&raw[at..]);
                text.push(&raw[at..at + len], offset + at as u64);
                at += len;
            } else if self.state == State::String {
                at += memchr::memchr3(ESC, 0x07, 0x18, &raw[at..]).unwrap_or(raw.len() - at);
            }
            let Some(byte) = raw.get(at) else { break };
            self.byte(*byte, offset + at as u64, text);
            at += 1;
        }
    }

    fn byte(&mut self, byte: u8, offset: u64, text: &mut Text) {
        self.state = match (self.state, byte) {
            (State::Escape | State::StringEscape, b'[') => {
                self.number = 0;
                State::Control
            }
            (State::Escape | State::StringEscape, b']' | b'P' | b'X' | b'^' | b'_') => {
                State::String
            }
            (State::Escape | State::StringEscape, 0x20..=0x2f) => State::Charset,
            (State::Escape | State::StringEscape, b'D' | b'E' | b'M') => {
                text.push(b"\n", offset);
                State::Ground
            }
            (State::String, ESC) => State::StringEscape,
            (State::String, 0x07 | 0x18) | (State::StringEscape, b'\\') => State::Ground,
            (State::String, _) => State::String,
            (_, ESC) => State::Escape,
            (State::Ground, 0x08) => {
                text.pop();
                State::Ground
            }
            (state, b'\n') if state != State::Ground => {
                text.push(b"\n", offset);
                state
            }
            (State::Control | State::ControlRest, 0x18) => State::Ground,
            (State::Control, b'0'..=b'9') => {
                self.number =
                    self.number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                State::Control
            }
            (State::Control | State::ControlRest, 0x40..=0x7e) => {
                self.moved(byte, offset, text);
                State::Ground
            }
            (State::Control | State::ControlRest, 0x20..=0x3f) => State::ControlRest,
            (state @ (State::Control | State::ControlRest), _) => state,
            _ => State::Ground,
        };
    }

    /// A control sequence ends with `kind`: what does it do to the text?
    fn moved(&self, kind: u8, offset: u64, text: &mut Text) {
        match kind {
            b'A' | b'B' | b'E' | b'F' | b'H' | b'd' | b'f' => text.push(b"\n", offset),
            b'C' => {
                for _ in 0..self.number.clamp(1, MAX_SPACES) {
                    text.push(b" ", offset);
                }
            }
            b'G' | b'`' => text.push(b" ", offset),
            _ => {}
        }
    }
}

fn is_text(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\n' || byte == b'\t'
}

/// How many bytes at the beginning are text. A carriage return before a line feed counts as text.
fn find_control(bytes: &[u8]) -> usize {
    const STRIDE: usize = 32;
    let mut at = 0;
    loop {
        while let Some(chunk) = bytes.get(at..at + STRIDE) {
            if !chunk.iter().fold(true, |all, b| all & is_text(*b)) {
                break;
            }
            at += STRIDE;
        }
        match bytes[at..].iter().position(|b| !is_text(*b)) {
            None => return bytes.len(),
            Some(more) => at += more,
        }
        if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
            at += 2;
        } else {
            return at;
        }
    }
}

/// Whether output is text already, but for carriage returns before line feeds.
#[expect(clippy::needless_bitwise_bool, reason = "without branches this runs many bytes at a time")]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let text = bytes.iter().fold(true, |all, b| all & (is_text(*b) | (*b == b'\r')));
    text && bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .fold(true, |all, (a, b)| all & ((*a != b'\r') | (*b == b'\n')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strip(raw: &[u8]) -> String {
        let (mut stripper, mut text) = (Stripper::default(), Text::default());
        stripper.strip(raw, 0, &mut text);
        String::from_utf8_lossy(&text.bytes).into_owned()
    }

    #[test]
    fn what_a_person_saw() {
        for (raw, seen) in [
            ("plain\r\ntext\tx", "plain\r\ntext\tx"),
            ("\x1b[31;1mred\x1b[0m rose", "red rose"),
            ("10%\r20%", "10%20%"),
            ("\x1b]0;a title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
            ("\x1b(Babc\x1b=\x1b>", "abc"),
            ("a\x1b[2;5Hb\x1b[3Cc\x1b[5Gd", "a\nb   c d"),
            ("\x1bPq#0;2;\n0\x1b\\after", "after"),
            ("sl\x08\x08ls", "ls"),
            ("é\x08e", "e"),
            ("\x1b[?2004hprompt$ \x1b[K", "prompt$ "),
        ] {
            assert_eq!(strip(raw.as_bytes()), seen, "{raw:?}");
        }
    }

    #[test]
    fn plain_is_what_would_not_change() {
        assert!(is_plain(b"a\tb\r\nc\n"));
        for raw in [&b"a\x1b[m"[..], b"a\rb", b"a\x07", b"\r\r\n", b"a\x7f"] {
            assert!(!is_plain(raw), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            raw in proptest::collection::vec(prop_oneof![
                Just(ESC), Just(b'['), Just(b']'), Just(b'\n'), Just(0x08), Just(b'C'), any::<u8>(),
            ], 0..200),
            step in 1usize..40,
        ) {
            // A carriage return at the end of a piece is not known to stand before a line feed.
            let raw: Vec<u8> = raw.into_iter().filter(|b| *b != b'\r').collect();
            let whole = strip(&raw);
            let (mut stripper, mut text) = (Stripper::default(), Text::default());
            for (i, piece) in raw.chunks(step).enumerate() {
                stripper.strip(piece, 1000 + (i * step) as u64, &mut text);
            }
            prop_assert_eq!(String::from_utf8_lossy(&text.bytes), whole);
            for (place, byte) in text.bytes.iter().enumerate() {
                let from = raw[(text.offset(place) - 1000) as usize];
                prop_assert!(from == *byte || b"\n ".contains(byte));
            }
        }
    }
}
