//! Reading a history, also while it is being written.

use super::HistoryError;
use super::block::Header;
use super::segment::{self, START, Scanner, SegmentFile, Source, Step};
use super::walk::{Bad, Begin, Item, Walk};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Reads a session's history.
#[derive(Debug, Clone)]
pub struct Reader {
    dir: PathBuf,
}

/// The last output of a history, or of what was asked for, without holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// Offset of the first byte.
    pub offset: u64,
    /// The output.
    pub bytes: Vec<u8>,
}

impl Reader {
    /// The history in `dir`. A folder that does not exist is an empty history.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(dir: &Path) -> Result<Reader, HistoryError> {
        segment::list(dir)?;
        Ok(Reader { dir: dir.to_owned() })
    }

    /// Everything from `offset` on. Segments and blocks before it are passed over unread.
    pub fn from(&self, offset: u64) -> Cursor {
        Cursor::new(&self.dir, Begin::Offset(offset))
    }

    /// Everything from the first output or event at or after `at_ms` (milliseconds since the Unix epoch).
    pub fn since(&self, at_ms: u64) -> Cursor {
        Cursor::new(&self.dir, Begin::Time(at_ms))
    }

    /// Offset after the last byte that has been written.
    ///
    /// # Errors
    /// If the folder or its last segment cannot be read.
    pub fn end(&self) -> Result<u64, HistoryError> {
        segment::list(&self.dir)?.last().map_or(Ok(0), segment_end)
    }

    /// The last `len` bytes, or fewer if there are fewer or output before them is missing. Reads only the
    /// blocks that hold them.
    ///
    /// # Errors
    /// If the folder or a segment cannot be read.
    pub fn tail(&self, len: usize) -> Result<Tail, HistoryError> {
        let mut tail = BlocksBack { want: len, ..BlocksBack::default() };
        for segment in segment::list(&self.dir)?.iter().rev() {
            if !tail.take_from(segment.open()?).map_err(|source| segment.error(source))? {
                break;
            }
        }
        Ok(tail.join())
    }
}

/// Offset after the last byte of a segment.
pub(super) fn segment_end(segment: &SegmentFile) -> Result<u64, HistoryError> {
    let last = Backwards::new(segment.open()?)
        .and_then(|mut blocks| blocks.next_block())
        .map_err(|source| segment.error(source))?;
    Ok(last.map_or(segment.first, |(_, header)| header.end()))
}

/// Unpacked blocks, the last one first.
#[derive(Default)]
struct BlocksBack {
    want: usize,
    have: usize,
    blocks: Vec<(u64, Vec<u8>)>,
}

impl BlocksBack {
    /// Takes blocks from the end of a segment. `false` if enough or no more is to be had.
    fn take_from<S: Source>(&mut self, scanner: Scanner<S>) -> io::Result<bool> {
        let mut back = Backwards::new(scanner)?;
        while self.have < self.want {
            let Some((position, header)) = back.next_block()? else { return Ok(true) };
            if self.blocks.last().is_some_and(|(offset, _)| header.end() != *offset) {
                return Ok(false);
            }
            if header.raw_len == 0 {
                continue;
            }
            let mut raw = Vec::new();
            match back.scanner.body(position, &header)? {
                Some(body) if header.unpack(body, &mut raw) => {}
                _ => return Ok(false),
            }
            self.have += raw.len();
            self.blocks.push((header.offset, raw));
        }
        Ok(false)
    }

    fn join(self) -> Tail {
        let Some((first, _)) = self.blocks.last() else { return Tail::default() };
        let too_many = self.have.saturating_sub(self.want);
        let offset = first + too_many as u64;
        let mut bytes = Vec::with_capacity(self.have);
        for (_, raw) in self.blocks.iter().rev() {
            bytes.extend_from_slice(raw);
        }
        bytes.drain(..too_many);
        Tail { offset, bytes }
    }
}

