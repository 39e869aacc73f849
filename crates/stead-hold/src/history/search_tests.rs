//! Searching finds what a simple search of the whole text finds.

use super::search::{Match, Options, Pattern, search};
use super::segment::list;
use super::strip::{Stripper, Text};
use super::tests::noise;
use super::*;
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::path::Path;

fn find(dir: &Path, pattern: &Pattern, options: &Options) -> Vec<Match> {
    let mut found = Vec::new();
    search(dir, pattern, options, |m| {
        found.push(m);
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn lines_with(dir: &Path, pattern: &Pattern) -> Vec<String> {
    find(dir, pattern, &Options::default()).into_iter().map(|m| m.line).collect()
}

/// What should be found: the whole output stripped at once, line by line.
fn expected(raw: &[u8], regex: &regex::bytes::Regex) -> Vec<(u64, String)> {
    let (mut stripper, mut text) = (Stripper::default(), Text::default());
    stripper.strip(raw, 0, &mut text);
    let (mut at, mut lines) = (0, Vec::new());
    for line in text.bytes.split_inclusive(|b| *b == b'\n') {
        let shown = line.strip_suffix(b"\n").unwrap_or(line);
        let shown = shown.strip_suffix(b"\r").unwrap_or(shown);
        if let Some(m) = regex.find(shown) {
            lines.push((text.offset(at + m.start()), String::from_utf8_lossy(shown).into_owned()));
        }
        at += line.len();
    }
    lines
}

/// Writes the pieces, with a flush after some and a new segment at the first piece that begins at `cut` or later.
fn write(dir: &Path, pieces: &[(Vec<u8>, bool)], cut: usize) -> Vec<u8> {
    let mut writer = Writer::open(dir).unwrap();
    let mut all: Vec<u8> = Vec::new();
    let mut is_cut = false;
    for (piece, flush) in pieces {
        if all.len() >= cut && !is_cut {
            is_cut = true;
            writer.flush();
            writer.next_segment();
        }
        // The time of each byte is its offset: what is found can be checked.
        for (i, byte) in piece.iter().enumerate() {
            writer.output((all.len() + i) as u64, &[*byte]);
        }
        all.extend_from_slice(piece);
        if *flush {
            writer.flush();
        }
    }
    all
}

fn pieces() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let text = prop_oneof![
        4 => "[abc ]{0,12}",
        2 => Just("\r\n".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\x1b[1m".to_owned()),
        1 => Just("\x1b[3;1H".to_owned()),
        1 => Just("\x1b]0;abc".to_owned()),
        1 => Just("\x07".to_owned()),
        1 => Just("é".to_owned()),
    ];
    let bytes = prop_oneof![
        9 => text.prop_map(String::into_bytes),
        1 => Just(b"\x1b[".to_vec()),
        1 => Just(b"\xff".to_vec()),
    ];
    proptest::collection::vec((bytes, proptest::bool::weighted(0.2)), 0..60)
}

const PATTERNS: &[&str] =
    &["ab", "a b", "c$", "^a", "a.*c", r"\s", "[^a]b", r"\Aa", "(?i)AB", "b*", "é", "$"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_matching_line_is_found(pieces in pieces(), which in 0..PATTERNS.len(), cut in 0usize..200) {
        let dir = tempfile::tempdir().unwrap();
        let all = write(dir.path(), &pieces, cut);
        let pattern = Pattern::regex(PATTERNS[which], false).unwrap();
        let found = find(dir.path(), &pattern, &Options::default());
        // An empty match at the end of a line is not at a byte.
        let is_at_byte = !["b*", "$"].contains(&PATTERNS[which]);
        prop_assert!(!is_at_byte || found.iter().all(|m| m.offset == m.at_ms));
        let found: Vec<_> = found.into_iter().map(|m| (m.offset, m.line)).collect();
        let want = expected(&all, &regex::bytes::Regex::new(PATTERNS[which]).unwrap());
        prop_assert_eq!(found.iter().map(|f| &f.1).collect::<Vec<_>>(), want.iter().map(|w| &w.1).collect::<Vec<_>>());
        prop_assert!(!is_at_byte || found == want);
    }
}

#[test]
fn a_match_says_where_and_when() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.output(1000, b"first line\r\nthe \x1b[31mne");
    writer.output(2000, b"ed\x1b[mle here, needle th");
    writer.flush();
    writer.output(3000, b"ere\r\nlast");
    writer.flush();
    let needle = Pattern::literal("needle", false).unwrap();
    let found = find(dir.path(), &needle, &Options::default());
    let line = "the needle here, needle there".to_owned();
    assert_eq!(found, [Match { offset: 21, at_ms: 1000, line, ranges: vec![4..10, 17..23] }]);
    assert!(find(dir.path(), &needle, &Options { since_ms: 1001, threads: 1 }).is_empty());
    let last = Pattern::literal("LAST", true).unwrap();
    assert_eq!(lines_with(dir.path(), &last), ["last"]);
    assert!(lines_with(dir.path(), &Pattern::literal("LAST", false).unwrap()).is_empty());
}

#[test]
fn many_segments_give_their_matches_in_order_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let filler: Vec<u8> = noise(1000).into_iter().filter(|b| *b >= 0x20 && *b != 0x7f).collect();
    for i in 0..60_000 {
        writer.output(i, format!("line {i} ").as_bytes());
        writer.output(i, &filler);
        writer.output(i, b"\r\n");
    }
    drop(writer);
    assert!(list(dir.path()).unwrap().len() >= 3);
    let pattern = Pattern::regex(r"^line \d+ ", false).unwrap();
    let found = find(dir.path(), &pattern, &Options::default());
    assert_eq!(found.len(), 60_000);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(i, m)| m.at_ms == i as u64 && m.line.starts_with(&format!("line {i} ")))
    );
    let mut seen = 0;
    search(dir.path(), &pattern, &Options { threads: 3, since_ms: 0 }, |_| {
        seen += 1;
        if seen == 500 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 500);
}

#[test]
fn patterns_that_are_none_are_refused() {
    assert!(Pattern::literal("", false).is_err());
    assert!(Pattern::regex("a(", false).is_err());
}
