//! What goes in comes out.

use super::*;
use proptest::prelude::*;
use std::path::Path;
use stead_wire::session::Size;

/// A history as a list: every byte with its time, and the events with the offset they stand at.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct All {
    pub bytes: Vec<u8>,
    pub times: Vec<u64>,
    pub events: Vec<(u64, u64, Event)>,
    pub missing: Vec<(u64, u64)>,
    pub first: Option<u64>,
}

/// Bytes that do not compress.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

pub(super) fn read(mut cursor: Cursor) -> All {
    let mut all = All::default();
    take(&mut cursor, &mut all);
    all
}

pub(super) fn take(cursor: &mut Cursor, all: &mut All) {
    while let Some(item) = cursor.next_item().unwrap() {
        match item {
            Item::Chunk { offset, at_ms, bytes } => {
                assert!(!bytes.is_empty());
                let first = *all.first.get_or_insert(offset);
                let lost: u64 =
                    all.missing.iter().filter(|m| m.0 >= first).map(|m| m.1 - m.0).sum();
                assert_eq!(offset, first + all.bytes.len() as u64 + lost);
                all.bytes.extend_from_slice(bytes);
                all.times.resize(all.bytes.len(), at_ms);
            }
            Item::Event { offset, at_ms, event } => all.events.push((offset, at_ms, event)),
            Item::Missing { from, to } => all.missing.push((from, to)),
        }
    }
}

pub(super) fn read_all(dir: &Path) -> All {
    read(Reader::open(dir).unwrap().from(0))
}

#[derive(Debug, Clone)]
enum Act {
    Output(u64, Vec<u8>),
    Event(u64, Event),
    Flush,
    Reopen,
    StepBack(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..200_000).prop_map(|(b, n)| vec![b; n]),
        "[ -~\r\n]{0,80}".prop_map(String::into_bytes),
    ];
    let event = prop_oneof![
        (any::<u32>(), 1u16..300, 1u16..99)
            .prop_map(|(life, cols, rows)| Event::Started { life, size: Size { cols, rows } }),
        (1u16..300, 1u16..99).prop_map(|(cols, rows)| Event::Resized(Size { cols, rows })),
        any::<(Option<i32>, Option<i32>)>()
            .prop_map(|(code, signal)| Event::Exited { code, signal }),
    ];
    let act = prop_oneof![
        8 => (0u64..3000, bytes).prop_map(|(ms, bytes)| Act::Output(ms, bytes)),
        2 => (0u64..10, event).prop_map(|(ms, event)| Act::Event(ms, event)),
        2 => Just(Act::Flush),
        1 => Just(Act::Reopen),
        1 => (0u64..1_000_000).prop_map(Act::StepBack),
    ];
    proptest::collection::vec(act, 0..40)
}

/// Does it all; returns what was printed and the events. Times are left out when the clock stepped.
fn perform(dir: &Path, acts: &[Act]) -> (All, bool) {
    let (mut now, mut stepped) = (1_700_000_000_000u64, false);
    let mut all = All::default();
    let mut writer = Writer::open(dir).unwrap();
    for act in acts {
        match act {
            Act::Output(ms, bytes) => {
                now += ms;
                writer.output(now, bytes);
                all.bytes.extend_from_slice(bytes);
                all.times.resize(all.bytes.len(), now);
            }
            Act::Event(ms, event) => {
                now += ms;
                writer.event(now, event);
                all.events.push((all.bytes.len() as u64, now, event.clone()));
            }
            Act::Flush => assert!(writer.flush()),
            Act::Reopen => {
                drop(writer);
                writer = Writer::open(dir).unwrap();
            }
            Act::StepBack(ms) => {
                now -= ms;
                stepped = true;
            }
        }
        assert_eq!(writer.offset(), all.bytes.len() as u64);
    }
    all.first = (!all.bytes.is_empty()).then_some(0);
    (all, stepped)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(acts in acts(), from in 0.0f64..1.1, len in 0usize..100_000) {
        let dir = tempfile::tempdir().unwrap();
        let (all, stepped) = perform(dir.path(), &acts);
        let reader = Reader::open(dir.path()).unwrap();
        let mut back = read(reader.from(0));
        prop_assert_eq!(reader.end().unwrap(), all.bytes.len() as u64);
        if stepped {
            back.times.clone_from(&all.times);
            for (back, event) in back.events.iter_mut().zip(&all.events) {
                back.1 = event.1;
            }
        }
        prop_assert!(back == all);

        let from = (from * all.bytes.len() as f64) as usize;
        let rest = read(reader.from(from as u64));
        prop_assert!(rest.bytes == all.bytes.get(from..).unwrap_or_default());
        prop_assert!(rest.missing.is_empty());
        let tail = reader.tail(len).unwrap();
        let want = &all.bytes[all.bytes.len().saturating_sub(len)..];
        prop_assert!(tail.bytes == want);
        prop_assert!(want.is_empty() || tail.offset as usize == all.bytes.len() - want.len());

        if !stepped && let Some(&since) = all.times.get(from) {
            let rest = read(reader.since(since));
            let at = all.times.iter().position(|t| *t >= since).unwrap();
            prop_assert!(rest.bytes == all.bytes[at..]);
            prop_assert!(rest.times == all.times[at..]);
        }
    }
}

