//! The keys that are for the program that attaches, not for the session: a prefix and a letter.

use std::str::FromStr;

/// The prefix key, as the control character that it sends. `ctrl-\` unless set otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetachKey(u8);

/// A key name that is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is no prefix key: use ctrl- and a letter or one of \\ ] ^ _ @")]
pub struct KeyError(String);

impl Default for DetachKey {
    fn default() -> Self {
        DetachKey(0x1c)
    }
}

impl FromStr for DetachKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError(text.to_owned());
        let key =
            text.strip_prefix("ctrl-").or_else(|| text.strip_prefix('^')).ok_or_else(wrong)?;
        let [key] = key.as_bytes() else { return Err(wrong()) };
        match key.to_ascii_uppercase() {
            upper @ (b'@'..=b'Z' | b'\\' | b']' | b'^' | b'_') => Ok(DetachKey(upper & 0x1f)),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for DetachKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ctrl-{}", char::from(self.letter()))
    }
}

impl DetachKey {
    /// The key without control.
    fn letter(self) -> u8 {
        (self.0 | 0x40).to_ascii_lowercase()
    }
}

/// What was pressed.
#[derive(Debug, PartialEq, Eq)]
pub enum Press {
    /// Something for the session.
    Input(Vec<u8>),
    /// Leave.
    Detach,
    /// Take the size over.
    TakeSize,
}

/// Tells keys for this program from those for the session.
pub struct Keys {
    prefix: DetachKey,
    /// The prefix as it came, while the letter after it is awaited.
    held: Option<Vec<u8>>,
}

impl Keys {
    /// With this prefix.
    pub fn new(prefix: DetachKey) -> Self {
        Keys { prefix, held: None }
    }

    /// Splits what was typed.
    pub fn presses(&mut self, mut typed: &[u8]) -> Vec<Press> {
        let mut presses = Vec::new();
        let mut input = Vec::new();
        while !typed.is_empty() {
            let Some(prefix) = self.held.take() else {
                let len = self.prefix_len(typed);
                if len > 0 {
                    self.held = Some(typed[..len].to_vec());
                    typed = &typed[len..];
                } else {
                    input.push(typed[0]);
                    typed = &typed[1..];
                }
                continue;
            };
            let (letter, len) = letter(typed);
            let press = match letter.to_ascii_lowercase() {
                b'd' => Press::Detach,
                b't' => Press::TakeSize,
                _ if self.prefix_len(typed) > 0 => {
                    // Twice the prefix: once for the session.
                    let len = self.prefix_len(typed);
                    input.extend_from_slice(&typed[..len]);
                    typed = &typed[len..];
                    continue;
                }
                _ => {
                    input.extend_from_slice(&prefix);
                    continue;
                }
            };
            typed = &typed[len..];
            if !input.is_empty() {
                presses.push(Press::Input(std::mem::take(&mut input)));
            }
            presses.push(press);
        }
        if !input.is_empty() {
            presses.push(Press::Input(input));
        }
        presses
    }

    /// Length of the prefix key at the start of `typed`, 0 if there is another. Terminals that report keys in the
    /// kitty manner send it as `CSI code;5u`.
    fn prefix_len(&self, typed: &[u8]) -> usize {
        if typed[0] == self.prefix.0 {
            return 1;
        }
        match kitty_key(typed) {
            Some((code, 5, len)) if code == u32::from(self.prefix.letter()) => len,
            _ => 0,
        }
    }
}

/// The letter at the start of `typed` and how many bytes it took.
fn letter(typed: &[u8]) -> (u8, usize) {
    match kitty_key(typed) {
        Some((code, 1 | 2, len)) => (u8::try_from(code).unwrap_or(0), len),
        _ => (typed[0], 1),
    }
}

/// Reads `CSI code[:...][;modifiers[:event]]u`: code, modifiers and length. A release is not a key.
fn kitty_key(typed: &[u8]) -> Option<(u32, u32, usize)> {
    let rest = typed.strip_prefix(b"\x1b[")?;
    let end = rest.iter().take(24).position(|b| !(b.is_ascii_digit() || b";:".contains(b)))?;
    if rest[end] != b'u' {
        return None;
    }
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    let mut fields = text.split(';');
    let code = fields.next()?.split(':').next()?.parse().ok()?;
    let mut modifiers = fields.next().unwrap_or("1").split(':');
    // Caps lock (64) and num lock (128) do not make another key.
    let modifier = (modifiers.next()?.parse::<u32>().ok()?.checked_sub(1)? & 0x3f) + 1;
    if modifiers.next() == Some("3") {
        return None;
    }
    Some((code, modifier, 2 + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(parts: &[&[u8]]) -> Vec<Press> {
        let mut keys = Keys::new(DetachKey::default());
        parts.iter().flat_map(|part| keys.presses(part)).collect()
    }

    #[test]
    fn the_prefix_and_d_leave() {
        assert_eq!(
            typed(&[b"ab\x1cdc"]),
            [Press::Input(b"ab".to_vec()), Press::Detach, Press::Input(b"c".to_vec())]
        );
        assert_eq!(typed(&[b"\x1c", b"d"]), [Press::Detach]);
        assert_eq!(typed(&[b"\x1b[92;5u\x1b[100u"]), [Press::Detach]);
        assert_eq!(typed(&[b"\x1b[92;69u", b"\x1b[100;1:1u"]), [Press::Detach]);
        assert_eq!(typed(&[b"\x1ct"]), [Press::TakeSize]);
    }

    #[test]
    fn everything_else_is_for_the_session() {
        assert_eq!(typed(&[b"\x1c\x1c"]), [Press::Input(b"\x1c".to_vec())]);
        assert_eq!(typed(&[b"\x1c", b"x"]), [Press::Input(b"\x1cx".to_vec())]);
        assert_eq!(typed(&[b"\x1b[92;5:3u"]), [Press::Input(b"\x1b[92;5:3u".to_vec())]);
        assert_eq!(typed(&[b"d\x1b[A\x1b"]), [Press::Input(b"d\x1b[A\x1b".to_vec())]);
    }

    #[test]
    fn the_prefix_is_settable() {
        let key: DetachKey = "ctrl-a".parse().unwrap();
        assert_eq!(Keys::new(key).presses(b"\x01d"), [Press::Detach]);
        assert_eq!(key.to_string(), "ctrl-a");
        assert_eq!("ctrl-\\".parse(), Ok(DetachKey::default()));
        assert!("a".parse::<DetachKey>().is_err());
        assert!("ctrl-1".parse::<DetachKey>().is_err());
    }
}
