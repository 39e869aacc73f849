//! The schema agrees with reading: what is good for one is good for the other, and both know the same keys.

mod common;

use common::{compare, context, examples, workspace};
use serde_json::{Map, Value as Json, json};
use std::fs;

/// A small strict checker of JSON Schema: a word it does not know is an error of the schema.
struct Checker(Json);

impl Checker {
    fn new() -> Self {
        Checker(stead_file::schema())
    }

    fn text(&self, toml: &str) -> Result<(), String> {
        let table: Map<String, Json> = toml::from_str(toml).unwrap();
        self.check(&self.0, &Json::Object(table), "file")
    }

    fn check(&self, schema: &Json, value: &Json, at: &str) -> Result<(), String> {
        let schema = schema.as_object().expect("a schema is an object");
        for (word, wanted) in schema {
            let good = match word.as_str() {
                "$schema" | "title" | "description" | "examples" | "$defs" => true,
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#").unwrap();
                    self.check(
                        self.0.pointer(name).expect("the reference leads somewhere"),
                        value,
                        at,
                    )?;
                    true
                }
                "type" => match wanted.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                },
                "enum" => wanted.as_array().unwrap().contains(value),
                "pattern" => value.as_str().is_none_or(|text| {
                    regex::Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)
                }),
                "minLength" => {
                    value.as_str().is_none_or(|text| text.len() as u64 >= wanted.as_u64().unwrap())
                }
                "minItems" => value
                    .as_array()
                    .is_none_or(|list| list.len() as u64 >= wanted.as_u64().unwrap()),
                "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
                "exclusiveMinimum" => {
                    value.as_f64().is_none_or(|number| number > wanted.as_f64().unwrap())
                }
                "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
                "anyOf" => {
                    wanted.as_array().unwrap().iter().any(|one| self.check(one, value, at).is_ok())
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check(wanted, item, at)?;
                    }
                    true
                }
                "required" => wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| value.get(key.as_str().unwrap()).is_some()),
                "properties" => {
                    for (key, schema) in wanted.as_object().unwrap() {
                        if let Some(value) = value.get(key) {
                            self.check(schema, value, key)?;
                        }
                    }
                    true
                }
                "propertyNames" => {
                    for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
                        self.check(wanted, &json!(key), key)?;
                    }
                    true
                }
                "additionalProperties" => {
                    let known = schema.get("properties").and_then(Json::as_object);
                    let others = value.as_object().into_iter().flatten();
                    for (key, value) in others
                        .filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)))
                    {
                        if wanted == &json!(false) {
                            return Err(format!("{at} has no key {key}"));
                        }
                        self.check(wanted, value, key)?;
                    }
                    true
                }
                other => panic!("the checker does not know `{other}`"),
            };
            if !good {
                return Err(format!("{at}: {value} is against {word} {wanted}"));
            }
        }
        Ok(())
    }
}

/// The first file with the `#` taken away from every key.
fn uncommented() -> String {
    let init = stead_file::init("home");
    let lines = init.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_file_is_good_as_it_is() {
    let checked = stead_file::read(&stead_file::init("home"), &context()).unwrap();
    assert_eq!(checked.warnings.plain(), "");
    let declared = checked.declaration;
    assert_eq!(declared.name, "home");
    assert_eq!(declared.machines.keys().collect::<Vec<_>>(), ["box"]);
    let odd = stead_file::init("a \"b\"\nc");
    assert_eq!(stead_file::read(&odd, &context()).unwrap().declaration.name, "a--b--c");
}

#[test]
fn the_first_file_is_good_with_every_key() {
    let text = uncommented();
    let checked =
        stead_file::read(&text, &context()).unwrap_or_else(|report| panic!("{}", report.plain()));
    assert_eq!(checked.warnings.plain(), "");
    assert_eq!(checked.declaration.sessions.len() + checked.declaration.networks.len(), 2);
    // Every key that the schema knows is shown.
    let schema = stead_file::schema();
    for table in ["machine", "network", "system", "session"] {
        for key in schema["$defs"][table]["properties"].as_object().unwrap().keys() {
            assert!(
                text.lines().any(|line| line.starts_with(&format!("{key} = "))),
                "{key} is not in the first file"
            );
        }
    }
}

#[test]
fn good_files_are_good_for_the_schema() {
    let checker = Checker::new();
    for path in examples() {
        let path = workspace("examples").join(path);
        checker
            .text(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    checker.text(&stead_file::init("home")).unwrap();
    checker.text(&uncommented()).unwrap();
    checker.text("").unwrap();
}

#[test]
fn bad_forms_are_bad_for_the_schema() {
    let checker = Checker::new();
    let mut names: Vec<&str> = "defaults-text dns egress-network image-bad image-spelling machine-array machine-text machines-array \
         machines-text name-bad-characters name-of-stead name-too-long ports-form session-machine-missing \
         session-restart size-bare-number size-no-number size-unit stead-text type-date type-env type-flag type-keep type-list \
         type-list-item type-many type-memory unknown-key-egress unknown-key-elsewhere unknown-key-far unknown-key-keep \
         unknown-key-near unknown-key-of-another-table unknown-key-stead unknown-key-top unknown-table-far unknown-table-near"
        .split_whitespace()
        .collect();
    names.retain(|name| {
        let path = workspace("crates/stead-file/tests/bad").join(name).with_extension("toml");
        checker.text(&fs::read_to_string(path).unwrap()).is_ok()
    });
    assert_eq!(names, Vec::<&str>::new(), "the schema lets these pass");
}

#[test]
fn reading_and_the_schema_know_the_same_keys() {
    let schema = stead_file::schema();
    for (table, head) in [
        ("stead", "[stead]"),
        ("machine", "[machines.x]"),
        ("network", "[networks.x]"),
        ("session", "[sessions.x]"),
    ] {
        let properties = schema["$defs"][table]["properties"].as_object().unwrap();
        for (key, one) in properties {
            // Known to reading: what is wrong is the date, not the key.
            let text = format!("{head}\n{key} = 2026-01-01\n");
            let report = stead_file::read(&text, &context()).unwrap_err();
            let messages: Vec<_> = report.problems.iter().map(|problem| &problem.message).collect();
            assert!(
                messages
                    .iter()
                    .any(|message| message.contains("not a date") || message.contains("must be")),
                "{messages:?}"
            );
            assert!(!messages.iter().any(|message| message.contains("has no key")), "{messages:?}");
            assert!(one["description"].as_str().is_some_and(|text| text.ends_with('.')), "{key}");
            Checker(schema.clone()).check(one, &one["examples"][0], key).unwrap();
        }
        // And the list that reading gives names no other.
        let text = format!("{head}\nzzzzzzzzzzzzzz = 1\n");
        let report = stead_file::read(&text, &context()).unwrap_err();
        let help = report.problems.iter().find_map(|problem| {
            problem.help.as_deref().filter(|help| help.contains("its keys are"))
        });
        let known: Vec<_> = help.unwrap().split('`').skip(1).step_by(2).collect();
        assert_eq!(known.len(), properties.len());
        assert!(known.iter().all(|key| properties.contains_key(*key)));
    }
}

#[test]
fn the_page_of_the_manual_is_what_the_keys_say() {
    let difference = compare(&workspace("docs/stead-file.md"), &stead_file::page());
    assert!(difference.is_none(), "{}", difference.unwrap());
}
