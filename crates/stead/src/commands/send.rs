//! `stead send`.

use super::screen::PATIENCE;
use crate::cli::Send;
use crate::failure::{Failure, Outcome};
use crate::resolve;
use crate::steward::Steward;
use serde_json::Value;
use std::io::Read;
use stead_hold::client;
use stead_wire::message::{Ask, Screen};

/// Most bytes sent as one message.
const PIECE: usize = 256 * 1024;

pub fn run(args: &Send) -> Outcome {
    let mut keys = Vec::new();
    for key in &args.key {
        keys.extend(key_bytes(key).ok_or_else(|| {
            Failure::misused(format!("no key \"{key}\"")).help(
                "enter, tab, esc, space, backspace, delete, insert, up, down, left, right, home, end, pageup, pagedown, \
                 f1 to f12, ctrl-X, alt-X, shift-tab",
            )
        })?);
    }
    let mut text = args.text.clone().unwrap_or_default().into_bytes();
    if args.stdin {
        std::io::stdin().lock().read_to_end(&mut text)?;
    }
    let steward = Steward::of_user()?;
    let found = resolve::session(&steward, &args.name)?;
    if found.session.exit.is_some() {
        return Err(Failure::failed(format!(
            "{} has ended: nobody reads what is typed",
            args.name
        ))
        .help(format!("stead restart {} starts it again", args.name)));
    }
    if args.paste && !text.is_empty() {
        let screen: Screen =
            client::ask(&found.socket, Ask::Screen { format: "json".into() }, PATIENCE)?;
        let wanted = screen.cells.as_ref().and_then(|cells| cells.get("bracketed_paste"));
        if wanted == Some(&Value::Bool(true)) {
            text.splice(0..0, *b"\x1b[200~");
            text.extend_from_slice(b"\x1b[201~");
        }
    }
    for bytes in text.chunks(PIECE).chain(std::iter::once(&keys[..])).filter(|b| !b.is_empty()) {
        let ask = Ask::Type { bytes: bytes.to_vec() };
        client::ask::<Value>(&found.socket, ask, PATIENCE)?;
    }
    Ok(0)
}

/// What a key sends.
fn key_bytes(name: &str) -> Option<Vec<u8>> {
    let lower = name.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("ctrl-").or_else(|| lower.strip_prefix("c-")) {
        return match rest.as_bytes() {
            [b @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => {
                Some(vec![b.to_ascii_uppercase() & 0x1f])
            }
            b"space" => Some(vec![0]),
            b"?" => Some(vec![0x7f]),
            _ => None,
        };
    }
    if let Some(rest) = name.get(4..).filter(|_| lower.starts_with("alt-")) {
        let mut bytes = vec![0x1b];
        if rest.chars().count() == 1 {
            bytes.extend_from_slice(rest.as_bytes());
        } else {
            bytes.extend(key_bytes(rest)?);
        }
        return Some(bytes);
    }
    let bytes: &[u8] = match lower.as_str() {
        "enter" | "return" | "cr" => b"\r",
        "tab" => b"\t",
        "shift-tab" | "backtab" => b"\x1b[Z",
        "esc" | "escape" => b"\x1b",
        "space" => b" ",
        "backspace" | "bs" => b"\x7f",
        "delete" | "del" => b"\x1b[3~",
        "insert" => b"\x1b[2~",
        "up" => b"\x1b[A",
        "down" => b"\x1b[B",
        "right" => b"\x1b[C",
        "left" => b"\x1b[D",
        "home" => b"\x1b[H",
        "end" => b"\x1b[F",
        "pageup" | "pgup" => b"\x1b[5~",
        "pagedown" | "pgdn" => b"\x1b[6~",
        "f1" => b"\x1bOP",
        "f2" => b"\x1bOQ",
        "f3" => b"\x1bOR",
        "f4" => b"\x1bOS",
        "f5" => b"\x1b[15~",
        "f6" => b"\x1b[17~",
        "f7" => b"\x1b[18~",
        "f8" => b"\x1b[19~",
        "f9" => b"\x1b[20~",
        "f10" => b"\x1b[21~",
        "f11" => b"\x1b[23~",
        "f12" => b"\x1b[24~",
        one if one.chars().count() == 1 => return Some(name.as_bytes().to_vec()),
        _ => return None,
    };
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::key_bytes;

    #[test]
    fn keys() {
        assert_eq!(key_bytes("enter").unwrap(), b"\r");
        assert_eq!(key_bytes("Ctrl-C").unwrap(), b"\x03");
        assert_eq!(key_bytes("ctrl-\\").unwrap(), b"\x1c");
        assert_eq!(key_bytes("alt-X").unwrap(), b"\x1bX");
        assert_eq!(key_bytes("alt-enter").unwrap(), b"\x1b\r");
        assert_eq!(key_bytes("y").unwrap(), b"y");
        assert_eq!(key_bytes("ctrl-"), None);
        assert_eq!(key_bytes("hyper-x"), None);
    }
}
