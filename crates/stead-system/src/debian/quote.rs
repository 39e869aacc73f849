//! Texts of people's in files that something else reads. What was declared is checked where it is read; this is so
//! that nothing of it becomes syntax even if it was not.

use std::fmt::Write as _;

/// One line, whatever it was.
pub(super) fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect()
}

/// A name that is a file's, a user's, a unit's: neither a path nor syntax of anything.
pub(super) fn name(text: &str) -> String {
    let kept =
        |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+' | ':');
    text.chars().filter(kept).collect::<String>().trim_start_matches(['.', '-']).into()
}

/// A web address or a path, without what a shell or a configuration would take apart.
pub(super) fn plain(text: &str) -> String {
    let bad = |c: &char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '"' | '\'' | '`' | '\\' | '$' | '<' | '>' | ';' | '{' | '}' | '#' | '|' | '&'
            )
    };
    text.chars().filter(|c| !bad(c)).collect()
}

/// A word of a shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// In quotes as C has them, which systemd, Alloy and YAML read alike.
pub(super) fn c(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\0' => {}
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A value in a unit, whose `%` is no specifier.
pub(super) fn unit(text: &str) -> String {
    line(text).replace('%', "%%").trim_end_matches('\\').into()
}

/// A word in a unit: `K=V` of the environment, a path.
pub(super) fn unit_word(text: &str) -> String {
    c(text).replace('%', "%%")
}

/// A word of a command in a unit, where `$` is special besides.
pub(super) fn command(words: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            return word.clone();
        }
        unit_word(word).replace('$', "$$")
    };
    let mut words: Vec<String> = words.iter().map(quoted).collect();
    // A first word in quotes is a path like any other; an option in the first place is none.
    if let Some(first) = words.first_mut() {
        *first = first.trim_start_matches(['-', '@', '+', '!', ':']).to_owned();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_syntax() {
        assert_eq!(line("a\nb"), "a b");
        assert_eq!(name("../../etc/x y\n"), "etcxy");
        assert_eq!(shell("a'b"), r"'a'\''b'");
        assert_eq!(c("a\"\\\n\u{1b}"), r#""a\"\\\n\x1b""#);
        assert_eq!(
            command(&["/bin/x".into(), "a b".into(), "$HOME %h".into()]),
            r#"/bin/x "a b" "$$HOME %%h""#
        );
        assert_eq!(unit("100%\nExecStart=x\\"), "100%% ExecStart=x");
    }
}
