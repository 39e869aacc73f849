//! The file for programs: JSON Schema.

use crate::form::NAME_PATTERN;
use crate::keys::{MACHINE, NETWORK, SESSION, STEAD, SYSTEM};
use crate::read::PARTS;
use serde_json::{Map, Value as Json, json};

/// JSON Schema (draft 2020-12) of stead files, for editors. It knows every key and the form of its value; what parts of
/// a file must agree on, only [`read`](crate::read()) knows.
pub fn schema() -> Json {
    let mut parts = Map::new();
    for (part, doc) in PARTS {
        let schema = match part {
            "stead" => json!({ "$ref": "#/$defs/stead" }),
            part => json!({
                "type": "object",
                "description": doc,
                "propertyNames": { "pattern": NAME_PATTERN },
                "additionalProperties": { "$ref": format!("#/$defs/{}", part.trim_end_matches('s')) },
            }),
        };
        parts.insert(part.into(), schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stead.toml",
        "description": "A stead file: machines, their networks, and the sessions in them.",
        "type": "object",
        "properties": parts,
        "additionalProperties": false,
        "$defs": {
            "stead": STEAD.schema(),
            "machine": MACHINE.schema(),
            "network": NETWORK.schema(),
            "system": SYSTEM.schema(),
            "session": SESSION.schema(),
        },
    })
}
