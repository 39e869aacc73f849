//! Searching a history.
//!
//! Lines are searched as a person saw them, without escape sequences. Output without any, which is most of what is
//! long, is searched where it lies. Segments are searched side by side; a line belongs to the segment in
//! which it ends.

use super::HistoryError;
use super::reader::segment_end;
use super::segment::{self, SegmentFile};
use super::strip::{Stripper, Text, is_plain};
use super::walk::{Begin, Block, Walk};
use memchr::{memchr, memmem, memrchr};
use std::cell::OnceCell;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// What to look for.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Literal(Box<memmem::Finder<'static>>),
    Regex {
        /// Finds candidates in many lines at once, if the pattern can be used so.
        area: Option<regex::bytes::Regex>,
        line: regex::bytes::Regex,
    },
}

/// A pattern that cannot be searched for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing in it.
    #[error("the pattern is empty")]
    Empty,
    /// It is no regular expression.
    #[error("{0}")]
    Regex(#[from] regex::Error),
}

impl Pattern {
    /// Text as it stands.
    ///
    /// # Errors
    /// If it is empty.
    pub fn literal(text: &str, ignore_case: bool) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if ignore_case {
            return Self::regex(&regex::escape(text), true);
        }
        Ok(Pattern(Kind::Literal(Box::new(memmem::Finder::new(text).into_owned()))))
    }

    /// A regular expression of the `regex` crate, matched against each line by itself.
    ///
    /// # Errors
    /// If it is none, or empty.
    pub fn regex(pattern: &str, ignore_case: bool) -> Result<Pattern, PatternError> {
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        let build = |many: bool| {
            regex::bytes::RegexBuilder::new(pattern)
                .case_insensitive(ignore_case)
                .multi_line(many)
                .crlf(many)
                .build()
        };
        let line = build(false)?;
        // These see the difference between a line by itself and one among others.
        let alone = ["\\A", "\\z", "(?"].iter().any(|s| pattern.contains(s));
        let area = if alone { None } else { Some(build(true)?) };
        Ok(Pattern(Kind::Regex { area, line }))
    }

    /// Calls `found` with every line of `area` that matches, and with the places in it, until `found` says
    /// to stop.
    fn find(
        &self,
        area: &[u8],
        mut found: impl FnMut(Range<usize>, &[Range<usize>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (mut at, mut places) = (0, Vec::new());
        while at < area.len() {
            let candidate = match &self.0 {
                Kind::Literal(finder) => finder.find(&area[at..]).map(|i| at + i),
                Kind::Regex { area: Some(regex), .. } => regex.find_at(area, at).map(|m| m.start()),
                Kind::Regex { area: None, .. } => Some(at),
            };
            // A match at the very end is in a line only if that line has no end.
            let inside = |c: &usize| *c < area.len() || !area.ends_with(b"\n");
            let Some(candidate) = candidate.filter(inside) else { break };
            let start = memrchr(b'\n', &area[at..candidate]).map_or(at, |i| at + i + 1);
            let end = memchr(b'\n', &area[candidate..]).map_or(area.len(), |i| candidate + i);
            let line = &area[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            places.clear();
            match &self.0 {
                Kind::Literal(finder) => {
                    places.extend(finder.find_iter(line).map(|i| i..i + finder.needle().len()));
                }
                Kind::Regex { line: regex, .. } => {
                    places.extend(regex.find_iter(line).map(|m| m.range()));
                }
            }
            if !places.is_empty() {
                found(start..start + line.len(), &places)?;
            }
            at = end + 1;
        }
        ControlFlow::Continue(())
    }
}

/// Where and how to search.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only lines whose match was printed at this time or later; milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Threads to use; 0: as many as there are processors.
    pub threads: usize,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Offset in the output of the first match in the line.
    pub offset: u64,
    /// When that was printed; milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The line, without escape sequences.
    pub line: String,
    /// The matches: byte ranges in `line`. At least one.
    pub ranges: Vec<Range<usize>>,
}

/// Longest line; longer ones are searched in pieces.
const MAX_LINE: usize = 1 << 20;
/// Matches handed over at once, and how often ahead of the one who takes them.
const BATCH: usize = 256;
const BATCHES: usize = 16;

type Batch = Result<Vec<Match>, HistoryError>;

/// Searches the history in `dir`; gives every matching line to `visit`, oldest first, until it breaks.
///
/// # Errors
/// If the folder or a segment cannot be read, or a later version wrote it. Damaged blocks are passed over.
pub fn search(
    dir: &Path,
    pattern: &Pattern,
    options: &Options,
    mut visit: impl FnMut(Match) -> ControlFlow<()>,
) -> Result<(), HistoryError> {
    let segments = segment::list(dir)?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (senders, receivers): (Vec<_>, Vec<_>) =
        segments.iter().map(|_| sync_channel::<Batch>(BATCHES)).unzip();
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(segments.len()) {
            let (senders, segments, next, stop) = (senders.clone(), &segments, &next, &stop);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(segment) = segments.get(i) else { break };
                    let sink = Sink { to: &senders[i], batch: Vec::new(), stop };
                    let before = i.checked_sub(1).map(|i| &segments[i]);
                    let is_last = i + 1 == segments.len();
                    if let Err(e) = search_segment(segment, before, is_last, pattern, options, sink)
                    {
                        let _ = senders[i].send(Err(e));
                    }
                    let _ = senders[i].send(Ok(Vec::new()));
                }
            });
        }
        drop(senders);
        let result = (|| {
            for receiver in &receivers {
                // A segment ends with an empty batch.
                while let Ok(batch) = receiver.recv() {
                    let batch = batch?;
                    if batch.is_empty() {
                        break;
                    }
                    for found in batch {
                        if visit(found).is_break() {
                            return Ok(());
                        }
                    }
                }
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        drop(receivers);
        result
    })
}

