//! What the parser says, as a person should hear it.

use crate::problem::Problem;
use std::collections::HashSet;

/// The parser's faults and the problems found in what it could make of the text. A problem on a line with a fault is
/// left out: what is read there is a guess.
pub(crate) fn merge(text: &str, faults: &[toml::de::Error], problems: Vec<Problem>) -> Vec<Problem> {
    if faults.is_empty() {
        return problems;
    }
    let line = |at: usize| {
        let at = text.floor_char_boundary(at.min(text.len()));
        text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    };
    let mut lines = HashSet::new();
    let mut all = Vec::new();
    for fault in faults {
        let span = fault.span().unwrap_or(0..0);
        // One mistake often makes several faults; the first on a line is the one to look at.
        if lines.insert(line(span.start)) {
            all.push(told(text, fault.message(), span));
        }
    }
    // The parser puts what it made up at the beginning of the text.
    all.extend(problems.into_iter().filter(|p| p.span != (0..0) && !lines.contains(&line(p.span.start))));
    all
}

fn told(text: &str, message: &str, span: std::ops::Range<usize>) -> Problem {
    eprintln!("FAULT {message:?} {span:?} {:?}", text.get(span.clone()));
    Problem::new(span, message)
}
