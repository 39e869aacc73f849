//! A segment: a file of blocks, named by the offset of its first output.

use super::HistoryError;
use super::block::{HEADER, Header, MAGIC, TRAILER};
use memchr::memmem;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What a segment begins with.
pub(crate) const START: [u8; 16] = *b"stead history\n\x01\x00";
/// The part of [`START`] that no version changes; the version follows, little-endian.
const NAME_LEN: usize = 14;
/// The version that this build reads and writes.
const VERSION: u16 = 1;

/// Where a segment's bytes come from.
pub(crate) trait Source {
    /// Reads at `position`; less than asked for only at the end.
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Bytes there are now.
    fn len(&self) -> io::Result<u64>;
}

impl Source for File {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match FileExt::read_at(self, &mut into[done..], position + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Source for &[u8] {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(<[u8]>::len(self));
        let n = into.len().min(<[u8]>::len(self) - from);
        into[..n].copy_from_slice(&self[from..from + n]);
        Ok(n)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }
}

/// What stands at a place in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A block, of which only the header has been looked at.
    Block(Header),
    /// Bytes that are no block; the next block begins at `to`.
    Damaged {
        /// Position of that block.
        to: u64,
    },
    /// Nothing more, or not all of it has been written yet.
    End,
}

/// Walks over the blocks of one segment.
#[derive(Debug)]
pub(crate) struct Scanner<S> {
    source: S,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<S: Source> Scanner<S> {
    pub(crate) fn new(source: S) -> Self {
        Scanner { source, buffer: Vec::new(), buffer_at: 0 }
    }

    /// Where the bytes come from.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Position of the first block.
    ///
    /// # Errors
    /// If it cannot be read, or if a later version wrote it. Damage to the start itself is passed over:
    /// blocks are checked one by one.
    pub(crate) fn start(&mut self) -> Result<u64, StartError> {
        let start = self.peek(0, START.len(), 4096).map_err(StartError::Io)?;
        if start.len() == START.len() && start[..NAME_LEN] == START[..NAME_LEN] {
            let version = u16::from_le_bytes([start[NAME_LEN], start[NAME_LEN + 1]]);
            if version > VERSION
                && self.step(START.len() as u64).map_err(StartError::Io)? == Step::End
            {
                return Err(StartError::Version(version));
            }
        }
        Ok(START.len() as u64)
    }

    /// Gives the source back.
    pub(crate) fn into_source(self) -> S {
        self.source
    }

    /// What stands at `position`.
    pub(crate) fn step(&mut self, position: u64) -> io::Result<Step> {
        if let Some(header) = Header::read(self.peek(position, HEADER, 4096)?, position) {
            let end = position + header.block_len() as u64;
            let read = self.buffer_at + self.buffer.len() as u64;
            if end > read && end > self.source.len()? {
                self.forget();
                return Ok(Step::End);
            }
            return Ok(Step::Block(header));
        }
        self.forget();
        if position >= self.source.len()? {
            return Ok(Step::End);
        }
        let Some(to) = self.next_block(position + 1)? else { return Ok(Step::End) };
        // A block that was half written when its header was read is whole now that another follows it.
        self.forget();
        Ok(match Header::read(self.peek(position, HEADER, 4096)?, position) {
            Some(header) => Step::Block(header),
            None => Step::Damaged { to },
        })
    }

    /// Position of the first block at or after `position` whose header is right.
    fn next_block(&mut self, mut position: u64) -> io::Result<Option<u64>> {
        const WINDOW: usize = 64 * 1024;
        loop {
            let window = self.peek(position, WINDOW, WINDOW)?;
            let found: Vec<u64> =
                memmem::find_iter(window, &MAGIC).map(|at| position + at as u64).collect();
            let read = window.len();
            for at in found {
                if Header::read(self.peek(at, HEADER, WINDOW)?, at).is_some() {
                    return Ok(Some(at));
                }
            }
            if read < WINDOW {
                self.forget();
                return Ok(None);
            }
            position += (WINDOW - MAGIC.len() + 1) as u64;
        }
    }

    /// The body of the block at `position`, or `None` if its checksum is wrong.
    pub(crate) fn body(&mut self, position: u64, header: &Header) -> io::Result<Option<&[u8]>> {
        let len = header.body_len();
        let ahead = (len + TRAILER + HEADER).max(16 * 1024);
        let at = position + HEADER as u64;
        for _ in 0..2 {
            if header.body_is_whole(self.peek(at, len, ahead)?) {
                return Ok(Some(&self.buffer[self.at(at)..][..len]));
            }
            // What was read ahead may have been written since.
            self.forget();
        }
        Ok(None)
    }

    /// Whether the block's trailer is right. Only reading from the end depends on it.
    pub(crate) fn trailer_is_whole(&mut self, position: u64, header: &Header) -> io::Result<bool> {
        let at = position + (header.block_len() - TRAILER) as u64;
        Ok(self.peek(at, TRAILER, TRAILER)? == (header.block_len() as u32).to_le_bytes())
    }

    /// The block that ends at `end`, if its trailer and header are right.
    pub(crate) fn block_before(&mut self, end: u64) -> io::Result<Option<(u64, Header)>> {
        const WINDOW: u64 = 16 * 1024;
        let Some(trailer_at) = end.checked_sub(TRAILER as u64) else { return Ok(None) };
        if trailer_at < self.buffer_at || end > self.buffer_at + self.buffer.len() as u64 {
            // The blocks before it will be wanted next.
            let window = end.min(WINDOW);
            self.peek(end - window, window as usize, 0)?;
        }
        let Ok(trailer) = <[u8; 4]>::try_from(self.peek(trailer_at, TRAILER, TRAILER)?) else {
            return Ok(None);
        };
        let Some(position) = end.checked_sub(u64::from(u32::from_le_bytes(trailer))) else {
            return Ok(None);
        };
        let header = Header::read(self.peek(position, HEADER, HEADER)?, position);
        Ok(header.filter(|h| position + h.block_len() as u64 == end).map(|h| (position, h)))
    }

    /// Up to `len` bytes at `position`; fewer only at the end. Reads `ahead` bytes if it must read.
    fn peek(&mut self, position: u64, len: usize, ahead: usize) -> io::Result<&[u8]> {
        let have = self.buffer.len() as u64;
        let inside = position >= self.buffer_at && position + len as u64 <= self.buffer_at + have;
        if !inside {
            self.buffer.clear();
            self.buffer.resize(len.max(ahead), 0);
            match self.source.read_at(position, &mut self.buffer) {
                Ok(n) => self.buffer.truncate(n),
                Err(e) => {
                    self.buffer.clear();
                    return Err(e);
                }
            }
            self.buffer_at = position;
        }
        let at = self.at(position);
        Ok(&self.buffer[at..self.buffer.len().min(at + len)])
    }

    fn at(&self, position: u64) -> usize {
        (position - self.buffer_at) as usize
    }

    /// What was read may be half a block by now whole, or a tail since cut off.
    fn forget(&mut self) {
        self.buffer.clear();
    }
}

/// Why a segment's start is no good.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It cannot be read.
    Io(io::Error),
    /// A later version wrote it.
    Version(u16),
}

