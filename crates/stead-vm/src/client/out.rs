//! What a command has said and this process's standard streams have not taken yet.
//!
//! Whoever reads them may not: this process hears signals nevertheless. The streams may be shared with others, so whether they block
//! is left as it is.

use crate::failure::{Result, Tried};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, write};
use rustix::net::{SendFlags, send};
use rustix::stdio::{stderr, stdout};
use std::collections::VecDeque;

/// What a pipe takes without waiting once it takes anything.
const LITTLE: usize = 4096;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How one writes to a stream without waiting.
enum Way {
    /// By a description of the same pipe or terminal that is not to block.
    Own(OwnedFd),
    /// It is a socket.
    Send(BorrowedFd<'static>),
    /// It never blocks: a file.
    Write(BorrowedFd<'static>),
    /// It may block, and cannot be opened anew.
    Little(BorrowedFd<'static>),
}

impl Way {
    fn to(stream: BorrowedFd<'static>) -> Self {
        let kind = fstat(stream).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Socket) => Way::Send(stream),
            Ok(FileType::Fifo | FileType::CharacterDevice) => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
                open(path, flags, Mode::empty()).map_or(Way::Little(stream), Way::Own)
            }
            _ => Way::Write(stream),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Way::Own(own) => own.as_fd(),
            Way::Send(stream) | Way::Write(stream) | Way::Little(stream) => *stream,
        }
    }

    fn put(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        match self {
            Way::Own(own) => write(own, bytes),
            Way::Send(stream) => send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Way::Write(stream) => write(stream, bytes),
            Way::Little(stream) => {
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                if poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&now))? == 0 {
                    return Err(Errno::AGAIN);
                }
                write(stream, &bytes[..bytes.len().min(LITTLE)])
            }
        }
    }
}

/// What waits for both, in the order in which it was said.
pub struct Out {
    output: Way,
    error: Way,
    held: VecDeque<(To, Vec<u8>)>,
    /// Bytes of the first that are written.
    at: usize,
    bytes: usize,
}

impl Out {
    /// To the standard streams of this process.
    pub fn standard() -> Self {
        Out {
            output: Way::to(stdout()),
            error: Way::to(stderr()),
            held: VecDeque::new(),
            at: 0,
            bytes: 0,
        }
    }

    /// Takes what was said.
    pub fn hold(&mut self, to: To, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.held.push_back((to, bytes.to_vec()));
        }
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.bytes - self.at
    }

    /// What must take something before anything else is taken.
    pub fn blocked(&self) -> Option<BorrowedFd<'_>> {
        self.held.front().map(|(to, _)| self.way(*to).fd())
    }

    fn way(&self, to: To) -> &Way {
        match to {
            To::Output => &self.output,
            To::Error => &self.error,
        }
    }

    /// Writes what is taken now.
    ///
    /// # Errors
    /// If nobody will ever take it.
    pub fn flush(&mut self) -> Result<()> {
        while let Some((to, bytes)) = self.held.front() {
            let what = match to {
                To::Output => "standard output",
                To::Error => "standard error",
            };
            match self.way(*to).put(&bytes[self.at..]) {
                Ok(n) => self.at += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e).tried(|| what),
            }
            if self.at == bytes.len() {
                self.bytes -= self.at;
                self.at = 0;
                self.held.pop_front();
            }
        }
        Ok(())
    }
}