fn search_segment(
    segment: &SegmentFile,
    before: Option<&SegmentFile>,
    is_last: bool,
    pattern: &Pattern,
    options: &Options,
    sink: Sink<'_>,
) -> Result<(), HistoryError> {
    let mut lines = Lines {
        pattern,
        since_ms: options.since_ms,
        sink,
        stripper: Stripper::default(),
        open: Text::default(),
        times: Vec::new(),
        expected: segment.first,
    };
    let mut walk = open(segment, Begin::Time(options.since_ms))?;
    walk.skip_if_unwanted().map_err(|e| segment.error(e))?;
    if let Some(before) = before {
        lines.begin_with_end_of(before)?;
    }
    while let Some(block) = walk.advance_block().map_err(|e| segment.error(e))? {
        if lines.block(block).is_break() {
            return Ok(());
        }
    }
    if is_last && lines.end_line().is_break() {
        return Ok(());
    }
    // Whether anybody still listens makes no difference now.
    let _ = lines.sink.flush();
    Ok(())
}

fn open(segment: &SegmentFile, begin: Begin) -> Result<Walk<File>, HistoryError> {
    let mut scanner = segment.open()?;
    scanner.start().map_err(|e| e.at(&segment.path))?;
    Ok(Walk::new(scanner, segment.first, begin))
}

/// Takes the matches of one segment to the one who asked.
struct Sink<'a> {
    to: &'a SyncSender<Batch>,
    batch: Vec<Match>,
    stop: &'a AtomicBool,
}

