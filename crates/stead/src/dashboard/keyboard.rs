//! What a terminal sends, as keys.
//!
//! crossterm's own reader is not used: it reads on where it should return to a loop that waits for other things
//! too, and does not stop at the end of a terminal that hung up. Its types for keys are.

use super::model::Event;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest sequence and largest paste that are waited for, in bytes.
const MAX_SEQUENCE: usize = 64;
const MAX_PASTE: usize = 64 * 1024;

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Bytes that have come, up to the first that wait for more.
#[derive(Debug, Default)]
pub struct Keyboard {
    bytes: Vec<u8>,
}

/// What stands at the beginning of some bytes.
enum Found {
    /// A key, this many bytes long.
    Key(KeyEvent, usize),
    /// Pasted text, with its brackets this many bytes long.
    Paste(String, usize),
    /// Nothing of interest, this many bytes long.
    Nothing(usize),
    /// The beginning of something.
    Part,
}

impl Keyboard {
    /// Takes bytes as they came; what they mean comes back.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            match find(&self.bytes[at..]) {
                Found::Key(key, len) => {
                    events.push(Event::Key(key));
                    at += len;
                }
                Found::Paste(text, len) => {
                    events.push(Event::Paste(text));
                    at += len;
                }
                Found::Nothing(len) => at += len,
                Found::Part => break,
            }
        }
        self.bytes.drain(..at);
        events
    }

    /// Whether bytes wait for more: an escape that may be a key by itself.
    pub fn waits(&self) -> bool {
        !self.bytes.is_empty() && !self.bytes.starts_with(PASTE_BEGIN)
    }

    /// No more have come in good time: an escape was the key of that name, anything else is given up.
    pub fn give_up(&mut self) -> Option<Event> {
        let escape = self.bytes == b"\x1b";
        self.bytes.clear();
        escape.then(|| Event::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)))
    }
}

fn find(bytes: &[u8]) -> Found {
    match bytes {
        [0x1b, b'[', ..] => csi(bytes),
        [0x1b] | [0x1b, b'O'] => Found::Part,
        [0x1b, b'O', last, ..] => key(letter(*last), KeyModifiers::NONE, 3),
        [0x1b, 0x1b, ..] => key(Some(KeyCode::Esc), KeyModifiers::NONE, 1),
        [0x1b, rest @ ..] => match find(rest) {
            Found::Key(mut key, len) => {
                key.modifiers |= KeyModifiers::ALT;
                Found::Key(key, len + 1)
            }
            Found::Nothing(len) | Found::Paste(_, len) => Found::Nothing(len + 1),
            Found::Part => Found::Part,
        },
        [b'\r' | b'\n', ..] => key(Some(KeyCode::Enter), KeyModifiers::NONE, 1),
        [b'\t', ..] => key(Some(KeyCode::Tab), KeyModifiers::NONE, 1),
        [0x7f | 0x08, ..] => key(Some(KeyCode::Backspace), KeyModifiers::NONE, 1),
        [control @ 1..=26, ..] => {
            key(Some(KeyCode::Char(char::from(control - 1 + b'a'))), KeyModifiers::CONTROL, 1)
        }
        [control @ 0..32, ..] => {
            key(Some(KeyCode::Char(char::from(control + b'@'))), KeyModifiers::CONTROL, 1)
        }
        _ => character(bytes),
    }
}

fn key(code: Option<KeyCode>, modifiers: KeyModifiers, len: usize) -> Found {
    code.map_or(Found::Nothing(len), |code| Found::Key(KeyEvent::new(code, modifiers), len))
}

/// One character in UTF-8.
fn character(bytes: &[u8]) -> Found {
    let len = match bytes[0] {
        0xf0..=0xf4 => 4,
        0xe0..=0xef => 3,
        0xc2..=0xdf => 2,
        _ => 1,
    };
    let whole = &bytes[..len.min(bytes.len())];
    match std::str::from_utf8(whole) {
        Ok(text) => key(text.chars().next().map(KeyCode::Char), KeyModifiers::NONE, whole.len()),
        Err(e) if e.error_len().is_none() => Found::Part,
        Err(_) => Found::Nothing(1),
    }
}

