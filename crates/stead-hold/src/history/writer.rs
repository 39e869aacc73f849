//! Writing a history.

use super::HistoryError;
use super::block::Packed;
use super::segment::{self, START, Scanner, SegmentFile, Source, Step};
use super::timeline::{self, Entry, Event, Timeline};
use crate::clock::steady_ms;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Output in a full block. Larger ones compress no better and cost memory and cache.
const BLOCK_RAW: usize = 64 * 1024;
/// A timeline this long makes a block full as well.
const BLOCK_TIMELINE: usize = 32 * 1024;
/// Output after which a segment is followed by another.
const SEGMENT_RAW: u64 = 16 << 20;
/// Size of its file after which it is, too: many small blocks.
const SEGMENT_FILE: u64 = 32 << 20;
/// Longest that output waits for the disk, and shortest time between two tries, in ms.
const HOLD_BACK_MS: u64 = 1000;
/// Memory for output that the disk refuses.
const REFUSED: usize = 4 << 20;
/// Memory that an idle writer may keep for the next output.
const KEEP: usize = 4096;

/// Writes a session's history. Never fails: while the disk refuses, output waits in memory, up to 4 MiB of it, and
/// what does not fit is noted as a gap.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    segment: Option<Open>,
    pending: Pending,
    refused: VecDeque<Packed>,
    refused_memory: usize,
    lost: Lost,
    scratch: Vec<u8>,
    due: Option<u64>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    len: u64,
    raw: u64,
    latest_ms: u64,
}

/// The block being filled.
#[derive(Debug, Default)]
struct Pending {
    raw: Vec<u8>,
    timeline: Vec<u8>,
    offset: u64,
    first_ms: u64,
    last_ms: u64,
    /// Output of the same ms as the timeline's last entry, not in the timeline yet.
    run: usize,
    run_delta: u64,
}

/// What was dropped and is to be noted once writing works again.
#[derive(Debug, Default)]
struct Lost {
    bytes: u64,
    events: Vec<Event>,
}

impl Writer {
    /// Continues the history in `dir`, or begins one; the folder is made when something is written. A block
    /// that was not finished when the last writer died is cut off.
    ///
    /// # Errors
    /// If what is there cannot be read, or a later version wrote it.
    pub fn open(dir: &Path) -> Result<Writer, HistoryError> {
        let mut writer = Writer {
            dir: dir.to_owned(),
            segment: None,
            pending: Pending::default(),
            refused: VecDeque::new(),
            refused_memory: 0,
            lost: Lost::default(),
            scratch: Vec::new(),
            due: None,
            problem: None,
        };
        if let Some(last) = segment::list(dir)?.pop() {
            let (open, offset) = continue_segment(&last)?;
            writer.segment = Some(open);
            writer.pending.offset = offset;
        }
        Ok(writer)
    }