impl Sink<'_> {
    fn put(&mut self, found: Match) -> ControlFlow<()> {
        self.batch.push(found);
        if self.batch.len() >= BATCH { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() && self.to.send(Ok(batch)).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Puts blocks together to lines and searches them.
struct Lines<'a> {
    pattern: &'a Pattern,
    since_ms: u64,
    sink: Sink<'a>,
    stripper: Stripper,
    /// The line that has not ended yet.
    open: Text,
    /// When its output was printed.
    times: Vec<(u64, u64)>,
    expected: u64,
}

impl Lines<'_> {
    /// Takes over the line that the segment before leaves open.
    fn begin_with_end_of(&mut self, before: &SegmentFile) -> Result<(), HistoryError> {
        let end = segment_end(before)?;
        if end != self.expected {
            return Ok(());
        }
        for back in [64 << 10, MAX_LINE as u64] {
            let mut walk = open(before, Begin::Offset(end.saturating_sub(back)))?;
            self.forget();
            while let Some(block) = walk.advance_block().map_err(|e| before.error(e))? {
                if block.offset != self.expected {
                    self.forget();
                }
                self.add_stripped(block);
                self.expected = block.offset + block.raw.len() as u64;
            }
            if let Some(last) = memrchr(b'\n', &self.open.bytes) {
                self.drop_front(last + 1);
                break;
            }
        }
        if self.expected != end {
            self.forget();
            self.expected = end;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) -> ControlFlow<()> {
        if self.sink.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if block.offset != self.expected {
            self.end_line()?;
            self.stripper = Stripper::default();
        }
        self.expected = block.offset + block.raw.len() as u64;
        if self.stripper.is_ground() && is_plain(&block.raw) {
            self.plain(block)
        } else {
            self.add_stripped(block);
            let Some(last) = memrchr(b'\n', &self.open.bytes) else { return self.cut_long() };
            let (text, times) = (std::mem::take(&mut self.open), std::mem::take(&mut self.times));
            let result = self.search(&text.bytes[..=last], |at| text.offset(at), || &times);
            (self.open, self.times) = (text, times);
            self.drop_front(last + 1);
            result?;
            self.cut_long()
        }
    }

    /// Searches a block without escape sequences in its own memory.
    fn plain(&mut self, block: &Block) -> ControlFlow<()> {
        let raw = &block.raw[..];
        let Some(first) = memchr(b'\n', raw) else { return self.add_plain(block, 0) };
        let mut start = 0;
        if !self.open.bytes.is_empty() {
            block.times(&mut self.times);
            self.open.push(&raw[..first], block.offset);
            self.end_line()?;
            start = first + 1;
        }
        let last = memrchr(b'\n', raw).unwrap_or(first);
        if start <= last {
            let times = OnceCell::new();
            let times = || {
                times.get_or_init(|| {
                    let mut times = Vec::new();
                    block.times(&mut times);
                    times
                })
            };
            let offset = block.offset + start as u64;
            self.search(&raw[start..=last], |at| offset + at as u64, times)?;
        }
        self.add_plain(block, last + 1)
    }

    /// Leaves the end of a plain block open.
    fn add_plain(&mut self, block: &Block, from: usize) -> ControlFlow<()> {
        let rest = &block.raw[from..];
        // Either a line feed follows it, or it would have been dropped anyway.
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        if rest.is_empty() {
            return ControlFlow::Continue(());
        }
        block.times(&mut self.times);
        self.open.push(rest, block.offset + from as u64);
        self.cut_long()
    }

    fn add_stripped(&mut self, block: &Block) {
        block.times(&mut self.times);
        self.stripper.strip(&block.raw, block.offset, &mut self.open);
    }

    fn cut_long(&mut self) -> ControlFlow<()> {
        if self.open.bytes.len() > MAX_LINE { self.end_line() } else { ControlFlow::Continue(()) }
    }

    /// Searches the open line as it is.
    fn end_line(&mut self) -> ControlFlow<()> {
        let (mut text, mut times) =
            (std::mem::take(&mut self.open), std::mem::take(&mut self.times));
        let result = self.search(&text.bytes, |at| text.offset(at), || &times);
        times.clear();
        text.drop_front(text.bytes.len());
        (self.open, self.times) = (text, times);
        result
    }

    fn drop_front(&mut self, len: usize) {
        self.open.drop_front(len);
        if self.open.bytes.is_empty() {
            self.times.clear();
        } else {
            let first = self.open.offset(0);
            let before = self.times.partition_point(|(offset, _)| *offset <= first);
            self.times.drain(..before.saturating_sub(1));
        }
    }

    fn forget(&mut self) {
        self.open.drop_front(self.open.bytes.len());
        self.times.clear();
        self.stripper = Stripper::default();
    }

    fn search<'t>(
        &mut self,
        area: &[u8],
        offset: impl Fn(usize) -> u64,
        times: impl Fn() -> &'t Vec<(u64, u64)>,
    ) -> ControlFlow<()> {
        let (since_ms, sink) = (self.since_ms, &mut self.sink);
        self.pattern.find(area, |line, places| {
            let offset = offset(line.start + places[0].start);
            let times = times();
            let after = times.partition_point(|(at, _)| *at <= offset);
            let at_ms = after.checked_sub(1).map_or(0, |i| times[i].1);
            if at_ms < since_ms {
                return ControlFlow::Continue(());
            }
            let (line, ranges) = readable(&area[line], places);
            sink.put(Match { offset, at_ms, line, ranges })
        })
    }
}

/// The line as text, and the places in it.
fn readable(line: &[u8], places: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    if let Ok(text) = std::str::from_utf8(line) {
        return (text.to_owned(), places.to_vec());
    }
    let text = String::from_utf8_lossy(line).into_owned();
    let place = |at: usize| {
        text.floor_char_boundary(String::from_utf8_lossy(&line[..at]).len().min(text.len()))
    };
    let ranges = places.iter().map(|r| place(r.start)..place(r.end)).collect();
    (text, ranges)
}