/// A sequence that begins with `ESC [`.
fn csi(bytes: &[u8]) -> Found {
    if bytes.starts_with(PASTE_BEGIN) {
        let text = &bytes[PASTE_BEGIN.len()..];
        let end = text.windows(PASTE_END.len()).position(|w| w == PASTE_END);
        return match end {
            Some(end) => {
                let len = PASTE_BEGIN.len() + end + PASTE_END.len();
                Found::Paste(String::from_utf8_lossy(&text[..end]).into_owned(), len)
            }
            None if text.len() > MAX_PASTE => Found::Nothing(bytes.len()),
            None => Found::Part,
        };
    }
    let Some(end) = bytes[2..].iter().position(|b| !(0x20..0x40).contains(b)) else {
        return if bytes.len() > MAX_SEQUENCE { Found::Nothing(bytes.len()) } else { Found::Part };
    };
    let (parameters, last, len) = (&bytes[2..2 + end], bytes[2 + end], end + 3);
    // Linux names its function keys with a second bracket; old mice send three bytes more.
    let more = match last {
        b'[' if end == 0 => 1,
        b'M' if end == 0 => 3,
        0x40..=0x7e => 0,
        _ => return Found::Nothing(2 + end),
    };
    if more > 0 {
        return if bytes.len() < len + more { Found::Part } else { Found::Nothing(len + more) };
    }
    let text = std::str::from_utf8(parameters).unwrap_or("");
    let mut numbers = text.split([';', ':']).map(|n| n.parse::<u8>().unwrap_or(0));
    let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let code = if last == b'~' { number(first) } else { letter(last) };
    // A mouse or a terminal's answer has other parameters than a key.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b";:".contains(&b));
    key(code.filter(|_| plain), modifiers(second), len)
}

fn letter(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'Z' => KeyCode::BackTab,
        b'M' => KeyCode::Enter,
        b'P' => KeyCode::F(1),
        _ => return None,
    })
}

fn number(first: u8) -> Option<KeyCode> {
    Some(match first {
        1 | 7 => KeyCode::Home,
        4 | 8 => KeyCode::End,
        3 => KeyCode::Delete,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11 => KeyCode::F(1),
        _ => return None,
    })
}

/// Modifiers as xterm counts them: one more than the sum of shift 1, alt 2, control 4.
fn modifiers(number: u8) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let one = |bit: u8, modifier| if bits & bit == 0 { KeyModifiers::NONE } else { modifier };
    one(1, KeyModifiers::SHIFT) | one(2, KeyModifiers::ALT) | one(4, KeyModifiers::CONTROL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<(KeyCode, KeyModifiers)> {
        let mut keyboard = Keyboard::default();
        let events = keyboard.take(bytes).into_iter().chain(keyboard.give_up());
        let key = |event| match event {
            Event::Key(key) => (key.code, key.modifiers),
            other => panic!("{other:?}"),
        };
        events.map(key).collect()
    }

    #[test]
    fn keys_are_told_apart() {
        let (none, control, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        for (bytes, expected) in [
            (&b"aZ"[..], vec![(KeyCode::Char('a'), none), (KeyCode::Char('Z'), none)]),
            ("é日😀".as_bytes(), "é日😀".chars().map(|c| (KeyCode::Char(c), none)).collect()),
            (
                b"\r\x7f\t\x1b[Z",
                vec![
                    (KeyCode::Enter, none),
                    (KeyCode::Backspace, none),
                    (KeyCode::Tab, none),
                    (KeyCode::BackTab, none),
                ],
            ),
            (b"\x03\x1a", vec![(KeyCode::Char('c'), control), (KeyCode::Char('z'), control)]),
            (
                b"\x1b[A\x1bOB\x1b[1;5C\x1b[5~\x1b[3;3~",
                vec![
                    (KeyCode::Up, none),
                    (KeyCode::Down, none),
                    (KeyCode::Right, control),
                    (KeyCode::PageUp, none),
                    (KeyCode::Delete, alt),
                ],
            ),
            (b"\x1bx", vec![(KeyCode::Char('x'), alt)]),
            (b"\x1b\x1b[B", vec![(KeyCode::Esc, none), (KeyCode::Down, none)]),
            (b"\x1b", vec![(KeyCode::Esc, none)]),
            (b"\xff\xc3", vec![]),
            // Mice, focus, answers and other keys mean nothing here, and do not type letters.
            (
                b"\x1b[<0;3;4M\x1b[M !!\x1b[I\x1b[?62;4c\x1b[24~\x1b[[Aq",
                vec![(KeyCode::Char('q'), none)],
            ),
        ] {
            assert_eq!(keys(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn pasted_text_is_no_keys() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.take(b"\x1b[200~xy\r"), []);
        assert!(!keyboard.waits(), "a paste takes the time it takes");
        let rest = keyboard.take(b"q\x1b[201~z");
        assert_eq!(rest[0], Event::Paste("xy\rq".into()));
        assert_eq!(rest.len(), 2);
    }

    proptest! {
        #[test]
        fn a_split_makes_no_difference(
            text in "(\x1b\\[A|\x1b\\[1;5C|é|a|\x1b\\[200~b\x1b\\[201~|\x1bOB|\r){0,12}",
            step in 1usize..8,
        ) {
            let whole = Keyboard::default().take(text.as_bytes());
            let mut keyboard = Keyboard::default();
            let split: Vec<Event> =
                text.as_bytes().chunks(step).flat_map(|chunk| keyboard.take(chunk)).collect();
            prop_assert_eq!(split, whole);
        }

        #[test]
        fn garbage_is_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut keyboard = Keyboard::default();
            keyboard.take(&bytes);
            keyboard.give_up();
            prop_assert!(!keyboard.waits());
        }
    }
}
