//! What the channel of a command carries: its standard streams, and what else is to be said meanwhile.
//!
//! Standard input is sent only as far as the command's side has taken it ([`Kind::Taken`]), so that what is said beside, a signal or
//! a size, never waits behind it.

use crate::failure::{Result, VmError};

/// Bytes that a piece carries at most.
pub const LONGEST: usize = 16 * 1024;
/// Bytes of standard input that may be under way.
pub const INPUT_WINDOW: usize = 64 * 1024;
const HEADER: usize = 3;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the command: standard input.
    Input = 1,
    /// To the command: the end of it.
    InputEnd = 2,
    /// To the command: lines and columns of its terminal, 16 bits each.
    Size = 3,
    /// To the command: a signal's number, and 1 if all that stand in front of the terminal get it.
    Signal = 4,
    /// From the command: standard output.
    Output = 5,
    /// From the command: standard error.
    Error = 6,
    /// From the command: it has ended, with this status.
    Exit = 7,
    /// From the command: so many bytes of input (32 bits) may follow.
    Taken = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::{Error, Exit, Input, InputEnd, Output, Signal, Size, Taken};
        [Input, InputEnd, Size, Signal, Output, Error, Exit, Taken]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Appends a piece to `out`.
pub fn put(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    debug_assert!(bytes.len() <= LONGEST);
    out.push(kind as u8);
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads pieces.
#[derive(Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    at: usize,
}

impl Pieces {
    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next one, if it is there whole.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn piece(&mut self) -> Result<Option<(Kind, &[u8])>> {
        let rest = &self.bytes[self.at..];
        let Some([kind, high, low]) = rest.first_chunk::<HEADER>().copied() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(kind) = Kind::of(kind).filter(|_| length <= LONGEST) else {
            return Err(VmError::refused("what came of the command makes no sense"));
        };
        let Some(bytes) = rest.get(HEADER..HEADER + length) else { return Ok(None) };
        self.at += HEADER + length;
        Ok(Some((kind, bytes)))
    }
}