impl StartError {
    /// With the segment's path.
    pub(crate) fn at(self, path: &Path) -> HistoryError {
        match self {
            StartError::Io(source) => HistoryError::Io { path: path.to_owned(), source },
            StartError::Version(version) => {
                HistoryError::Version { path: path.to_owned(), version }
            }
        }
    }
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    /// Offset of its first output.
    pub first: u64,
    /// Where it lies.
    pub path: PathBuf,
}

impl SegmentFile {
    /// The segment of `dir` that begins at `first`.
    pub(crate) fn new(dir: &Path, first: u64) -> Self {
        SegmentFile { first, path: dir.join(format!("{first:016}.seg")) }
    }

    /// An error of this file.
    pub(crate) fn error(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { path: self.path.clone(), source }
    }

    /// Opens it for reading.
    pub(crate) fn open(&self) -> Result<Scanner<File>, HistoryError> {
        let file = File::open(&self.path).map_err(|source| self.error(source))?;
        Ok(Scanner::new(file))
    }
}

/// The segments in a folder, in order. A folder that does not exist has none.
pub(crate) fn list(dir: &Path) -> Result<Vec<SegmentFile>, HistoryError> {
    let error = |source| HistoryError::Io { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(error(e)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".seg"))
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        if let Some(first) = number {
            segments.push(SegmentFile { first, path });
        }
    }
    segments.sort();
    Ok(segments)
}
