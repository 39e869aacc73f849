//! How things look on a terminal: ages, tables, colours.

use std::io::IsTerminal;
use stead_wire::session::Session;
use stead_wire::status::State;

/// Whether standard output takes colour: a terminal, and `NO_COLOR` is not set.
pub fn color() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// How long ago a time in milliseconds since the Unix epoch is, in two or three characters: `12s`, `5m`, `3h`,
/// `9d`.
pub fn age(then: u64, now: u64) -> String {
    let seconds = now.saturating_sub(then) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The state as `ls` shows it: with the exit code, where there is one.
pub fn state(session: &Session) -> String {
    match &session.exit {
        Some(exit) => exit.to_string(),
        None => session.status.state.to_string(),
    }
}

/// The colour of a state as an SGR number.
pub fn state_color(session: &Session) -> &'static str {
    match session.status.state {
        State::Running => "32",
        State::Waiting => "1;33",
        State::Idle => "36",
        State::Unknown => "35",
        State::Exited => match &session.exit {
            Some(exit) if exit.code == Some(0) => "2",
            _ => "31",
        },
    }
}

/// Text in a colour, where colour is wanted.
pub fn paint(text: &str, sgr: &str, color: bool) -> String {
    if color && !text.is_empty() { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Cuts a text to a width in characters; what is cut shows as `…`.
pub fn cut(text: &str, width: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= width {
        return clean;
    }
    let mut short: String = clean.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A text that somebody else wrote, without what a terminal would take for commands; lines and tabs stay.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Takes the control characters U+0080 to U+009F out of UTF-8 that comes in pieces: some terminals obey them.
#[derive(Default)]
pub struct NoC1 {
    /// The last byte was the first of two.
    held: bool,
}

impl NoC1 {
    /// Appends what is left of a piece to `out`.
    pub fn filter(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for byte in piece {
            let held = std::mem::replace(&mut self.held, *byte == 0xc2);
            match (held, byte) {
                (_, 0xc2) if held => out.push(0xc2),
                (_, 0xc2) | (true, 0x80..=0x9f) => {}
                (true, _) => out.extend_from_slice(&[0xc2, *byte]),
                (false, _) => out.push(*byte),
            }
        }
    }
}

/// A command as a person would type it.
pub fn command(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The columns of the terminal, or 100 where there is none.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|cols| *cols > 0)
        .unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age(1000, 1000), "0s");
        assert_eq!(age(0, 59_999), "59s");
        assert_eq!(age(0, 3_600_000), "1h");
        assert_eq!(age(5000, 0), "0s");
    }

    #[test]
    fn commands_are_quoted_where_needed() {
        let words = ["sh", "-c", "echo it's", ""].map(String::from);
        assert_eq!(command(&words), r"sh -c 'echo it'\''s' ''");
    }

    #[test]
    fn no_control_character_is_left() {
        assert_eq!(clean("a\u{1b}]52;c\u{9d}b\tc\n"), "a]52;cb\tc\n");
        let text = "é\u{9b}31mx\u{9d}\u{a0}ü".as_bytes();
        for cut in 0..text.len() {
            let (mut filter, mut out) = (NoC1::default(), Vec::new());
            filter.filter(&text[..cut], &mut out);
            filter.filter(&text[cut..], &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), "é31mx\u{a0}ü", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_quoted_for_show_splits_into_the_same_words() {
        let words = ["sh", "-c", "echo it's; \"x\" \\", ""].map(String::from);
        assert_eq!(stead_file::words::split(&command(&words)).unwrap(), words);
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(cut("abc\x1bdef", 5), "abc …");
        assert_eq!(cut("abc", 3), "abc");
    }
}
