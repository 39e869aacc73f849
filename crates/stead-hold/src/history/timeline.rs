//! When each byte of a block was printed, and what happened in between.

use stead_wire::session::Size;

/// Something that happened to the session at a place in its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A life began.
    Started {
        /// Which life, from 1.
        life: u32,
        /// The terminal's size.
        size: Size,
    },
    /// The terminal took another size.
    Resized(Size),
    /// The command ended.
    Exited {
        /// Its exit status, if it ended by itself.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// Output just before this place was printed but could not be kept.
    Gap {
        /// How many bytes.
        bytes: u64,
        /// Why, in a sentence.
        reason: String,
    },
}

const STARTED: u8 = 1;
const RESIZED: u8 = 2;
const EXITED: u8 = 3;
const GAP: u8 = 4;

/// Longest reason kept with a gap, in bytes.
const MAX_REASON: usize = 1024;

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// So many bytes were printed.
    Output(usize),
    /// Something happened.
    Event(Event),
}

/// Appends "`bytes` were printed `delta` ms after the entry before".
pub(crate) fn put_output(out: &mut Vec<u8>, delta: u64, bytes: usize) {
    put_varint(out, delta << 1);
    put_varint(out, bytes as u64);
}

/// Appends an event that happened `delta` ms after the entry before.
pub(crate) fn put_event(out: &mut Vec<u8>, delta: u64, event: &Event) {
    let mut body = Vec::new();
    let kind = match event {
        Event::Started { life, size } => {
            put_varint(&mut body, u64::from(*life));
            put_size(&mut body, *size);
            STARTED
        }
        Event::Resized(size) => {
            put_size(&mut body, *size);
            RESIZED
        }
        Event::Exited { code, signal } => {
            for part in [code, signal] {
                match part {
                    Some(value) => {
                        body.push(1);
                        body.extend_from_slice(&value.to_le_bytes());
                    }
                    None => body.push(0),
                }
            }
            EXITED
        }
        Event::Gap { bytes, reason } => {
            put_varint(&mut body, *bytes);
            body.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]);
            GAP
        }
    };
    put_varint(out, delta << 1 | 1);
    out.push(kind);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(&body);
}

fn put_size(out: &mut Vec<u8>, size: Size) {
    put_varint(out, u64::from(size.cols));
    put_varint(out, u64::from(size.rows));
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a timeline. Yields each entry with its time in ms after the block's first; stops at the first byte that
/// makes no sense, and passes over events of a later version.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Timeline<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Timeline { rest: bytes, at: 0 }
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes on where another left off.
    pub(crate) fn resume(rest: &'a [u8], at: u64) -> Self {
        Timeline { rest, at }
    }

    /// The next entry; an event of a later version is output of no bytes.
    fn entry(&mut self) -> Option<Entry> {
        let head = varint(&mut self.rest)?;
        self.at = self.at.saturating_add(head >> 1);
        if head & 1 == 0 {
            let bytes = usize::try_from(varint(&mut self.rest)?).ok()?;
            return Some(Entry::Output(bytes));
        }
        let (kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        let len = usize::try_from(varint(&mut self.rest)?).ok()?;
        let body = self.rest.get(..len)?;
        self.rest = &self.rest[len..];
        match event(*kind, body) {
            Some(event) => Some(Entry::Event(event)),
            None if *kind > GAP => Some(Entry::Output(0)),
            None => None,
        }
    }
}

impl Iterator for Timeline<'_> {
    type Item = (u64, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.entry() {
                Some(Entry::Output(0)) => {}
                Some(entry) => return Some((self.at, entry)),
                None => {
                    self.rest = &[];
                    return None;
                }
            }
        }
    }
}

fn event(kind: u8, mut body: &[u8]) -> Option<Event> {
    Some(match kind {
        STARTED => {
            let life = u32::try_from(varint(&mut body)?).ok()?;
            Event::Started { life, size: size(&mut body)? }
        }
        RESIZED => Event::Resized(size(&mut body)?),
        EXITED => {
            let (mut code, mut signal) = (None, None);
            optional(&mut body, &mut code)?;
            optional(&mut body, &mut signal)?;
            Event::Exited { code, signal }
        }
        GAP => {
            let bytes = varint(&mut body)?;
            Event::Gap { bytes, reason: String::from_utf8_lossy(body).into_owned() }
        }
        _ => return None,
    })
}

fn size(body: &mut &[u8]) -> Option<Size> {
    let cols = u16::try_from(varint(body)?).ok()?;
    Some(Size { cols, rows: u16::try_from(varint(body)?).ok()? })
}

fn optional(body: &mut &[u8], into: &mut Option<i32>) -> Option<()> {
    let (has, mut rest) = body.split_first()?;
    if *has != 0 {
        let (value, after) = rest.split_first_chunk::<4>()?;
        *into = Some(i32::from_le_bytes(*value));
        rest = after;
    }
    *body = rest;
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_come_back_as_they_went() {
        let size = Size { cols: 80, rows: 24 };
        let entries = [
            (0, Entry::Event(Event::Started { life: 3, size })),
            (0, Entry::Output(17)),
            (1_000_000, Entry::Output(1 << 18)),
            (1_000_001, Entry::Event(Event::Resized(Size { cols: 1000, rows: 1 }))),
            (1_000_001, Entry::Event(Event::Gap { bytes: 1 << 40, reason: "no spáce".into() })),
            (1_000_002, Entry::Event(Event::Exited { code: Some(-1), signal: None })),
            (1_000_002, Entry::Event(Event::Exited { code: None, signal: Some(9) })),
        ];
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (at, entry) in &entries {
            match entry {
                Entry::Output(n) => put_output(&mut bytes, at - last, *n),
                Entry::Event(event) => put_event(&mut bytes, at - last, event),
            }
            last = *at;
        }
        assert_eq!(Timeline::new(&bytes).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn an_event_of_a_later_version_is_passed_over() {
        let mut bytes = vec![1, 200, 3, 7, 7, 7];
        put_output(&mut bytes, 5, 2);
        assert_eq!(Timeline::new(&bytes).collect::<Vec<_>>(), [(5, Entry::Output(2))]);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Timeline::new(&bytes).count();
        }

        #[test]
        fn numbers_come_back(value in any::<u64>(), shift in 0u32..64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value >> shift);
            prop_assert_eq!(varint(&mut &bytes[..]), Some(value >> shift));
        }
    }
}
