//! What the last lines of a screen say.

/// How many lines with text, from the bottom, may hold a question. Dialogs stand at the bottom; higher up is
/// the conversation, in which the same words mean nothing.
const LINES: usize = 12;

/// The text that an agent's profile knows as a question, if it stands at the bottom of the screen.
pub(super) fn known_question<'a>(texts: &'a [String], lines: &[String]) -> Option<&'a str> {
    bottom(lines).find_map(|line| {
        texts.iter().find(|t| !t.is_empty() && line.contains(t.as_str())).map(String::as_str)
    })
}

/// The last line, if it asks for yes or no or ends as a question does.
pub(super) fn open_question(lines: &[String]) -> Option<&str> {
    const YES_OR_NO: [&str; 6] = ["[y/n]", "(y/n)", "[yes/no]", "(yes/no)", "[y/n/", "[y,n"];
    let line = bottom(lines).next()?;
    let lower = line.to_lowercase();
    let asks = YES_OR_NO.iter().any(|q| lower.contains(q))
        || lower.ends_with('?')
        || lower.ends_with("?:")
        || lower.ends_with("? ›");
    asks.then_some(line)
}

fn bottom(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().rev().map(|l| l.trim()).filter(|l| !l.is_empty()).take(LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(Into::into).collect()
    }

    #[test]
    fn a_known_question_counts_at_the_bottom_only() {
        let texts = ["Esc to cancel".to_owned(), String::new()];
        let dialog = lines("hello\n 1. Yes\n 2. No\n\n Esc to cancel · Tab to amend\n\n\n");
        assert_eq!(known_question(&texts, &dialog), Some("Esc to cancel"));
        let talk = lines(&format!("Esc to cancel\n{}", "more\n".repeat(12)));
        assert_eq!(known_question(&texts, &talk), None);
        assert_eq!(known_question(&texts, &[]), None);
    }

    #[test]
    fn open_questions() {
        assert!(open_question(&lines("Do you want to continue? [Y/n] \n\n")).is_some());
        assert!(open_question(&lines("Overwrite?")).is_some());
        assert!(open_question(&lines("Overwrite? [y/N]\n$ ")).is_none());
        assert!(open_question(&lines(">>> ")).is_none());
    }
}
