//! Lines of `authorized_keys`.

/// The type and the key of a line, without its options and its comment; `None` if it has no key.
pub fn bare(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // Options come first and may have spaces, but only within quotes.
    let mut words = Vec::new();
    let (mut word, mut quoted, mut escaped) = (String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                words.push(std::mem::take(&mut word));
                escaped = false;
                continue;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        word.push(letter);
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    let kind = words.iter().take(2).position(|word| {
        ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-", "rsa-"]
            .iter()
            .any(|begin| word.starts_with(begin))
    })?;
    Some(format!("{} {}", words[kind], words.get(kind + 1)?))
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn a_key_is_told_whatever_stands_around_it() {
        let key = Some("ssh-ed25519 AAAA".to_owned());
        assert_eq!(bare("ssh-ed25519 AAAA ada@laptop"), key);
        assert_eq!(bare("  ssh-ed25519   AAAA\t"), key);
        assert_eq!(bare(r#"restrict,command="a \" b c" ssh-ed25519 AAAA x"#), key);
        assert_eq!(bare("# ssh-ed25519 AAAA"), None);
        assert_eq!(bare("ssh-ed25519"), None);
        assert_eq!(bare(""), None);
    }
}
