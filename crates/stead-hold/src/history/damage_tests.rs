//! Damage, torn ends and dead writers.

use super::segment::list;
use super::tests::{All, noise, read, read_all};
use super::*;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// A small history with blocks of several kinds; returns each block's place in its file and in the output.
fn small(dir: &Path) -> (Vec<u8>, Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut writer = Writer::open(dir).unwrap();
    let (mut all, mut ends) = (Vec::new(), vec![16]);
    for i in 0..12u8 {
        let piece = match i % 4 {
            0 => vec![i; 40],
            1 => noise(60),
            2 => b"a line of a log\r\n".repeat(usize::from(i)),
            _ => vec![b'x'],
        };
        if i == 5 {
            writer.event(u64::from(i), &Event::Exited { code: Some(1), signal: None });
        }
        writer.output(u64::from(i) * 10, &piece);
        assert!(writer.flush());
        all.extend_from_slice(&piece);
        ends.push(fs::metadata(&list(dir).unwrap()[0].path).unwrap().len() as usize);
    }
    let file = fs::read(&list(dir).unwrap()[0].path).unwrap();
    (all, file, ends.windows(2).map(|w| w[0]..w[1]).collect())
}

#[test]
fn a_segment_cut_anywhere_gives_an_exact_prefix_and_can_be_continued() {
    let dir = tempfile::tempdir().unwrap();
    let (all, file, blocks) = small(dir.path());
    let path = &list(dir.path()).unwrap()[0].path;
    let whole = read_all(dir.path());
    for cut in 0..=file.len() {
        fs::write(path, &file[..cut]).unwrap();
        let left = blocks.iter().filter(|b| b.end <= cut).count();
        let got = read_all(dir.path());
        let len = got.bytes.len();
        assert!(got.bytes == all[..len] && got.missing.is_empty(), "cut at {cut}");
        assert_eq!(got.times, whole.times[..len]);
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(reader.check().unwrap().blocks as usize, left, "cut at {cut}");
        assert_eq!(reader.end().unwrap() as usize, len, "cut at {cut}");
        assert_eq!(reader.tail(30).unwrap().bytes, all[len.saturating_sub(30)..len]);

        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(writer.offset() as usize, len, "cut at {cut}");
        writer.output(999, b"and on");
        assert!(writer.flush());
        let again = read_all(dir.path());
        assert_eq!(again.bytes, [&all[..len], b"and on"].concat(), "cut at {cut}");
        let report = reader.check().unwrap();
        assert!(report.is_whole() && report.torn == 0, "cut at {cut}");
    }
}

#[test]
fn a_flipped_byte_costs_its_block_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (all, file, blocks) = small(dir.path());
    let path = &list(dir.path()).unwrap()[0].path;
    let raw: Vec<_> = {
        let mut at = 0;
        let mut sizes = Vec::new();
        for block in &blocks {
            let len =
                u32::from_le_bytes(file[block.start + 12..][..4].try_into().unwrap()) as usize;
            sizes.push(at..at + len);
            at += len;
        }
        sizes
    };
    for at in 0..file.len() {
        for flip in [1u8, 0x80, 0xff] {
            let mut bad = file.clone();
            bad[at] ^= flip;
            fs::write(path, &bad).unwrap();
            let hit = blocks.iter().position(|b| b.contains(&at));
            // A block's last four bytes only serve reading from the end.
            let lost = hit.filter(|h| at < blocks[*h].end - 4).map_or(0..0, |h| raw[h].clone());
            let want = [&all[..lost.start], &all[lost.end..]].concat();
            let mut got = All::default();
            read_segment(&bad, 0, |item| match item {
                Item::Chunk { offset, bytes, .. } => {
                    assert_eq!(bytes, &all[offset as usize..][..bytes.len()], "byte {at}");
                    got.bytes.extend_from_slice(bytes);
                }
                Item::Missing { from, to } => got.missing.push((from, to)),
                Item::Event { .. } => {}
            });
            assert!(got.bytes == want, "byte {at}");
            let is_last = lost.end == all.len();
            let missing: Vec<_> = (!lost.is_empty() && !is_last)
                .then_some((lost.start as u64, lost.end as u64))
                .into_iter()
                .collect();
            assert_eq!(got.missing, missing, "byte {at}");
            assert_eq!(read_all(dir.path()).missing, missing);
            let tail = Reader::open(dir.path()).unwrap().tail(all.len()).unwrap();
            let end = if is_last && !lost.is_empty() { lost.start } else { all.len() };
            let from = if is_last { 0 } else { lost.end };
            assert!(all[from..end].ends_with(&tail.bytes), "byte {at}");
            if flip == 1 {
                // Whoever writes on leaves the damage alone and loses nothing more.
                let mut writer = Writer::open(dir.path()).unwrap();
                writer.output(999, b"and on");
                drop(writer);
                let again = read_all(dir.path());
                assert!(again.bytes == [&want[..], b"and on"].concat(), "byte {at}");
            }
        }
    }
}