/// Walks over a segment's blocks from its end.
struct Backwards<S> {
    scanner: Scanner<S>,
    end: u64,
    /// Blocks before `end`, once trailers could not be followed.
    scanned: Option<Vec<(u64, Header)>>,
}

impl<S: Source> Backwards<S> {
    fn new(scanner: Scanner<S>) -> io::Result<Self> {
        let end = scanner.source().len()?;
        Ok(Backwards { scanner, end, scanned: None })
    }

    fn next_block(&mut self) -> io::Result<Option<(u64, Header)>> {
        if let Some(scanned) = &mut self.scanned {
            return Ok(scanned.pop());
        }
        if self.end <= START.len() as u64 {
            return Ok(None);
        }
        if let Some((position, header)) = self.scanner.block_before(self.end)? {
            self.end = position;
            return Ok(Some((position, header)));
        }
        let mut blocks = Vec::new();
        let mut position = START.len() as u64;
        while position < self.end {
            match self.scanner.step(position)? {
                Step::Block(header) => {
                    blocks.push((position, header));
                    position += header.block_len() as u64;
                }
                Step::Damaged { to } => position = to,
                Step::End => break,
            }
        }
        let last = blocks.pop();
        self.scanned = Some(blocks);
        Ok(last)
    }
}

/// A place in a history that moves forward. At the end it waits: asked again later, it goes on with what has
/// been written since.
#[derive(Debug)]
pub struct Cursor {
    dir: PathBuf,
    begin: Begin,
    walk: Option<(SegmentFile, Walk<File>)>,
    /// A newer segment has been seen: what the present one has now is all it will ever have.
    newer: Option<SegmentFile>,
    expected: u64,
    pub(super) thorough: bool,
    /// Damage found in segments that have been left.
    pub(super) bad: Vec<(PathBuf, Bad)>,
    pub(super) blocks: u64,
    pub(super) segments: usize,
}

impl Cursor {
    fn new(dir: &Path, begin: Begin) -> Self {
        Cursor {
            dir: dir.to_owned(),
            begin,
            walk: None,
            newer: None,
            expected: 0,
            thorough: false,
            bad: Vec::new(),
            blocks: 0,
            segments: 0,
        }
    }

