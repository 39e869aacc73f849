//! The form of environment variables.

use crate::form::Form;
use crate::reader::{Reader, Spot, kind};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Environment variables: a table of texts.
pub(crate) struct Environment;

impl Form for Environment {
    type Out = BTreeMap<String, String>;

    fn expects(&self) -> String {
        "a table of texts".into()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[^=]+$" },
            "additionalProperties": { "type": "string" },
        })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Self::Out> {
        let Some(table) = spot.get_ref().as_table() else {
            reader.wrong(spot, &self.expects());
            return None;
        };
        let mut out = BTreeMap::new();
        for (name, value) in table {
            let text = name.get_ref();
            if text.is_empty() || text.contains(['=', '\0']) {
                reader
                    .problem(name.span(), format!("{text:?} is no name of a variable"))
                    .help("a variable's name is not empty and has no `=` in it");
                continue;
            }
            match value.get_ref() {
                DeValue::String(value_text) if value_text.contains('\0') => {
                    reader.problem(
                        value.span(),
                        format!("variable `{text}` contains a NUL character, which none can"),
                    );
                }
                DeValue::String(value) => {
                    out.insert(text.to_string(), value.to_string());
                }
                other => {
                    let raw = match other {
                        DeValue::Integer(number) => number.to_string(),
                        DeValue::Float(number) => number.to_string(),
                        DeValue::Boolean(flag) => flag.to_string(),
                        _ => "...".into(),
                    };
                    let found = kind(other);
                    reader
                        .problem(
                            value.span(),
                            format!("variable `{text}` must be a text, not {found}"),
                        )
                        .help(format!("write it in quotes: `{text} = \"{raw}\"`"));
                }
            }
        }
        Some(out)
    }
}