    /// Adds output, printed at `now_ms` (milliseconds since the Unix epoch).
    pub fn output(&mut self, now_ms: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.begin(now_ms);
            let room = BLOCK_RAW - self.pending.raw.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.output(now_ms, now);
            bytes = later;
            self.seal_if_full();
        }
    }

    /// Adds an event of `now_ms` (milliseconds since the Unix epoch).
    pub fn event(&mut self, now_ms: u64, event: &Event) {
        self.begin(now_ms);
        self.pending.event(now_ms, event);
        self.seal_if_full();
    }

    /// When [`Writer::flush`] must be called at the latest, on the steady clock (ms).
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Writes everything held back. `false` if the disk refuses; it is tried again at the next [`Writer::due`].
    pub fn flush(&mut self) -> bool {
        self.due = None;
        if self.write_refused() && !self.pending.is_empty() {
            self.seal();
        }
        self.scratch = Vec::new();
        self.pending.trim();
        let done = self.refused.is_empty();
        if !done {
            self.due = Some(steady_ms() + HOLD_BACK_MS);
        }
        done
    }

    /// Offset after the last byte of output, whether it has been written yet or not.
    pub fn offset(&self) -> u64 {
        self.pending.end()
    }

    /// Why the history cannot be written at the moment, in a sentence for a person.
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    /// Bytes of memory that the writer holds on to.
    pub fn memory(&self) -> usize {
        self.pending.raw.capacity()
            + self.pending.timeline.capacity()
            + self.scratch.capacity()
            + self.refused_memory
            + self.refused.capacity() * size_of::<Packed>()
    }

    /// What is written next begins a segment.
    #[cfg(test)]
    pub(super) fn next_segment(&mut self) {
        if self.segment.take().is_some_and(|s| s.raw == 0) {
            // A segment is named by its first output: an empty one would be overwritten.
            self.segment = Writer::open(&self.dir).ok().and_then(|mut w| w.segment.take());
        }
    }

    fn begin(&mut self, now_ms: u64) {
        if self.pending.is_empty() {
            self.pending.first_ms = now_ms;
            self.pending.last_ms = now_ms;
            if self.refused.is_empty() {
                self.due = Some(steady_ms() + HOLD_BACK_MS);
            }
        }
    }

    fn seal_if_full(&mut self) {
        if self.pending.raw.len() >= BLOCK_RAW || self.pending.timeline.len() >= BLOCK_TIMELINE {
            self.seal();
            // The next flush gives back the memory of a burst, even if nothing follows.
            self.due.get_or_insert_with(|| steady_ms() + HOLD_BACK_MS);
        }
    }

    /// Makes a block of what is pending and writes it, unless others must go first.
    fn seal(&mut self) {
        let scratch = std::mem::take(&mut self.scratch);
        let mut packed = self.pending.pack(scratch);
        if self.refused.is_empty() {
            match self.write(&mut packed) {
                Ok(()) => {
                    self.scratch = packed.into_scratch();
                    self.problem = None;
                    return;
                }
                Err(sentence) => {
                    self.problem = Some(sentence);
                    self.due = Some(steady_ms() + HOLD_BACK_MS);
                }
            }
        }
        packed.shrink();
        self.refused_memory += packed.memory();
        self.refused.push_back(packed);
        while self.refused_memory > REFUSED {
            let Some(oldest) = self.refused.pop_front() else { break };
            self.refused_memory -= oldest.memory();
            self.lost.add(&oldest);
        }
    }

    /// Writes the blocks that were refused before. `true` if none is left.
    fn write_refused(&mut self) -> bool {
        while let Some(mut packed) = self.refused.pop_front() {
            let memory = packed.memory();
            if self.lost.bytes > 0 || !self.lost.events.is_empty() {
                self.lost.note_in(&mut packed, self.problem.as_deref());
            }
            match self.write(&mut packed) {
                Ok(()) => {
                    self.refused_memory -= memory;
                    self.lost = Lost::default();
                }
                Err(sentence) => {
                    self.refused_memory = self.refused_memory - memory + packed.memory();
                    self.refused.push_front(packed);
                    self.problem = Some(sentence);
                    return false;
                }
            }
        }
        self.refused = VecDeque::new();
        self.problem = None;
        true
    }

    /// Writes one block as a whole or not at all.
    fn write(&mut self, packed: &mut Packed) -> Result<(), String> {
        let full = |s: &Open| s.raw >= SEGMENT_RAW || (s.len >= SEGMENT_FILE && s.raw > 0);
        let gone = |s: &Open| s.file.metadata().is_ok_and(|m| m.nlink() == 0);
        if self.segment.as_ref().is_some_and(|s| full(s) || gone(s)) {
            self.segment = None;
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            None => self.segment.insert(create_segment(&self.dir, packed.offset)?),
        };
        let latest = segment.latest_ms.max(packed.last_ms);
        let block = packed.bind(segment.len, latest);
        let written = segment.file.write_all_at(block, segment.len);
        let len = block.len() as u64;
        match written {
            Ok(()) => {
                segment.len += len;
                segment.raw += packed.raw_len() as u64;
                segment.latest_ms = latest;
                Ok(())
            }
            Err(e) => {
                packed.unbind();
                // Should this fail too, the next block is written over the piece.
                let _ = segment.file.set_len(segment.len);
                Err(refusal(&segment.path, &e))
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.timeline.is_empty()
    }

    fn end(&self) -> u64 {
        self.offset + self.raw.len() as u64
    }

    /// Milliseconds since the entry before. A clock that was set back counts as standing still.
    fn delta(&mut self, now_ms: u64) -> u64 {
        let delta = now_ms.saturating_sub(self.last_ms).min(u64::MAX >> 1);
        self.last_ms += delta;
        delta
    }

    fn output(&mut self, now_ms: u64, bytes: &[u8]) {
        let delta = self.delta(now_ms);
        if self.run == 0 || delta > 0 {
            self.end_run();
            self.run_delta = delta;
        }
        self.run += bytes.len();
        let need = self.raw.len() + bytes.len();
        if need > self.raw.capacity() {
            let room = need.max(self.raw.capacity() * 2).min(BLOCK_RAW).max(need);
            self.raw.reserve_exact(room - self.raw.len());
        }
        self.raw.extend_from_slice(bytes);
    }

    fn event(&mut self, now_ms: u64, event: &Event) {
        self.end_run();
        let delta = self.delta(now_ms);
        timeline::put_event(&mut self.timeline, delta, event);
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            timeline::put_output(&mut self.timeline, self.run_delta, self.run);
            self.run = 0;
        }
    }

    fn pack(&mut self, scratch: Vec<u8>) -> Packed {
        self.end_run();
        let mut packed = Packed::new(&self.raw, self.offset, scratch);
        packed.timeline.extend_from_slice(&self.timeline);
        packed.first_ms = self.first_ms;
        packed.last_ms = self.last_ms;
        self.offset = self.end();
        self.raw.clear();
        self.timeline.clear();
        packed
    }

    fn trim(&mut self) {
        if self.is_empty() {
            self.raw.shrink_to(KEEP);
            self.timeline.shrink_to(KEEP);
        }
    }
}

