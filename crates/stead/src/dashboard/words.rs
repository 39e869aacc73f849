//! A command line as a person types it, taken apart into words.

/// Splits at blanks, as a shell would: `'...'`, `"..."` and `\` keep blanks in a word. Nothing is expanded.
///
/// # Errors
/// A sentence that says which quote is not closed.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or("the command ends with a \\ that stands before nothing")?),
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
    Err(format!("the command opens a {quote} and does not close it"))
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
    fn an_open_quote_is_named() {
        assert!(split("echo 'a").unwrap_err().contains('\''));
        assert!(split(r#"echo "a\"#).unwrap_err().contains('"'));
        assert!(split(r"echo \").is_err());
    }

    #[test]
    fn what_is_quoted_for_show_splits_into_the_same_words() {
        let words = ["sh", "-c", "echo it's; \"x\" \\", ""].map(String::from);
        assert_eq!(split(&crate::present::command(&words)).unwrap(), words);
    }
}
