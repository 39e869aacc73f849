//! Whether a history is whole.

use super::segment::{Scanner, SegmentFile};
use super::walk::{Begin, Item, Walk};
use super::{Event, HistoryError, Reader};
use std::path::PathBuf;

/// What [`Reader::check`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments read.
    pub segments: usize,
    /// Whole blocks read.
    pub blocks: u64,
    /// Bytes of output that are there.
    pub bytes: u64,
    /// Offset after the last of them.
    pub end: u64,
    /// Pieces of files that are not what was written. Damage that costs no output is here as well.
    pub damage: Vec<Damage>,
    /// Output that is not there.
    pub missing: Vec<Missing>,
    /// Bytes at the very end that are no whole block: one that is being written, or that the death of the
    /// writer cut short.
    pub torn: u64,
}

/// A piece of a file that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in the file it begins, in bytes.
    pub position: u64,
    /// How long it is, in bytes.
    pub len: u64,
    /// What is wrong, in a few words.
    pub what: &'static str,
}

/// Output that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Offset of its first byte.
    pub from: u64,
    /// Offset after its last byte.
    pub to: u64,
    /// Why, if the writer wrote it down.
    pub reason: Option<String>,
}

impl Report {
    /// Whether nothing is damaged and nothing missing.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.missing.is_empty()
    }

    fn add(&mut self, item: Item<'_>) {
        match item {
            Item::Chunk { offset, bytes, .. } => {
                self.bytes += bytes.len() as u64;
                self.end = offset + bytes.len() as u64;
            }
            Item::Missing { from, to } => self.missing.push(Missing { from, to, reason: None }),
            Item::Event { offset, event: Event::Gap { reason, .. }, .. } => {
                if let Some(missing) = self.missing.last_mut().filter(|m| m.to == offset) {
                    missing.reason = Some(reason);
                }
            }
            Item::Event { .. } => {}
        }
    }
}

impl Reader {
    /// Reads everything and verifies every checksum.
    ///
    /// # Errors
    /// If the folder or a segment cannot be read, or a later version wrote it.
    pub fn check(&self) -> Result<Report, HistoryError> {
        let mut cursor = self.from(0);
        cursor.thorough = true;
        let mut report = Report::default();
        while let Some(item) = cursor.next_item()? {
            report.add(item);
        }
        report.torn = cursor.finish()?;
        report.segments = cursor.segments;
        report.blocks = cursor.blocks;
        report.damage = cursor
            .bad
            .into_iter()
            .map(|(path, bad)| Damage {
                path,
                position: bad.position,
                len: bad.len,
                what: bad.what,
            })
            .collect();
        Ok(report)
    }
}

/// Reads a segment that lies in memory, from `first`, the offset that its name says; `visit` is given
/// everything in it. For tools, and for tests of the parser with damaged input.
pub fn read_segment(bytes: &[u8], first: u64, mut visit: impl FnMut(Item<'_>)) -> Report {
    let mut report = Report { segments: 1, ..Report::default() };
    let mut walk = Walk::new(Scanner::new(bytes), first, Begin::Offset(0));
    walk.thorough = true;
    // Memory can always be read.
    while walk.advance().unwrap_or(false) {
        if let Some(item) = walk.item() {
            visit(item.clone());
            report.add(item);
        }
    }
    let path = SegmentFile::new(std::path::Path::new(""), first).path;
    report.torn = walk.torn().unwrap_or(0);
    report.blocks = walk.blocks;
    report.damage = walk
        .bad
        .iter()
        .map(|bad| Damage {
            path: path.clone(),
            position: bad.position,
            len: bad.len,
            what: bad.what,
        })
        .collect();
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Writer;
    use crate::history::block::Packed;
    use crate::history::segment::list;

    fn history() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        for i in 0..10u8 {
            writer.output(u64::from(i), &[b'a' + i; 100]);
            writer.flush();
        }
        dir
    }

    #[test]
    fn a_whole_history_is_whole() {
        let dir = history();
        let report = Reader::open(dir.path()).unwrap().check().unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.segments, report.blocks, report.bytes, report.end), (1, 10, 1000, 1000));
        assert_eq!(report.torn, 0);
    }

    #[test]
    fn damage_is_named_with_what_it_cost() {
        let dir = history();
        let path = list(dir.path()).unwrap().remove(0).path;
        let mut bytes = std::fs::read(&path).unwrap();
        let block = (bytes.len() - 16) / 10;
        bytes[16 + 3 * block + 60] ^= 1;
        bytes[16 + 5 * block + 9] ^= 1;
        bytes[16 + 8 * block - 1] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let report = Reader::open(dir.path()).unwrap().check().unwrap();
        let places: Vec<_> =
            report.damage.iter().map(|d| ((d.position as usize - 16) / block, d.what)).collect();
        assert_eq!(places, [(3, "a block's contents"), (5, "no block"), (7, "a block's trailer")]);
        assert!(report.damage.iter().all(|d| d.path == path && d.len as usize == block));
        let missing: Vec<_> = report.missing.iter().map(|m| (m.from, m.to)).collect();
        assert_eq!(missing, [(300, 400), (500, 600)]);
        assert_eq!(report.bytes, 800);
        assert_eq!(read_segment(&bytes, 0, |_| {}).missing, report.missing);
    }

    #[test]
    fn a_block_out_of_order_is_not_delivered() {
        let mut bytes = crate::history::segment::START.to_vec();
        for (offset, raw) in [(0, b"aaa"), (1, b"bbb"), (3, b"ccc")] {
            let mut packed = Packed::new(raw, offset, Vec::new());
            let block = packed.bind(bytes.len() as u64, 0).to_vec();
            bytes.extend_from_slice(&block);
        }
        let mut got = Vec::new();
        let report = read_segment(&bytes, 0, |item| match item {
            Item::Chunk { bytes, .. } => got.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        });
        assert_eq!(got, b"aaaccc");
        assert_eq!(report.damage.len(), 1);
    }
}
