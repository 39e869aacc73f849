//! Reading one segment in order.

use super::block::Header;
use super::segment::{START, Scanner, Source, Step};
use super::timeline::{Entry, Event, Timeline};
use std::io;

/// One thing in a history, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// Output.
    Chunk {
        /// Offset of the first byte.
        offset: u64,
        /// When it was printed; milliseconds since the Unix epoch.
        at_ms: u64,
        /// What was printed.
        bytes: &'a [u8],
    },
    /// Something happened between two bytes of output.
    Event {
        /// Offset of the output that follows.
        offset: u64,
        /// When; milliseconds since the Unix epoch.
        at_ms: u64,
        /// What.
        event: Event,
    },
    /// Output that is not there: lost, damaged, or dropped as too old.
    Missing {
        /// Offset of its first byte.
        from: u64,
        /// Offset after its last byte.
        to: u64,
    },
}

/// Bytes of a segment that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub position: u64,
    pub len: u64,
    pub what: &'static str,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At an offset.
    Offset(u64),
    /// At the first entry of this time or later.
    Time(u64),
}

/// Walks over the items of one segment. The position in the output is handed from one segment's walk to the next.
#[derive(Debug)]
pub(crate) struct Walk<S> {
    scanner: Scanner<S>,
    position: u64,
    block: Block,
    found: Option<Found>,
    /// Offset at which the next block should begin.
    pub expected: u64,
    /// Where reading begins; offset 0 once it has.
    pub begin: Begin,
    /// What was found damaged.
    pub bad: Vec<Bad>,
    /// Whether to look also at what reading does not need.
    pub thorough: bool,
    /// Whole blocks read.
    pub blocks: u64,
}

/// The block that is being read.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Its output.
    pub raw: Vec<u8>,
    timeline: Vec<u8>,
    /// Offset of its output.
    pub offset: u64,
    first_ms: u64,
    /// How much of `raw` and `timeline` has been read, and the time there.
    raw_read: usize,
    timeline_read: usize,
    after_ms: u64,
}

impl<S: Source> Walk<S> {
    pub(crate) fn new(scanner: Scanner<S>, expected: u64, begin: Begin) -> Self {
        Walk {
            scanner,
            position: START.len() as u64,
            block: Block::default(),
            found: None,
            expected,
            begin,
            bad: Vec::new(),
            thorough: false,
            blocks: 0,
        }
    }

    /// Passes over the whole segment if by its last block nothing in it is wanted.
    pub(crate) fn skip_if_unwanted(&mut self) -> io::Result<()> {
        let len = self.scanner.source().len()?;
        if let Some((_, header)) = self.scanner.block_before(len)?
            && self.is_unwanted(&header)
        {
            self.position = len;
            self.expected = header.end();
        }
        Ok(())
    }

