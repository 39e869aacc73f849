//! What every form of value is read with: the context, the problems so far, and the key whose value it is.

use crate::context::Context;
use crate::problem::Problem;
use std::collections::HashSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// A value and where it is.
pub(crate) type Spot<'t> = &'t Spanned<DeValue<'t>>;

/// Collects problems while a file is read.
pub(crate) struct Reader<'c> {
    pub context: &'c Context<'c>,
    pub problems: Vec<Problem>,
    /// Where they are.
    places: HashSet<Range<usize>>,
    /// Name and example of the key whose value is read.
    pub key: (&'static str, &'static str),
    /// Whether parts of the file could not be read, so that what seems to be missing may be there.
    pub broken: bool,
    /// An entry of the key's list is read, not the whole.
    pub entry: bool,
}

impl<'c> Reader<'c> {
    pub fn new(context: &'c Context<'c>) -> Self {
        Reader {
            context,
            problems: Vec::new(),
            places: HashSet::new(),
            key: ("", ""),
            broken: false,
            entry: false,
        }
    }

    pub fn problem(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.places.insert(span.clone());
        self.problems.push(Problem::new(span, message));
        self.problems.last_mut().expect("it was just put there")
    }

    /// Whether a problem was noted at this very place.
    pub fn told(&self, span: &Range<usize>) -> bool {
        self.places.contains(span)
    }

    /// The value is not of the kind that is expected; `expected` completes "must be ...".
    pub fn wrong(&mut self, spot: Spot<'_>, expected: &str) -> &mut Problem {
        let (key, example) = self.key;
        let found = kind(spot.get_ref());
        let subject = if self.entry { "an entry of " } else { "" };
        self.problem(spot.span(), format!("{subject}`{key}` must be {expected}, not {found}"))
            .help(format!("write for example `{key} = {example}`"))
    }

    /// The value is of the right kind, but what it says will not do.
    pub fn refuse(&mut self, spot: Spot<'_>, message: impl Into<String>) -> &mut Problem {
        let (key, example) = self.key;
        self.problem(spot.span(), message).help(format!("write for example `{key} = {example}`"))
    }

    /// The value as text; a problem if it is none.
    pub fn text<'t>(&mut self, spot: Spot<'t>, expected: &str) -> Option<&'t str> {
        let Some(text) = spot.get_ref().as_str() else {
            self.wrong(spot, expected);
            return None;
        };
        let key = self.key.0;
        if text.contains('\0') {
            self.refuse(spot, format!("`{key}` contains a NUL character, which nothing can use"));
            return None;
        }
        Some(text)
    }
}

/// A kind of value as a sentence names it.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
