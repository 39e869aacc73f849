//! A command line taken apart into words.

/// Splits at blanks, as a shell does: `'...'`, `"..."` and `\` keep blanks in a word. Nothing is expanded.
///
/// # Errors
/// A clause that says what is not closed.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("it ends with a `\\` that stands before nothing".into()),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err(format!("it opens a {quote} and does not close it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks() {
        let words = split(r#"  sh -c 'echo "a  b"' x\ y "it's \"so\" \n" '' "#).unwrap();
        assert_eq!(words, ["sh", "-c", r#"echo "a  b""#, "x y", r#"it's "so" \n"#, ""]);
        assert!(split("  ").unwrap().is_empty());
    }

    #[test]
    fn what_is_open_is_named() {
        assert!(split("echo 'a").unwrap_err().contains("opens a '"));
        assert!(split(r#"echo "a\"#).unwrap_err().contains("opens a \""));
        assert!(split(r"echo \").unwrap_err().contains("before nothing"));
    }
}