    /// Moves to the next item. `false` at the end of what has been written so far.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.found = self.next_in_block();
            if self.found.is_some() {
                return Ok(true);
            }
            match self.scanner.step(self.position)? {
                Step::End => {
                    self.block.shrink();
                    return Ok(false);
                }
                Step::Damaged { to } => {
                    self.damaged(to - self.position, "no block");
                    self.position = to;
                }
                Step::Block(header) => {
                    if let Some((from, to)) = self.enter(&header)? {
                        self.found = Some(Found::Missing { from, to });
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The item that [`Walk::advance`] moved to.
    pub(crate) fn item(&mut self) -> Option<Item<'_>> {
        Some(match self.found.take()? {
            Found::Missing { from, to } => Item::Missing { from, to },
            Found::Event { offset, at_ms, event } => Item::Event { offset, at_ms, event },
            Found::Chunk { start, end, at_ms } => Item::Chunk {
                offset: self.block.offset + start as u64,
                at_ms,
                bytes: &self.block.raw[start..end],
            },
        })
    }

    /// Moves to the next block that is wanted, past items in it.
    pub(crate) fn advance_block(&mut self) -> io::Result<Option<&Block>> {
        loop {
            match self.scanner.step(self.position)? {
                Step::End => return Ok(None),
                Step::Damaged { to } => self.position = to,
                Step::Block(header) => {
                    let before = self.blocks;
                    self.enter(&header)?;
                    if self.blocks > before {
                        return Ok(Some(&self.block));
                    }
                }
            }
        }
    }

    /// What is left at the end that is no whole block, in bytes.
    pub(crate) fn torn(&self) -> io::Result<u64> {
        Ok(self.scanner.source().len()?.saturating_sub(self.position))
    }

    /// Counts what is left at the end as damage.
    pub(crate) fn end_here(&mut self) -> io::Result<()> {
        let len = self.torn()?;
        if len > 0 {
            self.damaged(len, "a piece of a block");
        }
        Ok(())
    }

    fn damaged(&mut self, len: u64, what: &'static str) {
        self.bad.push(Bad { position: self.position, len, what });
    }

    fn is_unwanted(&self, header: &Header) -> bool {
        match self.begin {
            Begin::Offset(from) => header.end() < from,
            Begin::Time(since) => header.latest_ms < since,
        }
    }

    /// Moves past a block and, if it is wanted, unpacks it. Returns output missing before it.
    fn enter(&mut self, header: &Header) -> io::Result<Option<(u64, u64)>> {
        let len = header.block_len() as u64;
        if header.offset < self.expected {
            self.damaged(len, "a block out of order");
            self.position += len;
            return Ok(None);
        }
        if self.is_unwanted(header) {
            self.position += len;
            self.expected = header.end();
            return Ok(None);
        }
        let block = &mut self.block;
        block.clear();
        let whole = match self.scanner.body(self.position, header)? {
            Some(body) if header.unpack(body, &mut block.raw) => {
                block.timeline.extend_from_slice(header.timeline(body));
                true
            }
            _ => false,
        };
        if !whole {
            match self.scanner.step(self.position)? {
                // A writer has cut off a piece and put something else in its place meanwhile.
                Step::Block(now) if now != *header => return Ok(None),
                Step::End => return Ok(None),
                _ => {}
            }
            self.damaged(len, "a block's contents");
            self.position += len;
            return Ok(None);
        }
        block.offset = header.offset;
        block.first_ms = header.first_ms;
        self.blocks += 1;
        if self.thorough && !self.scanner.trailer_is_whole(self.position, header)? {
            self.damaged(len, "a block's trailer");
        }
        self.position += len;
        let from = match self.begin {
            Begin::Offset(from) => self.expected.max(from),
            Begin::Time(_) => header.offset,
        };
        self.expected = header.end();
        Ok((header.offset > from).then_some((from, header.offset)))
    }

    fn next_in_block(&mut self) -> Option<Found> {
        let block = &mut self.block;
        while let Some((after_ms, entry)) = block.next_entry() {
            let at_ms = block.first_ms.saturating_add(after_ms);
            let start = block.raw_read;
            let len = match &entry {
                Entry::Output(bytes) => *bytes,
                Entry::Event(_) => 0,
            };
            let end = start + len;
            block.raw_read = end;
            let skip = match self.begin {
                Begin::Time(since) if at_ms < since => continue,
                Begin::Time(_) => {
                    self.begin = Begin::Offset(0);
                    0
                }
                Begin::Offset(from) => {
                    usize::try_from(from.saturating_sub(block.offset)).unwrap_or(usize::MAX)
                }
            };
            match entry {
                Entry::Event(event) if skip <= start => {
                    return Some(Found::Event {
                        offset: block.offset + start as u64,
                        at_ms,
                        event,
                    });
                }
                Entry::Output(_) if start.max(skip) < end => {
                    return Some(Found::Chunk { start: start.max(skip), end, at_ms });
                }
                _ => {}
            }
        }
        None
    }
}

/// Like [`Item`], but pointing into the block.
#[derive(Debug)]
enum Found {
    Missing { from: u64, to: u64 },
    Chunk { start: usize, end: usize, at_ms: u64 },
    Event { offset: u64, at_ms: u64, event: Event },
}

impl Block {
    /// Appends the offset of each piece of output with the time at which it was printed.
    pub(crate) fn times(&self, into: &mut Vec<(u64, u64)>) {
        let mut offset = self.offset;
        into.push((offset, self.first_ms));
        for (after_ms, entry) in Timeline::new(&self.timeline) {
            if let Entry::Output(bytes) = entry {
                into.push((offset, self.first_ms.saturating_add(after_ms)));
                offset = offset.saturating_add(bytes as u64);
            }
        }
    }

    /// The next entry. Its output is cut to what the block has; output without an entry makes a last one.
    fn next_entry(&mut self) -> Option<(u64, Entry)> {
        let mut timeline = Timeline::resume(&self.timeline[self.timeline_read..], self.after_ms);
        let left = self.raw.len() - self.raw_read;
        let entry = match timeline.next() {
            Some((at, Entry::Output(bytes))) => Some((at, Entry::Output(bytes.min(left)))),
            None if left > 0 => Some((self.after_ms, Entry::Output(left))),
            other => other,
        };
        self.timeline_read = self.timeline.len() - timeline.rest().len();
        if let Some((at, _)) = &entry {
            self.after_ms = *at;
        }
        entry
    }

    fn clear(&mut self) {
        self.raw.clear();
        self.timeline.clear();
        self.raw_read = 0;
        self.timeline_read = 0;
        self.after_ms = 0;
    }

    /// A reader that waits for more holds little memory.
    fn shrink(&mut self) {
        if self.raw.capacity() > 8192 || self.timeline.capacity() > 8192 {
            *self = Block::default();
        }
    }
}
