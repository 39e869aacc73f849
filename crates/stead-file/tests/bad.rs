//! Bad stead files, each with what a person is told, kept in `tests/bad` and `tests/warned`.

mod common;

use common::{cases, compare, context};
use std::fs;

#[test]
fn every_bad_file_is_refused_with_its_message() {
    let cases = cases("tests/bad");
    assert!(cases.len() >= 75, "only {} bad files", cases.len());
    let mut differences = Vec::new();
    for path in &cases {
        let text = fs::read_to_string(path).unwrap();
        match stead_file::read(&text, &context()) {
            Err(report) => {
                differences.extend(compare(&path.with_extension("txt"), &report.plain()));
            }
            Ok(_) => differences.push(format!("{} is read without an error\n", path.display())),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_doubtful_file_is_read_with_its_warning() {
    let mut differences = Vec::new();
    for path in cases("tests/warned") {
        let text = fs::read_to_string(&path).unwrap();
        match stead_file::read(&text, &context()) {
            Ok(checked) => {
                assert_eq!(checked.warnings.errors(), 0);
                differences.extend(compare(&path.with_extension("txt"), &checked.warnings.plain()));
            }
            Err(report) => differences.push(report.plain()),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn no_kept_message_lacks_its_file() {
    for folder in ["tests/bad", "tests/warned"] {
        let cases = cases(folder);
        let folder = cases[0].parent().unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            assert!(cases.contains(&entry.unwrap().path().with_extension("toml")));
        }
    }
}
