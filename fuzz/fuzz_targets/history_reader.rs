//! A history's segment of any bytes: never a panic, and what is read is in order and adds up.
//!
//! Checksums would stop nearly every input at the door, so a first byte that is odd asks for them to be put right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_hold::history::{Item, read_segment};

const START: usize = 16;
const HEADER: usize = 52;
const TRAILER: usize = 4;

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        put_checksums_right(&mut bytes);
    }
    let (mut next, mut read) = (0u64, 0u64);
    let report = read_segment(&bytes, 0, |item| match item {
        Item::Chunk { offset, bytes, .. } => {
            assert!(offset == next && !bytes.is_empty());
            next += bytes.len() as u64;
            read += bytes.len() as u64;
        }
        Item::Missing { from, to } => {
            assert!(from == next && to > from);
            next = to;
        }
        Item::Event { offset, .. } => assert_eq!(offset, next),
    });
    assert_eq!(report.bytes, read);
    let spoilt: u64 = report.damage.iter().map(|d| d.len).sum();
    assert!(spoilt + report.torn <= bytes.len() as u64);
});

/// Makes the checksums of blocks agree with what they cover, one block after the other.
fn put_checksums_right(bytes: &mut [u8]) {
    let mut at = START;
    while bytes.len() >= at + HEADER {
        let word = |i: usize| u32::from_le_bytes(bytes[at + i..at + i + 4].try_into().unwrap());
        let body = (word(16) as usize).saturating_add(word(20) as usize);
        let end = at.saturating_add(HEADER).saturating_add(body);
        let Some(body) = bytes.get(at + HEADER..end) else { return };
        let crc = crc32fast::hash(body);
        bytes[at..at + 4].copy_from_slice(&[0x9e, b'S', b'B', 1]);
        bytes[at + 48..at + 52].copy_from_slice(&crc.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&(at as u64).to_le_bytes());
        crc.update(&bytes[at + 8..at + HEADER]);
        let crc = crc.finalize();
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at = end + TRAILER;
    }
}
