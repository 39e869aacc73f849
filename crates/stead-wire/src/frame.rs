//! Frames: `length: u32 LE` (of what follows), `kind: u8`, payload.
//!
//! The layout of a frame and of the hello inside the first one never change; everything else may,
//! under the version that the hello agrees on. A kind that the receiver does not know is skipped.

use crate::WireError;

/// Largest frame accepted, in bytes after the length word. A repaint of a 1000x500 screen with every
/// cell in its own colour fits.
pub const MAX_FRAME: usize = 32 * 1024 * 1024;

/// Bytes before the payload: the length word and the kind.
pub const HEADER: usize = 5;

/// One frame as it stands in a receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is; see [`crate::message`].
    pub kind: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// Appends a frame to `out`; `parts` are joined to make the payload.
///
/// # Panics
/// If the parts together exceed [`MAX_FRAME`]: a sender splits what can be that large.
pub fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len: usize = 1 + parts.iter().map(|p| p.len()).sum::<usize>();
    assert!(len <= MAX_FRAME, "frame of {len} bytes");
    out.reserve(len + 4);
    out.extend_from_slice(&u32::try_from(len).expect("below MAX_FRAME").to_le_bytes());
    out.push(kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// A receive buffer that yields whole frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buf: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buf.drain(..self.start);
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` until more bytes have come.
    ///
    /// # Errors
    /// [`WireError::TooLarge`]: the stream cannot be followed any further.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let rest = &self.buf[self.start..];
        let Some((word, body)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*word) as usize;
        if len > MAX_FRAME {
            return Err(WireError::TooLarge(len));
        }
        if len == 0 {
            return Err(WireError::Short { kind: "frame", len });
        }
        if body.len() < len {
            return Ok(None);
        }
        let at = self.start + 4;
        self.start = at + len;
        Ok(Some(Frame { kind: self.buf[at], payload: &self.buf[at + 1..at + len] }))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Gives back memory that a large frame left behind.
    pub fn trim(&mut self) {
        if self.pending() == 0 {
            self.start = 0;
            self.buf.clear();
            self.buf.shrink_to(16 * 1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_split(
            frames in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..20),
            step in 1usize..50,
        ) {
            let mut bytes = Vec::new();
            for (kind, payload) in &frames {
                put(&mut bytes, *kind, &[payload]);
            }
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for chunk in bytes.chunks(step) {
                decoder.push(chunk);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    seen.push((frame.kind, frame.payload.to_vec()));
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert_eq!(decoder.pending(), 0);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::new();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }

    #[test]
    fn an_oversized_frame_is_an_error() {
        let mut decoder = Decoder::new();
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert!(matches!(decoder.next_frame(), Err(WireError::TooLarge(_))));
    }
}
