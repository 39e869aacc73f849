//! The searchable text in raw output.

use super::scan::{Scanner, State};
use memchr::memchr;

/// Strips escape sequences and control characters from a stream of output.
///
/// What is left is text as it was printed, in order, not as it stood on a screen: nothing is overwritten. Line feeds
/// and tabs stay. What moves the cursor to another row, or back to the row's beginning, begins a new line before
/// the next text; what moves it along the row leaves spaces, at least one. A backspace takes the character before
/// it away, if that stands in the same chunk of input. Invalid UTF-8 stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    scanner: Scanner,
    control: Control,
    /// The cursor has left the line since the last text.
    new_line: bool,
    /// How far it has gone along the row since.
    spaces: usize,
    /// The line that is being written has text in it.
    begun: bool,
}

/// What is known of an escape sequence that may be a control sequence.
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    part: Part,
    /// The first number in it.
    number: usize,
    last: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Escape,
    Number,
    Rest,
    /// It is something else.
    Other,
}

impl Control {
    fn see(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.last = *byte;
            self.part = match (self.part, byte) {
                (_, 0x1b) => {
                    self.number = 0;
                    Part::Escape
                }
                (Part::Escape, b'[') => Part::Number,
                (Part::Number, b'0'..=b'9') => {
                    let digit = usize::from(byte - b'0');
                    self.number = self.number.saturating_mul(10).saturating_add(digit);
                    Part::Number
                }
                (Part::Number | Part::Rest, 0x20..=0x3f) => Part::Rest,
                (part @ (Part::Number | Part::Rest), _) => part,
                (Part::Escape | Part::Other, _) => Part::Other,
            };
        }
    }
}

/// Most spaces that a movement leaves.
const MOST_SPACES: usize = 1000;

impl Plain {
    /// Strips a chunk and appends what is left to `out`.
    pub fn strip(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        loop {
            if self.scanner.state() != State::Ground {
                let end = self.scanner.finish(input);
                self.control.see(&input[..end.unwrap_or(input.len())]);
                let Some(end) = end else { return };
                self.moved();
                input = &input[end..];
            }
            let escape = memchr(0x1b, input);
            let (text, rest) = input.split_at(escape.unwrap_or(input.len()));
            self.text(text, start, out);
            if rest.is_empty() {
                return;
            }
            self.scanner.escape();
            self.control = Control::default();
            input = &rest[1..];
        }
    }

    /// An escape sequence has ended: where is the cursor now?
    fn moved(&mut self) {
        let Control { part: Part::Number | Part::Rest, number, last } = self.control else {
            return;
        };
        match last {
            b'A' | b'B' | b'd' => self.new_line = true,
            b'E' | b'F' | b'H' | b'f' => (self.new_line, self.spaces) = (true, 0),
            b'C' => self.spaces = (self.spaces + number.max(1)).min(MOST_SPACES),
            b'G' | b'`' if self.new_line => self.spaces = number.saturating_sub(1).min(MOST_SPACES),
            b'G' | b'`' => self.spaces = self.spaces.max(1),
            _ => {}
        }
    }

    fn text(&mut self, mut text: &[u8], start: usize, out: &mut Vec<u8>) {
        while let Some(at) = find_control(text) {
            self.put(&text[..at], out);
            match text[at] {
                b'\r' => (self.new_line, self.spaces) = (true, 0),
                0x08 => rub_out(start, out),
                _ => {}
            }
            text = &text[at + 1..];
        }
        self.put(text, out);
    }

    fn put(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let (Some(first), Some(last)) = (text.first(), text.last()) else { return };
        if *first != b'\n' {
            if self.new_line && self.begun {
                out.push(b'\n');
            }
            out.resize(out.len() + self.spaces, b' ');
        }
        (self.new_line, self.spaces) = (false, 0);
        out.extend_from_slice(text);
        self.begun = *last != b'\n';
    }
}

/// The first control character other than tab and line feed.
fn find_control(text: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_control = |b: u8| (b < 0x20 && b != b'\n' && b != b'\t') || b == 0x7f;
    let mut at = 0;
    // Without a way out of the inner loop the compiler looks at a whole block at once.
    for block in text.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, b| found | is_control(*b)) {
            break;
        }
        at += BLOCK;
    }
    text[at..].iter().position(|b| is_control(*b)).map(|found| at + found)
}

fn rub_out(start: usize, out: &mut Vec<u8>) {
    let last = out[start..].iter().rposition(|b| b & 0xc0 != 0x80).map(|at| start + at);
    if let Some(at) = last.filter(|at| out[*at] != b'\n') {
        out.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strip(chunks: &[&[u8]]) -> String {
        let (mut plain, mut out) = (Plain::default(), Vec::new());
        for chunk in chunks {
            plain.strip(chunk, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_what_is_left() {
        for (raw, text) in [
            ("one\r\ntwo\r\n", "one\ntwo\n"),
            ("\x1b[1;31merror\x1b[m: \x1b]8;;http://x\x1b\\here\x1b]8;;\x07", "error: here"),
            ("10%\r20%\r\r\n", "10%\n20%\n"),
            ("abx\x08c\x07\té\x08", "abc\t"),
            ("\x08a", "a"),
            ("\x1bP$q\x1b[m\x1b\\b\x1b(0q\x1b(B", "bq"),
            ("a\u{7f}b", "ab"),
            // As agents redraw: only what differs from the screen before.
            ("line 1 of\x1b[13G40\r\x1b[2C\x1b[1Bline\x1b[8G2", "line 1 of 40\n  line 2"),
            ("a\x1b[2;5Hb\x1b[3Cc\x1b[1Ad\x1b[?25hx\x1b[A\x1b[3G\n", "a\nb   c\ndx\n"),
            ("\x1b[H\x1b[2Jtop\r\n\r\nnext", "top\n\nnext"),
        ] {
            assert_eq!(strip(&[raw.as_bytes()]), text, "{raw:?}");
        }
        assert_eq!(strip(&[b"a\r", b"\nb\r", b"c\x1b", b"[3", b"1md"]), "a\nb\ncd");
    }

    proptest! {
        #[test]
        fn where_the_output_is_cut_does_not_matter(raw in "([a-c\n\t é]|\r|\x1b\\[1m|\x1b\\[2[ABCGHm]|\x1b\\]0;x\x07){0,40}", cut in 0..80_usize) {
            let cut = cut.min(raw.len());
            prop_assert_eq!(strip(&[raw.as_bytes()]), strip2(raw.as_bytes(), cut));
        }
    }

    fn strip2(raw: &[u8], cut: usize) -> String {
        strip(&[&raw[..cut], &raw[cut..]])
    }
}
