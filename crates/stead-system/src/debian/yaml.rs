//! As much of YAML as cloud-init's user-data needs, in the form in which people write it.

use super::quote;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Yaml {
    Text(String),
    Bool(bool),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Yaml::Text(text.into())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Yaml::Text(text)
    }
}

impl Yaml {
    pub(super) fn list<T: Into<Yaml>>(items: impl IntoIterator<Item = T>) -> Self {
        Yaml::List(items.into_iter().map(Into::into).collect())
    }

    /// The value as a document.
    pub(super) fn document(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    /// Writes it after `key:` or `-`, deeper than `depth` where it has lines of its own.
    fn value(&self, out: &mut String, depth: usize) {
        match self {
            Yaml::Bool(value) => *out += if *value { " true\n" } else { " false\n" },
            Yaml::Text(text) => {
                out.push(' ');
                scalar(text, out, depth);
            }
            Yaml::List(items) if items.is_empty() => *out += " []\n",
            Yaml::Map(pairs) if pairs.is_empty() => *out += " {}\n",
            Yaml::List(items)
                if items.iter().all(|item| matches!(item, Yaml::Text(_))) && short(items) =>
            {
                let items: Vec<String> = items
                    .iter()
                    .map(
                        |item| {
                            if let Yaml::Text(text) = item { plain(text) } else { String::new() }
                        },
                    )
                    .collect();
                *out += &format!(" [{}]\n", items.join(", "));
            }
            other => {
                out.push('\n');
                other.write(out, depth + 2);
            }
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        let indent = " ".repeat(depth);
        match self {
            Yaml::Map(pairs) => {
                for (key, value) in pairs {
                    *out += &format!("{indent}{key}:");
                    value.value(out, depth);
                }
            }
            Yaml::List(items) => {
                for item in items {
                    *out += &format!("{indent}-");
                    match item {
                        Yaml::Map(pairs) if !pairs.is_empty() => {
                            // The first key stands beside the dash.
                            let mut inner = String::new();
                            item.write(&mut inner, depth + 2);
                            out.push(' ');
                            *out += inner.trim_start();
                        }
                        other => other.value(out, depth),
                    }
                }
            }
            other => other.value(out, depth),
        }
    }
}

fn short(items: &[Yaml]) -> bool {
    items
        .iter()
        .map(|item| if let Yaml::Text(text) = item { text.len() + 2 } else { 100 })
        .sum::<usize>()
        < 90
}

/// A text on one line.
fn plain(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "/_.+-".contains(c);
    let word =
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(bare);
    // What other readers of YAML take for something else.
    let special = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if word && !special.contains(&&*text.to_lowercase()) { text.into() } else { quote::c(text) }
}

/// A text, on lines of its own where it has some.
fn scalar(text: &str, out: &mut String, depth: usize) {
    let printable = |c: char| {
        c == '\n' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    let block = text.ends_with('\n')
        && !text.ends_with("\n\n")
        && text.len() > 1
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| printable(c) || c == '\t');
    if !block {
        *out += &plain(text);
        out.push('\n');
        return;
    }
    *out += "|\n";
    let indent = " ".repeat(depth + 2);
    for line in text.lines() {
        if !line.is_empty() {
            *out += &indent;
            *out += line;
        }
        out.push('\n');
    }
}
