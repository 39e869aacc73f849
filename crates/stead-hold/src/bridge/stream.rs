//! The stream to the steward: frames in, frames out, never waiting for either.

use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use stead_wire::WireError;
use stead_wire::bridge::FromBridge;
use stead_wire::frame::Decoder;

/// Bytes waiting to go out beyond which channels are not read and changes not told.
const ROOM: usize = 256 * 1024;
/// Bytes waiting to go out beyond which no more questions are read: the steward asks and does not read.
const DEAF: usize = 8 * 1024 * 1024;

pub struct Stream {
    input: OwnedFd,
    output: OwnedFd,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
    gone: bool,
    buf: Vec<u8>,
}

impl Stream {
    pub fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&input, true)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        Ok(Stream {
            input,
            output,
            decoder: Decoder::new(),
            out: Vec::new(),
            sent: 0,
            gone: false,
            buf: vec![0; 64 * 1024],
        })
    }

    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Whether the steward has left.
    pub fn gone(&self) -> bool {
        self.gone
    }

    /// Bytes that wait to go out.
    pub fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    pub fn has_room(&self) -> bool {
        self.backlog() < ROOM
    }

    pub fn may_hear(&self) -> bool {
        self.backlog() < DEAF
    }

    pub fn say(&mut self, message: &FromBridge<'_>) {
        message.put(&mut self.out);
        // Most of the time it goes at once: a keystroke's echo waits for no further turn of the loop.
        self.flush();
    }

    pub fn flush(&mut self) {
        while self.backlog() > 0 && !self.gone {
            match rustix::io::write(&self.output, &self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.gone = true,
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.out.shrink_to(64 * 1024);
        } else if self.sent > ROOM {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Takes in what has come.
    pub fn receive(&mut self) {
        match rustix::io::read(&self.input, &mut self.buf[..]) {
            Ok(0) => self.gone = true,
            Ok(n) => self.decoder.push(&self.buf[..n]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.gone = true,
        }
    }

    /// The next whole frame: its kind and payload.
    pub fn next_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, WireError> {
        let frame = self.decoder.next_frame()?.map(|f| (f.kind, f.payload.to_vec()));
        if frame.is_none() {
            self.decoder.trim();
        }
        Ok(frame)
    }
}