    /// The next item, or `None` at the end of what has been written so far.
    ///
    /// # Errors
    /// If the folder or a segment cannot be read, or a later version wrote it.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, HistoryError> {
        loop {
            if let Some((segment, walk)) = &mut self.walk
                && walk.advance().map_err(|source| segment.error(source))?
            {
                break;
            }
            if !self.next_segment()? {
                return Ok(None);
            }
        }
        Ok(self.walk.as_mut().and_then(|(_, walk)| walk.item()))
    }

    /// Goes on to the next segment. `false` if there is none.
    fn next_segment(&mut self) -> Result<bool, HistoryError> {
        let next = match self.newer.take() {
            Some(next) => next,
            None => match self.find_next()? {
                None => return Ok(false),
                Some(next) if self.walk.is_some() => {
                    // The writer may have added to the present one before it began the next: look once more.
                    self.newer = Some(next);
                    return Ok(true);
                }
                Some(first) => {
                    // A segment that was removed since counts as missing.
                    if self.segments == 0 {
                        self.expected = first.first;
                    }
                    first
                }
            },
        };
        if let Some((segment, walk)) = &mut self.walk {
            // Nothing will be added to it: what is no whole block will never be one.
            walk.end_here().map_err(|source| segment.error(source))?;
        }
        self.leave();
        let mut scanner = match next.open() {
            Err(HistoryError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(true);
            }
            opened => opened?,
        };
        scanner.start().map_err(|e| e.at(&next.path))?;
        let mut walk = Walk::new(scanner, self.expected, self.begin);
        walk.thorough = self.thorough;
        walk.skip_if_unwanted().map_err(|source| next.error(source))?;
        self.segments += 1;
        self.walk = Some((next, walk));
        Ok(true)
    }

    /// The segment after the present one, or the one to begin with.
    fn find_next(&self) -> Result<Option<SegmentFile>, HistoryError> {
        let mut segments = segment::list(&self.dir)?;
        let at = match (&self.walk, self.begin) {
            (Some((present, _)), _) => segments.partition_point(|s| s.first <= present.first),
            (None, Begin::Offset(from)) => {
                segments.partition_point(|s| s.first < from).saturating_sub(1)
            }
            (None, Begin::Time(_)) => 0,
        };
        Ok((at < segments.len()).then(|| segments.swap_remove(at)))
    }

    /// Leaves the last segment. Returns how many bytes at its end are no whole block.
    pub(super) fn finish(&mut self) -> Result<u64, HistoryError> {
        let torn = match &self.walk {
            Some((segment, walk)) => walk.torn().map_err(|source| segment.error(source))?,
            None => 0,
        };
        self.leave();
        Ok(torn)
    }

    /// Takes from the present segment what the next one and [`Reader::check`] need to know.
    fn leave(&mut self) {
        if let Some((segment, walk)) = self.walk.take() {
            self.expected = walk.expected;
            self.begin = walk.begin;
            self.blocks += walk.blocks;
            self.bad.extend(walk.bad.into_iter().map(|bad| (segment.path.clone(), bad)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Writer;

    fn next(cursor: &mut Cursor) -> Option<Vec<u8>> {
        match cursor.next_item().unwrap()? {
            Item::Chunk { bytes, .. } => Some(bytes.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_added_before_a_segment_is_left_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.output(1, b"a");
        writer.flush();
        let mut cursor = Reader::open(dir.path()).unwrap().from(0);
        assert_eq!(next(&mut cursor).unwrap(), b"a");
        assert_eq!(next(&mut cursor), None);
        writer.output(2, b"b");
        writer.flush();
        writer.next_segment();
        writer.output(3, b"c");
        writer.flush();
        // All that happened just after the cursor had come to the end of the first segment.
        assert!(cursor.next_segment().unwrap());
        assert_eq!(next(&mut cursor).unwrap(), b"b");
        assert_eq!(next(&mut cursor).unwrap(), b"c");
        assert_eq!(next(&mut cursor), None);
    }

    #[test]
    fn time_that_went_back_hides_nothing_from_since() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        for (now, text) in [(100, "a"), (900, "b"), (200, "c"), (300, "d")] {
            writer.output(now, text.as_bytes());
            writer.flush();
        }
        writer.next_segment();
        writer.output(150, b"e");
        drop(writer);
        for (since, wanted) in [(0, "abcde"), (101, "bcde"), (900, "bcde"), (901, "")] {
            let mut cursor = Reader::open(dir.path()).unwrap().since(since);
            let mut got = Vec::new();
            while let Some(bytes) = next(&mut cursor) {
                got.extend(bytes);
            }
            assert_eq!(String::from_utf8(got).unwrap(), wanted, "since {since}");
        }
    }

    #[test]
    fn dropped_old_segments_are_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        for text in [b"a", b"b", b"c"] {
            writer.output(1, text);
            writer.flush();
            writer.next_segment();
        }
        std::fs::remove_file(&segment::list(dir.path()).unwrap()[0].path).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let report = reader.check().unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.bytes, report.end), (2, 3));
        assert_eq!(reader.tail(9).unwrap(), Tail { offset: 1, bytes: b"bc".to_vec() });
        let second = segment::list(dir.path()).unwrap()[0].path.clone();
        std::fs::write(dir.path().join("0000000000000000.seg"), b"").unwrap();
        std::fs::remove_file(second).unwrap();
        let report = reader.check().unwrap();
        assert_eq!(report.missing.iter().map(|m| (m.from, m.to)).collect::<Vec<_>>(), [(0, 2)]);
    }
}
