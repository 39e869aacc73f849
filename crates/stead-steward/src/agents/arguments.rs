//! Reading an agent's command line, as far as its profile explains it.

use super::profile::Arguments;

/// The program's name without its folder.
pub(super) fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether one of these options is given, as `--x`, `--x=value`; words after `--` do not count, nor
/// do those of `options` that are none.
pub(super) fn given(words: &[String], options: &[String]) -> bool {
    let mut options = options.iter().filter(|option| is_option(option));
    options.any(|option| before_end(words).any(|word| is(word, option)))
}

/// The value of an option, given as `--x value` or `--x=value`, and the words that it takes up.
pub(super) fn value<'a>(
    words: &'a [String],
    option: &str,
) -> Option<(&'a str, std::ops::Range<usize>)> {
    let at = before_end(words).position(|word| is(word, option))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some((value, at..at + 1)),
        None => Some((words.get(at + 1)?, at..at + 2)),
    }
}

/// Whether a word such as `-p|--print` or `--output-format=stream-json` is there.
pub(super) fn has(words: &[String], wanted: &str) -> bool {
    wanted.split('|').any(|wanted| match wanted.split_once('=') {
        Some((option, expected)) => value(words, option).is_some_and(|(v, _)| v == expected),
        None => before_end(words).any(|word| word == wanted),
    })
}

/// The places of the words that are neither options nor their values.
pub(super) fn operands(words: &[String], arguments: &Arguments) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let word = &words[at];
        if word == "--" {
            found.extend(at + 1..words.len());
            break;
        }
        if !is_option(word) {
            found.push(at);
        } else if arguments.values.contains(word) {
            at += 1;
        } else if arguments.lists.contains(word) {
            while words.get(at + 1).is_some_and(|next| !is_option(next)) {
                at += 1;
            }
        }
        at += 1;
    }
    found
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn is(word: &str, option: &str) -> bool {
    word.strip_prefix(option)
        .is_some_and(|rest| rest.is_empty() || (option.starts_with("--") && rest.starts_with('=')))
}

fn before_end(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().take_while(|word| *word != "--")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn options_and_their_values() {
        let line = words("--model opus --settings=x.json -- --resume y");
        assert_eq!(value(&line, "--settings"), Some(("x.json", 2..3)));
        assert_eq!(value(&line, "--model"), Some(("opus", 0..2)));
        assert!(!given(&line, &words("--resume -r")));
        assert!(!given(&words("--resumed"), &words("--resume")));
        assert_eq!(value(&words("--settings"), "--settings"), None);
    }

    #[test]
    fn operands_are_what_is_left() {
        let arguments = Arguments {
            values: words("--model"),
            lists: words("--add-dir"),
            ..Arguments::default()
        };
        let found = |line: &str| {
            let line = words(line);
            operands(&line, &arguments).into_iter().map(|i| line[i].clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("--model opus prompt -p"), ["prompt"]);
        assert_eq!(found("--add-dir a b --model x prompt"), ["prompt"]);
        assert_eq!(found("--model=opus a -- --b"), ["a", "--b"]);
        assert_eq!(found("-"), ["-"]);
    }
}