#[test]
fn a_history_that_prints_a_history_is_not_mistaken() {
    // One of blocks whose offsets lie ahead.
    let other = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(other.path()).unwrap();
    writer.output(0, &noise(200_000));
    drop(writer);
    let (_, printed, _) = small(other.path());
    let printed = &printed[200_000..];
    let dir = tempfile::tempdir().unwrap();
    let (all, file, _) = small(dir.path());
    // Incompressible around it, so that the copy is stored as it is.
    let noise = noise(60_000);
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.output(1000, &[&noise[..30_000], &file, printed, &noise[30_000..]].concat());
    writer.flush();
    writer.output(1000, b"after");
    drop(writer);
    let path = &list(dir.path()).unwrap()[0].path;
    let mut bad = fs::read(path).unwrap();
    for copy in [&file[16..200], printed] {
        assert!(memchr::memmem::rfind(&bad, copy).is_some_and(|at| at > file.len()), "no copy");
    }
    bad[file.len() + 20] ^= 1;
    fs::write(path, &bad).unwrap();
    let got = read_all(dir.path());
    assert!(got.bytes == [&all[..], b"after"].concat());
    assert_eq!(got.missing.len(), 1);
}

#[test]
fn a_history_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000000000000.seg");
    fs::write(&path, b"stead history\n\x02\x00later").unwrap();
    let error = Writer::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    assert!(Reader::open(dir.path()).unwrap().from(0).next_item().is_err());
    assert_eq!(fs::read(&path).unwrap(), b"stead history\n\x02\x00later");
}

const DIR: &str = "STEAD_TEST_HISTORY_DIR";

/// The writer that the next test kills. Prints how much it has flushed.
#[test]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut writer = Writer::open(Path::new(&dir)).unwrap();
    let mut line = 0u64;
    loop {
        for _ in 0..=line % 200 {
            writer.output(crate::clock::now_ms(), format!("{line:015}\n").as_bytes());
            line += 1;
        }
        assert!(writer.flush());
        println!("flushed {}", writer.offset());
    }
}

#[test]
fn what_was_flushed_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut flushed = 0;
    for round in 0..50 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "history::damage_tests::child_writes_until_killed", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let instant = seed >> 58;
        let mut acknowledged = |line: &str| {
            if let Some(n) = line.trim().strip_prefix("flushed ").and_then(|n| n.parse().ok()) {
                flushed = n;
                return true;
            }
            false
        };
        let (mut count, mut line) = (0, String::new());
        while count <= instant {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "the writer ended by itself");
            count += u64::from(acknowledged(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
        whole.lines().for_each(|line| _ = acknowledged(line));

        let got = read(Reader::open(dir.path()).unwrap().from(0));
        assert!(got.missing.is_empty());
        assert!(
            got.bytes.len() as u64 >= flushed,
            "round {round}: {} < {flushed}",
            got.bytes.len()
        );
        // Each life begins at line 0 again, where the one before left off.
        let mut next = 0;
        for piece in got.bytes.split_inclusive(|b| *b == b'\n') {
            let number = std::str::from_utf8(&piece[..15]).unwrap().parse::<u64>().unwrap();
            assert!(number == next || number == 0, "round {round}");
            next = number + 1;
        }
        assert_eq!(Writer::open(dir.path()).unwrap().offset(), got.bytes.len() as u64);
    }
    assert!(Reader::open(dir.path()).unwrap().check().unwrap().is_whole());
}
