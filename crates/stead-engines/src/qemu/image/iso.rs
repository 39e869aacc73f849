//! Small read-only disks with a few files in one folder: ISO 9660 with the names of Joliet, which every system reads.

use std::io::{self, Write};

const SECTOR: usize = 2048;
/// Sectors 0 to 15 are nobody's; then come three descriptors, two tables of folders in two byte orders, two folders.
const TABLES: u32 = 19;
const FOLDER: u32 = 23;
const JOLIET_FOLDER: u32 = 24;
const FILES: u32 = 25;
/// What Joliet calls its names, UCS-2 with all characters.
const JOLIET: &[u8] = b"%/E";
const NAMES: usize = 64;

/// One file: its name, at most 64 characters, and its content.
pub type File<'a> = (&'a str, &'a [u8]);

/// Writes a disk with this label and these files.
///
/// # Errors
/// If it cannot be written, or does not hold so much.
pub fn write(to: &mut impl Write, label: &str, files: &[File]) -> io::Result<()> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let mut next = FILES;
    let mut placed = Vec::new();
    for (number, (name, content)) in files.iter().enumerate() {
        if name.encode_utf16().count() > NAMES {
            return Err(io::Error::other(format!("the name {name} is too long for a disk")));
        }
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        // Nobody reads this name where there is the other.
        placed.push((format!("FILE{number:04}.;1"), *name, next, size));
        next += size.div_ceil(SECTOR as u32);
    }
    let all = next;
    to.write_all(&vec![0; 16 * SECTOR])?;
    to.write_all(&descriptor(1, all, label, FOLDER, TABLES, TABLES + 1))?;
    to.write_all(&descriptor(2, all, label, JOLIET_FOLDER, TABLES + 2, TABLES + 3))?;
    to.write_all(&padded(b"\xffCD001\x01".to_vec()))?;
    for folder in [FOLDER, JOLIET_FOLDER] {
        for number in [folder.to_le_bytes(), folder.to_be_bytes()] {
            let one = if number == folder.to_le_bytes() { [1, 0] } else { [0, 1] };
            let table = [&[1, 0][..], &number, &one, &[0, 0]].concat();
            to.write_all(&padded(table))?;
        }
    }
    for (folder, joliet) in [(FOLDER, false), (JOLIET_FOLDER, true)] {
        let mut records = record(&[0], folder, SECTOR as u32, true);
        records.extend(record(&[1], folder, SECTOR as u32, true));
        for (plain, name, at, size) in &placed {
            let name = if joliet { wide(name) } else { plain.clone().into_bytes() };
            records.extend(record(&name, *at, *size, false));
        }
        if records.len() > SECTOR {
            return Err(io::Error::other("too many files for a disk"));
        }
        to.write_all(&padded(records))?;
    }
    for (_, content) in &files {
        to.write_all(content)?;
        to.write_all(&[0; SECTOR][..content.len().wrapping_neg() % SECTOR])?;
    }
    to.flush()
}

/// What says where everything is: kind 1 in plain names, kind 2 in Joliet's.
fn descriptor(kind: u8, all: u32, label: &str, folder: u32, little: u32, big: u32) -> Vec<u8> {
    let joliet = kind == 2;
    let mut bytes = vec![0; SECTOR];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let text = |text: &str, room: usize| {
        let mut text = if joliet { wide(text) } else { text.as_bytes().to_vec() };
        while text.len() < room {
            text.extend(if joliet { &[0, b' '][..] } else { b" " });
        }
        text.truncate(room);
        text
    };
    put(0, &[kind]);
    put(1, b"CD001\x01");
    put(8, &text("", 32));
    put(40, &text(label, 32));
    put(80, &both(all));
    if joliet {
        put(88, JOLIET);
    }
    put(120, &[1, 0, 0, 1]);
    put(124, &[1, 0, 0, 1]);
    put(128, &[0, 8, 8, 0]);
    put(132, &both(10));
    put(140, &little.to_le_bytes());
    put(148, &big.to_be_bytes());
    put(156, &record(&[0], folder, SECTOR as u32, true));
    put(190, &text("", 813 - 190));
    for date in [813, 830, 847, 864] {
        put(date, b"0000000000000000\0");
    }
    put(881, &[1]);
    bytes
}

/// An entry of a folder.
fn record(name: &[u8], at: u32, size: u32, folder: bool) -> Vec<u8> {
    let length = (33 + name.len()).next_multiple_of(2);
    let mut bytes = vec![length as u8, 0];
    bytes.extend(both(at));
    bytes.extend(both(size));
    // The first of January 2000.
    bytes.extend([100, 1, 1, 0, 0, 0, 0]);
    bytes.extend([if folder { 2 } else { 0 }, 0, 0, 1, 0, 0, 1, name.len() as u8]);
    bytes.extend(name);
    bytes.resize(length, 0);
    bytes
}

fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(SECTOR, 0);
    bytes
}
