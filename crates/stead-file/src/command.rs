//! What a session runs.

use crate::form::Form;
use crate::reader::{Reader, Spot};
use crate::words;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

/// Program and arguments: a list, or one text that is split as a shell splits it.
pub(crate) struct Command;

impl Form for Command {
    type Out = Vec<String>;

    fn expects(&self) -> String {
        "a list of words or one text".into()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Vec<String>> {
        let words = match spot.get_ref() {
            DeValue::String(_) => {
                let line = reader.text(spot, "")?;
                match words::split(line) {
                    Ok(words) => words,
                    Err(message) => {
                        reader
                            .problem(
                                spot.span(),
                                format!("`command` cannot be split into words: {message}"),
                            )
                            .help("close it, or write a list: `command = [\"make\", \"test\"]`");
                        return None;
                    }
                }
            }
            DeValue::Array(items) => {
                reader.entry = true;
                let texts: Vec<Option<&str>> =
                    items.iter().map(|item| reader.text(item, "a text")).collect();
                reader.entry = false;
                let texts: Option<Vec<&str>> = texts.into_iter().collect();
                texts?.into_iter().map(Into::into).collect()
            }
            _ => {
                reader.wrong(spot, &self.expects());
                return None;
            }
        };
        if words.first().is_none_or(String::is_empty) {
            reader.refuse(spot, "`command` names no program").help(
                "name one, or leave `command` out: then the agent is started, or else your shell",
            );
            return None;
        }
        Some(words)
    }
}