#[test]
fn a_cursor_follows_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut cursor = Reader::open(dir.path()).unwrap().from(0);
    assert_eq!(cursor.next_item().unwrap(), None);
    let mut writer = Writer::open(dir.path()).unwrap();
    let (mut want, mut all) = (Vec::new(), All::default());
    let noise = noise(3_000_000);
    for i in 0..20u8 {
        writer.output(u64::from(i), &[i; 10]);
        writer.output(u64::from(i), &noise);
        writer.flush();
        want.extend_from_slice(&[i; 10]);
        want.extend_from_slice(&noise);
        take(&mut cursor, &mut all);
        assert!(all.bytes == want, "round {i}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 2, "several segments were wanted");
    let tail = Reader::open(dir.path()).unwrap().tail(20_000_000).unwrap();
    assert!(tail.bytes == want[want.len() - 20_000_000..]);
}

#[test]
fn a_burst_leaves_no_memory_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.due(), None);
    writer.output(0, &vec![b'x'; 64 * 1024 * 8]);
    assert!(writer.memory() > 64 * 1024);
    assert!(writer.due().is_some(), "an empty writer with memory to give back must be called");
    writer.flush();
    assert_eq!(writer.due(), None);
    assert!(writer.memory() <= 8192, "{} bytes kept", writer.memory());
}

#[test]
fn output_waits_a_second_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let before = crate::clock::steady_ms();
    writer.output(0, b"x");
    let due = writer.due().unwrap();
    writer.output(0, b"y");
    assert_eq!(writer.due(), Some(due), "the first byte decides");
    assert!(due >= before + 1000 && due <= crate::clock::steady_ms() + 1000);
    assert_eq!(Reader::open(dir.path()).unwrap().end().unwrap(), 0);
    assert!(writer.flush());
    assert_eq!(Reader::open(dir.path()).unwrap().end().unwrap(), 2);
}

#[test]
fn a_reader_beside_a_busy_writer_sees_only_what_is_whole() {
    const LINES: u64 = 400_000;
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Writer::open(dir.path()).unwrap();
            for line in 0..LINES {
                writer.output(line, format!("{line:079}\n").as_bytes());
                if line % 97 == 0 {
                    assert!(writer.flush());
                }
            }
        });
        let mut cursor = Reader::open(dir.path()).unwrap().from(0);
        let mut got = Vec::new();
        let mut next = 0;
        while next < LINES {
            match cursor.next_item().unwrap() {
                None => std::thread::yield_now(),
                Some(Item::Chunk { bytes, .. }) => got.extend_from_slice(bytes),
                Some(other) => panic!("{other:?}"),
            }
            let whole = got.len() - got.len() % 80;
            for line in got[..whole].chunks(80) {
                assert_eq!(std::str::from_utf8(&line[..79]).unwrap().parse(), Ok(next));
                next += 1;
            }
            got.drain(..whole);
        }
    });
    assert!(Reader::open(dir.path()).unwrap().check().unwrap().is_whole());
}
