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
        let bytes = fs::read(path).unwrap();
        match stead_file::read_bytes(&bytes, &context()) {
            Err(report) => {
                differences.extend(compare(&path.with_extension("txt"), &report.plain()));
            }
            Ok(_) => differences.push(format!("{} is read without an error\n", path.display())),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whatever a file is, what is told of it fits a screen or two.
#[test]
fn huge_files_are_told_of_briefly() {
    let refused = |bytes: &[u8]| {
        let report = stead_file::read_bytes(bytes, &context()).unwrap_err();
        let told = report.plain();
        assert!(told.len() < 50_000, "{} bytes are told", told.len());
        assert!(told.lines().all(|line| line.chars().count() < 400), "{told}");
        told
    };
    let large = vec![b' '; stead_file::MAX_FILE + 1];
    assert!(stead_file::read_bytes(&large[1..], &context()).is_ok());
    let told = refused(&large);
    assert!(told.starts_with("stead.toml:1:1: a stead file has at most 1 MiB"), "{told}");
    let line = format!("a = \"{}\"\n[machines.box]\ncpu = 1", "x".repeat(500_000));
    refused(line.as_bytes());
    let many = "nonsense = 1\n".repeat(20_000);
    let named: Vec<String> = (0..20_000).map(|n| format!("nonsense-{n} = 1\n")).collect();
    let named = named.concat();
    assert!(refused(many.as_bytes()).contains("more\n"));
    assert!(refused(named.as_bytes()).ends_with("and 19950 more\n"));
    refused(format!("[machines.\"{}\"]", "x".repeat(500_000)).as_bytes());
    refused("[[[[[[\"".repeat(2_000).as_bytes());
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
