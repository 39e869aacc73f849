//! Arbitrary texts: reading ends without a panic, and every place it names is in the text.

mod common;

use common::{cases, context};
use proptest::prelude::*;
use std::fs;

fn survives(text: &str) {
    let context = context();
    let report = match stead_file::read(text, &context) {
        Ok(checked) => {
            assert_eq!(checked.warnings.errors(), 0);
            checked.warnings
        }
        Err(report) => {
            assert!(report.errors() > 0);
            report
        }
    };
    for problem in &report.problems {
        let also = problem.also.iter().map(|(span, _)| span);
        for span in std::iter::once(&problem.span).chain(also) {
            assert!(text.get(span.clone()).is_some(), "{span:?} is not in {text:?}");
        }
        assert!((1..=text.len() + 1).contains(&problem.line) && problem.column >= 1);
        assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem:?}");
    }
    assert_eq!(report.plain().is_empty(), report.problems.is_empty());
}

/// Pieces that stead files are made of, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "#",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\\",
        "\0",
        "[machines.box]\n",
        "[machines.a]\n",
        "[networks.lab]\n",
        "[sessions.s]\n",
        "[stead.defaults]\n",
        "[stead]\n",
        "memory",
        "cpus",
        "ports",
        "shares",
        "egress",
        "network",
        "persist",
        "ephemeral",
        "env",
        "keep",
        "state",
        "machine",
        "\"lab\"",
        "\"box\"",
        "\"8gb\"",
        "true",
        "1.5",
        "-1",
        "0x",
        "1979-05-27",
        "nan",
        "inf",
        "allow",
        "[\"8080:80\"]",
        "[\"~/a:/b\"]",
        "[\"github.com\"]",
        "{ count = 1 }",
        " = ",
        "ä",
        "\u{feff}",
        "💥",
    ]);
    prop_oneof![4 => known.prop_map(String::from), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn every_key_with_any_value(values in prop::collection::vec(value(), KEYS.len())) {
        let lines: Vec<_> = KEYS.iter().zip(&values).map(|(key, value)| format!("{key} = {value}")).collect();
        survives(&lines.join("\n"));
    }
}

/// Every key of the file, the first of a table with its header.
const KEYS: &[&str] = &[
    "[stead]\nname",
    "[stead.defaults]\nports",
    "state",
    "[networks.lab]\negress",
    "peers",
    "[machines.box]\nengine",
    "image",
    "cpus",
    "memory",
    "disk",
    "processes",
    "ephemeral",
    "persist",
    "state",
    "network",
    "egress",
    "ports",
    "host_ports",
    "dns",
    "shares",
    "show",
    "nested",
    "env",
    "keep",
    "running",
    "[sessions.s]\nmachine",
    "agent",
    "command",
    "cwd",
    "restart",
    "env",
];

/// A value that can be read, with a text of the kind that some key takes, or of any.
fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[0-9.]{0,12} ?[a-zA-Z]{0,4}",
        "[0-9.:\\[\\]/]{0,20}",
        "[~./:a-z]{0,20}",
        "[a-z0-9.*:/-]{0,20}",
        "[a-z '\"\\\\]{0,20}",
        any::<String>(),
    ];
    // JSON's texts are TOML's, but for DEL.
    let text =
        text.prop_map(|text| serde_json::to_string(&text.replace('\u{7f}', "")).unwrap()).boxed();
    prop_oneof![
        text.clone(),
        prop::collection::vec(text.clone(), 0..4)
            .prop_map(|items| format!("[{}]", items.join(", "))),
        text.prop_map(|text| format!("{{ allow = [{text}], age = {text}, {text} = {text} }}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").to_lowercase()),
        prop::sample::select(vec![
            "true",
            "0",
            "1",
            "65536",
            "nan",
            "-inf",
            "1979-05-27",
            "99999999999999999999"
        ])
        .prop_map(String::from),
    ]
}

#[test]
fn every_beginning_of_every_bad_file() {
    for path in cases("tests/bad") {
        let bytes = fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for (at, _) in text.char_indices() {
            survives(&text[..at]);
        }
    }
}

#[test]
fn depth_and_length_are_survived() {
    survives(&format!("a = {}", "[".repeat(10_000)));
    survives(&format!("a = {}", "{a=".repeat(10_000)));
    survives(&format!("[{}]", "a.".repeat(10_000)));
    survives(&"x\n".repeat(2_000));
    survives(&"[a\n".repeat(2_000));
    survives(&format!("[machines.box]\nports = [{}]", "\"8080:80\",".repeat(5_000)));
}