impl Lost {
    fn add(&mut self, packed: &Packed) {
        self.bytes += packed.raw_len() as u64;
        for (_, entry) in Timeline::new(&packed.timeline) {
            match entry {
                Entry::Output(_) => {}
                Entry::Event(Event::Gap { bytes, .. }) => self.bytes += bytes,
                Entry::Event(event) => {
                    // Of several sizes in a row the last one counts.
                    if matches!(
                        (&event, self.events.last()),
                        (Event::Resized(_), Some(Event::Resized(_)))
                    ) {
                        self.events.pop();
                    }
                    self.events.push(event);
                }
            }
        }
    }

    /// Puts what was lost at the beginning of the block that follows it.
    fn note_in(&mut self, packed: &mut Packed, why: Option<&str>) {
        let mut head = Vec::new();
        for event in self.events.drain(..) {
            timeline::put_event(&mut head, 0, &event);
        }
        if self.bytes > 0 {
            let reason = why.unwrap_or("the disk refused").to_owned();
            timeline::put_event(&mut head, 0, &Event::Gap { bytes: self.bytes, reason });
        }
        head.extend_from_slice(&packed.timeline);
        packed.timeline = head;
        *self = Lost::default();
    }
}

/// Opens the last segment at the end of its last whole block. Returns the offset there too.
fn continue_segment(last: &SegmentFile) -> Result<(Open, u64), HistoryError> {
    let error = |source| last.error(source);
    let file = OpenOptions::new().read(true).write(true).open(&last.path).map_err(error)?;
    let mut scanner = Scanner::new(file);
    let mut end = scanner.start().map_err(|e| e.at(&last.path))?;
    let mut whole = None;
    let len = scanner.source().len().map_err(error)?;
    if let Some((position, header)) = scanner.block_before(len).map_err(error)?
        && scanner.body(position, &header).map_err(error)?.is_some()
    {
        whole = Some(header);
        end = len;
    } else {
        let mut position = end;
        loop {
            match scanner.step(position).map_err(error)? {
                Step::Block(header) => {
                    let is_whole = scanner.body(position, &header).map_err(error)?.is_some();
                    position += header.block_len() as u64;
                    if is_whole {
                        whole = Some(header);
                        end = position;
                    }
                }
                Step::Damaged { to } => position = to,
                Step::End => break,
            }
        }
        if end < len {
            // A piece that stays is written over by the next block.
            let _ = scanner.source().set_len(end);
        }
        if len < START.len() as u64 {
            let _ = scanner.source().write_all_at(&START, 0);
        }
    }
    let offset = whole.map_or(last.first, |h| h.end());
    let open = Open {
        file: scanner.into_source(),
        path: last.path.clone(),
        len: end,
        raw: offset.saturating_sub(last.first),
        latest_ms: whole.map_or(0, |h| h.latest_ms),
    };
    Ok((open, offset))
}

fn create_segment(dir: &Path, first: u64) -> Result<Open, String> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(refusal(dir, &e)),
        _ => {}
    }
    let path = SegmentFile::new(dir, first).path;
    let create = || -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all_at(&START, 0)?;
        Ok(file)
    };
    let file = create().map_err(|e| refusal(&path, &e))?;
    Ok(Open { file, path, len: START.len() as u64, raw: 0, latest_ms: 0 })
}

fn refusal(path: &Path, error: &io::Error) -> String {
    let why = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC) => "the disk is full".into(),
        Some(Errno::DQUOT) => "the disk quota is used up".into(),
        Some(Errno::FBIG) => "the file may not grow any further".into(),
        Some(Errno::IO) => "the disk reports an input/output error".into(),
        Some(Errno::NOENT) => "its folder has been removed".into(),
        Some(Errno::ROFS) => "the file system has become read-only".into(),
        _ => error.to_string(),
    };
    format!("history is not being written: {why} ({})", path.display())
}
