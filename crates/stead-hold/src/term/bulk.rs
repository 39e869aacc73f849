//! Leaving out what has scrolled away before anybody could see it.
//!
//! When a program prints much more than a screen, only the last lines can be seen. Here is why leaving out the
//! rest is exact. Take a stretch of output that holds text, line feeds and such control sequences as act on the
//! cursor's line or on the pen alone, and cut it after a CR LF such that the part after the cut has enough
//! line feeds to scroll in every row of the screen, from wherever below its present row the cursor is at the cut:
//!
//! - Every row that can be seen at the end was scrolled in after the cut, so its cells and the colour that it was
//!   filled with depend on the part after the cut, the pen at the cut, and modes.
//! - The cursor's column at the cut is 0 and no wrap is pending, by the CR. Its row does not matter, since
//!   at the end it is in the last.
//! - The pen at the cut is made by running the SGR sequences before it, from the last that resets all.
//! - Nothing in the stretch changes modes, character sets, tabs, hyperlink, title or saved cursor, or makes an
//!   answer or a signal. What REP would repeat is decided after the cut: a line feed forgets it.

use super::model::Model;
use alacritty_terminal::vte::Parser;
use memchr::{memchr, memchr3, memrchr};

/// Less output than this is not worth a look.
const WORTH_IT: usize = 2048;

/// Advances over what need not be looked at, and returns the rest. The parser is in its ground state
/// before and after, and `bytes` begins there.
pub fn skip<'a>(parser: &mut Parser, model: &mut Model, bytes: &'a [u8]) -> &'a [u8] {
    if bytes.len() < WORTH_IT || model.region != model.whole_region() {
        return bytes;
    }
    let stretch = &bytes[..stretch(bytes)];
    // Nothing in the stretch moves the cursor up. It comes down to the last row, then every row scrolls in.
    let feeds = 2 * model.rows() - model.grid.cursor.point.line.0;
    let Some(cut) = cut(stretch, feeds as usize) else { return bytes };
    let mut from = cut;
    while let Some(escape) = memrchr(0x1b, &stretch[..from]) {
        from = escape;
        if resets(&stretch[escape..]) {
            break;
        }
    }
    // Down from `from`, which is where the pen is known, or the beginning.
    while let Some(escape) = memchr(0x1b, &stretch[from..cut]) {
        let start = from + escape;
        let length = sequence(&stretch[start..]).unwrap_or(1);
        if stretch[start + length - 1] == b'm' {
            parser.advance(model, &stretch[start..start + length]);
        }
        from = start + length;
    }
    parser.advance(model, b"\r");
    &bytes[cut..]
}

/// The length of the stretch at the beginning of `bytes`.
fn stretch(bytes: &[u8]) -> usize {
    // BEL is a signal, SO and SI change the character set.
    let mut end = memchr3(0x07, 0x0e, 0x0f, bytes).unwrap_or(bytes.len());
    let mut at = 0;
    while let Some(escape) = memchr(0x1b, &bytes[at..end]) {
        match sequence(&bytes[at + escape..end]) {
            Some(length) => at += escape + length,
            None => end = at + escape,
        }
    }
    end
}

/// The length of the control sequence at the beginning of `bytes`, if it is whole and acts on the cursor's
/// line or the pen alone.
fn sequence(bytes: &[u8]) -> Option<usize> {
    if bytes.get(1) != Some(&b'[') {
        return None;
    }
    let body = &bytes[2..];
    let length = body.iter().position(|b| !matches!(b, b'0'..=b';'))?;
    matches!(body[length], b'm' | b'K' | b'C' | b'D' | b'G' | b'P' | b'X' | b'@')
        .then_some(length + 3)
}

/// Whether the sequence at the beginning of `bytes` is an SGR that begins by resetting all.
fn resets(bytes: &[u8]) -> bool {
    matches!(bytes, [_, b'[', b'm', ..] | [_, b'[', b'0', b'm' | b';', ..])
        && sequence(bytes).is_some_and(|length| bytes[length - 1] == b'm')
}

/// Where to cut: after a CR LF, with at least `feeds` line feeds behind it.
fn cut(stretch: &[u8], feeds: usize) -> Option<usize> {
    let mut at = stretch.len();
    for _ in 0..feeds {
        at = memrchr(b'\n', &stretch[..at])?;
    }
    loop {
        at = memrchr(b'\n', &stretch[..at])?;
        if at > 0 && stretch[at - 1] == b'\r' {
            return Some(at + 1);
        }
    }
}
