//! The lines of a text: which one a place is on, and how it is shown.

use std::fmt::Write;
use std::ops::Range;

/// So many characters of a line are shown; of a longer one, those around the place.
const SHOWN: usize = 160;
/// So many of them stand before the place.
const BEFORE: usize = 60;

/// Where the lines of a text begin.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        Lines { text, starts: starts.collect() }
    }

    /// The span, cut to the text and to whole characters.
    pub fn within(&self, span: &Range<usize>) -> Range<usize> {
        let fit = |at: usize| self.text.floor_char_boundary(at.min(self.text.len()));
        let start = fit(span.start);
        start..fit(span.end).max(start)
    }

    fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// Line and column, counted from 1.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let line = self.index(at);
        (line + 1, self.text[self.starts[line]..at].chars().count() + 1)
    }

    /// The first line of a span, with the span marked below it. Nothing of an empty text.
    pub fn show(&self, out: &mut String, span: &Range<usize>, label: Option<&str>) {
        if self.text.is_empty() {
            return;
        }
        let line = self.index(span.start);
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let content = self.text[self.starts[line]..end].trim_end_matches('\r');
        let end = span.end.clamp(span.start, (self.starts[line] + content.len()).max(span.start));
        let marked = self.text[span.start..end].chars().count().max(1);
        let before = self.text[self.starts[line]..span.start].chars().count();
        let (content, before) = clipped(content, before);
        // What is marked beyond the end of what is shown is not there to be marked.
        let marks = "^".repeat(marked.min(content.chars().count().saturating_sub(before)).max(1));
        // A tab before the place has to stay one, or the marks would stand elsewhere.
        let indent: String =
            content.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let indent = format!("{indent}{:1$}", "", before - indent.chars().count());
        let number = (line + 1).to_string();
        let _ = writeln!(out, "  {number} | {content}");
        let _ = writeln!(
            out,
            "  {:width$} | {}",
            "",
            format!("{indent}{marks} {}", label.unwrap_or_default()).trim_end(),
            width = number.len()
        );
    }
}

/// As much of a line as is shown, and how many characters of that stand before the place.
fn clipped(line: &str, before: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= SHOWN {
        return (line.into(), before);
    }
    let from = before.saturating_sub(BEFORE).min(length - SHOWN);
    let shown: String = line.chars().skip(from).take(SHOWN).collect();
    let left = if from > 0 { "…" } else { "" };
    let right = if from + SHOWN < length { "…" } else { "" };
    (format!("{left}{shown}{right}"), before - from + left.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, at: Range<usize>) -> String {
        let mut out = String::new();
        Lines::of(text).show(&mut out, &at, None);
        out
    }

    /// What stands above the marks, and how wide the widest line is.
    fn marked(text: &str, at: Range<usize>) -> (String, usize) {
        let out = shown(text, at);
        let [line, marks] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
        let over = line.chars().zip(marks.chars()).filter(|(_, mark)| *mark == '^');
        (over.map(|(c, _)| c).collect(), line.chars().count())
    }

    #[test]
    fn of_a_long_line_what_is_around_the_place_is_shown() {
        let long = format!("{}HERE{}", "ä".repeat(3000), "b".repeat(3000));
        let widest = SHOWN + 2 + "  1 | ".len();
        assert_eq!(marked(&long, 6000..6004), ("HERE".into(), widest));
        assert!(shown(&long, 6000..6004).starts_with("  1 | …ä"));
        // At its beginning, at its end, behind it, and a place that is longer than what is shown.
        assert_eq!(marked(&long, 0..2), ("ä".into(), widest - 1));
        assert_eq!(marked(&long, 9003..9004), ("b".into(), widest - 1));
        assert_eq!(marked(&long, 9004..9004), (String::new(), widest - 1));
        let (over, wide) = marked(&long, 6000..9004);
        assert!(over.starts_with("HERE") && over.ends_with("b…") && wide == widest, "{over}");
        assert_eq!(marked(&"x".repeat(SHOWN), 3..5), ("xx".into(), SHOWN + 6));
    }

    #[test]
    fn of_an_empty_text_nothing_is_shown() {
        assert_eq!(shown("", 0..0), "");
    }
}
