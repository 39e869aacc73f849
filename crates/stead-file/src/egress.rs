//! Where a machine may connect to.

use crate::declared::Egress;
use crate::form::{Form, choose};
use crate::nearest::nearest;
use crate::reader::{Reader, Spot};
use crate::rule::Rule;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

/// `"open"`, `"web-only"`, `"none"`, or a list of rules, bare or as `{ allow = [...] }`.
pub(crate) struct Where;

const WORDS: [&str; 3] = ["open", "web-only", "none"];

impl Form for Where {
    type Out = Egress;

    fn expects(&self) -> String {
        "\"open\", \"web-only\", \"none\" or a list of servers".into()
    }

    fn schema(&self) -> Json {
        let rules = json!({ "type": "array", "items": { "type": "string", "minLength": 1 } });
        json!({ "anyOf": [
            { "type": "string", "enum": WORDS },
            {
                "type": "object",
                "properties": { "allow": rules },
                "required": ["allow"],
                "additionalProperties": false,
            },
            rules,
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Egress> {
        match spot.get_ref() {
            DeValue::String(text) => word(spot, reader, text),
            DeValue::Array(_) => allow(spot, reader),
            DeValue::Table(table) => {
                for (key, _) in table {
                    if key.get_ref() != "allow" {
                        reader
                            .problem(key.span(), format!("`egress` has no key `{}`", key.get_ref()))
                            .help("its only key is `allow`: write for example `egress = { allow = [\"github.com\"] }`");
                    }
                }
                if let Some(rules) = table.get("allow") {
                    return allow(rules, reader);
                }
                if table.is_empty() {
                    reader.refuse(spot, "`egress` is empty");
                }
                None
            }
            _ => {
                reader.wrong(spot, &self.expects());
                None
            }
        }
    }
}

fn word(spot: Spot<'_>, reader: &mut Reader<'_>, text: &str) -> Option<Egress> {
    if !WORDS.contains(&text)
        && nearest(text, WORDS).is_none()
        && text.parse::<Rule>().is_ok()
        && text.contains('.')
    {
        reader
            .problem(spot.span(), format!("`egress` must be a list to allow {text:?}"))
            .label("put it in a list")
            .help(format!("write `egress = {{ allow = [{text:?}] }}`"));
        return None;
    }
    let word = choose(spot, reader, text, &WORDS, &Where.expects())?;
    Some(match word.as_str() {
        "open" => Egress::Open,
        "web-only" => Egress::WebOnly,
        _ => Egress::None,
    })
}

fn allow(spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Egress> {
    let Some(items) = spot.get_ref().as_array() else {
        reader.wrong(spot, "a list of servers");
        return None;
    };
    if items.is_empty() {
        reader
            .problem(spot.span(), "an empty list allows nothing")
            .help("write `egress = \"none\"` to say so")
            .warning();
        return Some(Egress::None);
    }
    let mut rules: Vec<String> = Vec::new();
    for item in items {
        reader.entry = true;
        let text = reader.text(item, "the name or address of a server");
        reader.entry = false;
        let Some(text) = text else { continue };
        match text.parse::<Rule>() {
            Ok(rule) => {
                let rule = rule.to_string();
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
            Err(error) => {
                let help = match &error.instead {
                    Some(instead) => format!("write {instead:?}"),
                    None if text == "*" => "write `egress = \"open\"`".into(),
                    None => "allowed are names (`github.com`, `*.github.com`), addresses (`10.1.2.3`) and networks (`10.1.0.0/16`), each also with a port (`github.com:22`)".into(),
                };
                reader.problem(item.span(), error.to_string()).help(help);
            }
        }
    }
    Some(Egress::Allow(rules))
}
