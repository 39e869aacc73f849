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
    fn lines_with_any_value(lines in prop::collection::vec(("[a-z_]{1,9}", "\"[^\"\\\\\n]{0,12}\"|[0-9.-]{1,8}|\\[[0-9\", ]{0,9}\\]"), 0..8)) {
        let lines = lines.iter().map(|(key, value)| format!("{key} = {value}\n"));
        survives(&format!("[machines.box]\n{}", lines.collect::<String>()));
    }
}

#[test]
fn every_beginning_of_every_bad_file() {
    for path in cases("tests/bad") {
        let text = fs::read_to_string(path).unwrap();
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
