//! What is wrong with a file, and where.

use crate::lines::Lines;
use miette::{Diagnostic, LabeledSpan, Severity, SourceSpan};
use serde::Serialize;
use std::fmt::{self, Write};
use std::ops::Range;

/// So many problems are written out; a file with more is hardly a stead file.
const TOLD: usize = 50;
/// So many characters of a sentence.
const LONGEST: usize = 300;

/// One thing that is wrong, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// A few words for the place itself.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that have to do with it, and what is there.
    pub also: Vec<(Range<usize>, String)>,
    /// The file is good all the same.
    pub warning: bool,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Problem {
            span,
            line: 0,
            column: 0,
            message: message.into(),
            label: None,
            help: None,
            also: Vec::new(),
            warning: false,
        }
    }

    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn also(&mut self, span: Range<usize>, label: impl Into<String>) -> &mut Self {
        if span != self.span {
            self.also.push((span, label.into()));
        }
        self
    }

    pub(crate) fn warning(&mut self) -> &mut Self {
        self.warning = true;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(if self.warning { Severity::Warning } else { Severity::Error })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let source_span = |span: &Range<usize>| SourceSpan::from((span.start, span.len()));
        let here = LabeledSpan::new_primary_with_span(self.label.clone(), source_span(&self.span));
        let also = self.also.iter().map(move |(span, label)| {
            LabeledSpan::new_with_span(Some(label.clone()), source_span(span))
        });
        Some(Box::new(std::iter::once(here).chain(also)))
    }
}

/// All that is wrong with one file, with its text.
///
/// `miette` renders it with the places underlined; [`Report::plain`] does without colours and drawings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file, as messages name it.
    pub name: String,
    /// Its text, with `?` for every byte of a control character: what is shown on a terminal must not steer it.
    pub text: String,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(name: String, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        let lines = Lines::of(text);
        for problem in &mut problems {
            problem.span = lines.within(&problem.span);
            for (span, _) in &mut problem.also {
                *span = lines.within(span);
            }
            (problem.line, problem.column) = lines.position(problem.span.start);
        }
        for problem in &mut problems {
            let also = problem.also.iter_mut().map(|(_, label)| label);
            let told = std::iter::once(&mut problem.message).chain(&mut problem.label);
            told.chain(&mut problem.help).chain(also).for_each(one_line);
        }
        Report { name, text: harmless(text), problems }
    }

    /// How many of the problems are errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| !problem.warning).count()
    }

    /// Every problem in plain text: a line `file:line:column: what`, the line of the file, what to do. The first fifty, if
    /// there are more.
    pub fn plain(&self) -> String {
        let lines = Lines::of(&self.text);
        let mut out = String::new();
        for problem in self.problems.iter().take(TOLD) {
            let (line, column) = (problem.line, problem.column);
            let kind = if problem.warning { "warning: " } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(out, "{}:{line}:{column}: {kind}{}", self.name, problem.message);
            lines.show(&mut out, &problem.span, problem.label.as_deref());
            for (span, label) in &problem.also {
                lines.show(&mut out, span, Some(label));
            }
            if let Some(help) = &problem.help {
                let _ = writeln!(out, "  help: {help}");
            }
        }
        if let more @ 1.. = self.problems.len().saturating_sub(TOLD) {
            let _ = writeln!(out, "{}: and {more} more", self.name);
        }
        out
    }
}

/// The text in the same number of bytes, without characters that a terminal would obey.
fn harmless(text: &str) -> String {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) { out.extend(std::iter::repeat_n('?', c.len_utf8())) } else { out.push(c) }
    }
    out
}

/// Writes control characters of a sentence out, so that it stays one line, and takes the middle out of one that quotes too much.
fn one_line(sentence: &mut String) {
    let length = sentence.chars().count();
    if length > LONGEST {
        let (head, tail) = (sentence.chars().take(LONGEST / 2), length - LONGEST / 2);
        *sentence = head.chain(['…']).chain(sentence.chars().skip(tail)).collect();
    }
    if sentence.contains(char::is_control) {
        let escaped =
            |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
        *sentence = sentence.chars().map(escaped).collect();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, what: &str| match count {
            1 => format!("one {what}"),
            count => format!("{count} {what}s"),
        };
        let (errors, warnings) = (self.errors(), self.problems.len() - self.errors());
        write!(f, "{} has ", self.name)?;
        match (errors, warnings) {
            (errors, 0) => f.write_str(&plural(errors, "error")),
            (0, warnings) => f.write_str(&plural(warnings, "warning")),
            _ => write!(f, "{} and {}", plural(errors, "error"), plural(warnings, "warning")),
        }
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn severity(&self) -> Option<Severity> {
        Some(if self.errors() > 0 { Severity::Error } else { Severity::Warning })
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(self)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

impl miette::SourceCode for Report {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, span: Range<usize>) -> Report {
        Report::new("f".into(), text, vec![Problem::new(span, "wrong")])
    }

    #[test]
    fn columns_count_characters() {
        let report = report("a = 1\nä = \"ö\" x\n", 16..17);
        assert_eq!((report.problems[0].line, report.problems[0].column), (2, 9));
        assert_eq!(report.plain(), "f:2:9: wrong\n  2 | ä = \"ö\" x\n    |         ^\n");
    }

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        let text = "a = \"\u{1b}[2J\u{9b}x\"\r\n";
        let mut problem = Problem::new(4..5, "what \u{1b}]0;x\u{7} is\nthis");
        problem.help = Some("\u{9b}".into());
        problem.label("\u{1b}").also(0..1, "\u{1b}");
        let report = Report::new("f".into(), text, vec![problem]);
        assert_eq!(report.text.len(), text.len());
        let shown = report.plain();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.starts_with("f:1:5: what \\u{1b}]0;x\\u{7} is\\nthis\n"), "{shown:?}");
    }

    #[test]
    fn a_span_beyond_the_text_or_within_a_character_is_cut() {
        assert_eq!(report("ä", 1..90).problems[0].span, 0..2);
        assert_eq!(report("", 7..9).problems[0].span, 0..0);
        assert_eq!(report("\r\n", 2..2).plain(), "f:2:1: wrong\n  2 | \n    | ^\n");
        #[expect(clippy::reversed_empty_ranges, reason = "a parser's mistake is to be survived")]
        let backwards = report("abc", 2..1);
        assert_eq!(backwards.problems[0].span, 2..2);
    }

    #[test]
    fn of_very_many_problems_the_first_are_told() {
        let problems = (0..60).map(|_| Problem::new(0..1, "wrong")).collect();
        let told = Report::new("f".into(), "x", problems).plain();
        assert_eq!(told.matches("wrong").count(), 50);
        assert!(told.ends_with("f: and 10 more\n"), "{told}");
    }
}
