//! Finding frames and greetings in what comes over the line, whatever it is.

use crate::line::frame::{GREETING, Greeting, HEADER, Header, Kind, MARK, tag};

/// Something that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A greeting. Frames follow only once [`Decoder::follow`] was called.
    Greeting(Greeting),
    /// A frame of the epoch that is followed.
    Frame {
        /// Its channel.
        channel: u32,
        /// What it does.
        kind: Kind,
        /// What it carries.
        bytes: Vec<u8>,
    },
}

/// Where the mark of a greeting is. It stands after thousands of zeroes, so what is looked for is the byte that follows its
/// own zero.
fn mark(bytes: &[u8]) -> Option<usize> {
    let mut from = 1;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == MARK[1]) {
        let begins = from + at - 1;
        if bytes[begins..].starts_with(&MARK) {
            return Some(begins);
        }
        from += at + 1;
    }
    None
}

/// Reads a stream of bytes. Holds no more than one frame and what was fed last.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where what is not read yet begins.
    at: usize,
    /// The tag of the frames that are to come; `None` while only a greeting can help.
    tag: Option<u32>,
}

impl Decoder {
    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// From here on there are frames of `epoch`.
    pub fn follow(&mut self, epoch: u64) {
        self.tag = Some(tag(epoch));
    }

    /// From here on only a greeting is looked for.
    pub fn forget(&mut self) {
        self.tag = None;
    }

    /// What comes next, if it is there whole.
    pub fn find(&mut self) -> Option<Found> {
        if let Some(tag) = self.tag {
            let rest = &self.bytes[self.at..];
            let header = rest.first_chunk::<HEADER>()?;
            if let Some(header) = Header::read(*header, tag) {
                let bytes = rest.get(HEADER..HEADER + header.length)?.to_vec();
                self.at += HEADER + header.length;
                return Some(Found::Frame { channel: header.channel, kind: header.kind, bytes });
            }
            self.tag = None;
        }
        self.greeting()
    }

    fn greeting(&mut self) -> Option<Found> {
        loop {
            let rest = &self.bytes[self.at..];
            let Some(skip) = mark(rest) else {
                // The mark may have begun.
                self.at = self.bytes.len() - rest.len().min(MARK.len() - 1);
                return None;
            };
            self.at += skip;
            let greeting = self.bytes[self.at..].first_chunk::<GREETING>()?;
            let found = Greeting::read(*greeting);
            self.at += if found.is_some() { GREETING } else { 1 };
            if let Some(found) = found {
                return Some(Found::Greeting(found));
            }
        }
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.bytes.len() - self.at
    }
}
