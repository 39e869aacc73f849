//! The forms that values have: what is expected, in words and in JSON Schema, and how it is read.

use crate::nearest::nearest;
use crate::reader::{Reader, Spot, kind};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::hash::Hash;
use toml::de::{DeInteger, DeValue};

/// Longest name, in bytes.
pub const MAX_NAME: usize = 63;

/// What a value may be.
pub(crate) trait Form: Sync {
    /// What is made of it.
    type Out;
    /// Completes "must be ...": `a size such as "8gb"`.
    fn expects(&self) -> String;
    /// The same for programs.
    fn schema(&self) -> Json;
    /// Reads it; `None` after a problem was noted.
    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Self::Out>;
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Form for Flag {
    type Out = bool;

    fn expects(&self) -> String {
        "`true` or `false`".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<bool> {
        let flag = spot.get_ref().as_bool();
        if flag.is_none() {
            reader.wrong(spot, &self.expects());
        }
        flag
    }
}

/// A whole number between two, both allowed.
pub(crate) struct Whole(pub u32, pub u32);

impl Form for Whole {
    type Out = u32;

    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.0, "maximum": self.1 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<u32> {
        let DeValue::Integer(number) = spot.get_ref() else {
            reader.wrong(spot, &self.expects());
            return None;
        };
        let found = integer(number).and_then(|number| u32::try_from(number).ok());
        let found = found.filter(|number| (self.0..=self.1).contains(number));
        if found.is_none() {
            let (key, _) = reader.key;
            reader
                .refuse(spot, format!("`{key}` must be {}, not {number}", self.expects()))
                .label("out of range");
        }
        found
    }
}

/// The number, if it can be counted.
pub(crate) fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A name that people chose: of a network, a session. The word completes "the name of ...".
pub(crate) struct Name(pub &'static str);

/// What a name is made of, as a regular expression.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z0-9_-]{1,63}$";

/// Says what is wrong with a name.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a name must not be empty".into());
    }
    if name.len() > MAX_NAME {
        return Some(format!(
            "a name has at most {MAX_NAME} characters, this one {}",
            name.chars().count()
        ));
    }
    let odd = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))?;
    Some(match odd {
        ' ' => "a name must not contain a blank".into(),
        odd => format!("`{}` must not be in a name", odd.escape_debug()),
    })
}

/// What a name may be, for help.
pub(crate) const NAME_HELP: &str =
    "names are made of letters, digits, `-` and `_`, at most 63 of them";

impl Form for Name {
    type Out = String;

    fn expects(&self) -> String {
        format!("the name of {}", self.0)
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": NAME_PATTERN })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, &self.expects())?;
        if let Some(fault) = name_fault(text) {
            reader.problem(spot.span(), fault).help(NAME_HELP);
            return None;
        }
        Some(text.into())
    }
}

/// One of a few words.
pub(crate) struct Choice(pub &'static [&'static str]);

impl Form for Choice {
    type Out = String;

    fn expects(&self) -> String {
        one_of(self.0)
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "enum": self.0 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, &self.expects())?;
        choose(spot, reader, text, self.0, &self.expects())
    }
}

/// One of a few words, each with what it stands for.
pub(crate) struct Word<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + Sync> Word<T> {
    fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }
}

impl<T: Copy + Sync> Form for Word<T> {
    type Out = T;

    fn expects(&self) -> String {
        one_of(&self.words())
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "enum": self.words() })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<T> {
        let text = reader.text(spot, &self.expects())?;
        let word = choose(spot, reader, text, &self.words(), &self.expects())?;
        self.0.iter().find(|(name, _)| *name == word).map(|(_, stands_for)| *stands_for)
    }
}

/// `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing (there is none)".into(),
    }
}

/// The word, if it is one of those.
pub(crate) fn choose(
    spot: Spot<'_>,
    reader: &mut Reader<'_>,
    text: &str,
    words: &[&str],
    expected: &str,
) -> Option<String> {
    if words.contains(&text) {
        return Some(text.into());
    }
    let (key, _) = reader.key;
    let message = format!("`{key}` must be {expected}, not {text:?}");
    let problem = reader.problem(spot.span(), message);
    if let Some(near) = nearest(text, words.iter().copied()) {
        problem.help(format!("did you mean `{key} = \"{near}\"`?"));
    }
    None
}

/// The name of an engine that the caller knows.
pub(crate) struct EngineName;

impl Form for EngineName {
    type Out = String;

    fn expects(&self) -> String {
        "the name of an engine".into()
    }

    fn schema(&self) -> Json {
        // Which ones there are, only the program knows.
        json!({ "type": "string", "pattern": NAME_PATTERN, "examples": ["sandbox", "qemu", "host"] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, &self.expects())?;
        let engines = &reader.context.engines;
        choose(spot, reader, text, engines, &one_of(engines))
    }
}

/// A list of values of one form, no two of them the same.
pub(crate) struct List<F: Form + 'static, K: Eq + Hash> {
    pub of: F,
    /// What must not be there twice: in words, and in a value.
    pub once: &'static str,
    pub same: fn(&F::Out) -> K,
}

impl<F: Form, K: Eq + Hash> Form for List<F, K> {
    type Out = Vec<F::Out>;

    fn expects(&self) -> String {
        format!("a list, each entry {}", self.of.expects())
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": self.of.schema() })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Vec<F::Out>> {
        let Some(items) = spot.get_ref().as_array() else {
            let (key, example) = reader.key;
            let found = kind(spot.get_ref());
            reader
                .problem(spot.span(), format!("`{key}` must be a list, not {found}"))
                .label("put it in [ ]")
                .help(format!("write for example `{key} = {example}`"));
            return None;
        };
        let mut read: HashMap<K, Spot<'_>> = HashMap::new();
        let mut out = Vec::new();
        for item in items {
            reader.entry = true;
            let value = self.of.read(item, reader);
            reader.entry = false;
            let Some(value) = value else { continue };
            let same = (self.same)(&value);
            if let Some(first) = read.get(&same) {
                let (key, once) = (reader.key.0, self.once);
                reader
                    .problem(item.span(), format!("`{key}` names the same {once} twice"))
                    .label("again")
                    .also(first.span(), "first here")
                    .help("remove one of the two");
                continue;
            }
            read.insert(same, item);
            out.push(value);
        }
        Some(out)
    }
}
