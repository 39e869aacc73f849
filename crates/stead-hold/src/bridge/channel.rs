//! A channel: a connection to a hold, or the streams of a command.

use super::files;
use super::stream::Stream;
use crate::folder::Places;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use stead_wire::bridge::{FromBridge, MAX_DATA, Move, WINDOW};

/// Bytes passed on before the other side is told.
const TELL: usize = WINDOW / 4;

/// What becomes of a channel after a read.
pub enum Flow {
    On,
    /// No more comes from it; it may still be written to.
    End,
    /// It is of no more use.
    Close(String),
}

pub struct Channel {
    source: Option<Arc<OwnedFd>>,
    sink: Option<Arc<OwnedFd>>,
    /// A socket to a hold is closed as a whole; the streams of a command are closed one by one.
    whole: bool,
    /// What waits to be written.
    queue: Vec<u8>,
    written: usize,
    /// Bytes written that the steward has not been told of.
    passed: usize,
    ended: bool,
    /// Bytes that the steward takes.
    credit: usize,
    /// There was nothing to read the last time.
    dry: bool,
}

impl Channel {
    /// Connects to a hold.
    pub fn to_hold(places: &Places, id: &str) -> Result<Self, String> {
        files::known(places, id)?;
        let refused = |e: Errno| format!("its hold cannot be reached: {}", std::io::Error::from(e));
        // A hold that is stopped accepts nobody: then the queue is full, and waiting would stop everybody.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(refused)?;
        let address = SocketAddrUnix::new(places.hold_socket(id)).map_err(refused)?;
        rustix::net::connect(&socket, &address).map_err(refused)?;
        stead_wire::peer::check(&socket).map_err(|e| e.to_string())?;
        let socket = Arc::new(socket);
        Ok(Channel { whole: true, ..Self::of(Some(socket.clone()), Some(socket)) })
    }

    /// The streams of a command; they must not block.
    pub fn of(source: Option<Arc<OwnedFd>>, sink: Option<Arc<OwnedFd>>) -> Self {
        Channel {
            source,
            sink,
            whole: false,
            queue: Vec::new(),
            written: 0,
            passed: 0,
            ended: false,
            credit: WINDOW,
            dry: false,
        }
    }

    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(|fd| fd.as_fd())
    }

    pub fn sink(&self) -> Option<BorrowedFd<'_>> {
        self.sink.as_ref().map(|fd| fd.as_fd())
    }

    pub fn may_send(&self) -> bool {
        self.credit > 0
    }

    pub fn grant(&mut self, n: u32) {
        self.credit = self.credit.saturating_add(n as usize).min(WINDOW);
    }

    /// Whether there was nothing more to read, or nothing more will come.
    pub fn is_dry(&self) -> bool {
        self.dry || self.source.is_none()
    }

    /// There may be more to read than the last time.
    pub fn look_again(&mut self) {
        self.dry = false;
    }

    fn waiting(&self) -> usize {
        self.queue.len() - self.written
    }

    pub fn has_queue(&self) -> bool {
        self.waiting() > 0
    }

    /// Takes bytes that are to be written.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if self.waiting() + bytes.len() > WINDOW {
            return Err("more was sent on this channel than it has credit for");
        }
        self.queue.extend_from_slice(bytes);
        Ok(())
    }

    /// Nothing more will come to be written.
    pub fn end_input(&mut self) {
        self.ended = true;
    }

    /// Writes what can be written now. How much the steward is to be told of.
    pub fn pass_in(&mut self) -> Result<usize, String> {
        let before = self.written;
        while self.waiting() > 0 {
            let Some(sink) = &self.sink else {
                // A command that has closed its input: what comes is taken and dropped.
                self.written = self.queue.len();
                break;
            };
            match rustix::io::write(sink, &self.queue[self.written..]) {
                Ok(n) => self.written += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(e) if self.whole => return Err(std::io::Error::from(e).to_string()),
                Err(_) => self.sink = None,
            }
        }
        self.passed += self.written - before;
        if self.waiting() == 0 {
            self.queue.clear();
            self.queue.shrink_to(4 * 1024);
            self.written = 0;
            if self.ended && !self.whole {
                self.sink = None;
            }
        }
        if self.passed < TELL {
            return Ok(0);
        }
        Ok(std::mem::take(&mut self.passed))
    }

    /// Reads once and sends that to the steward.
    pub fn pass_out(&mut self, number: u32, stream: &mut Stream, buf: &mut [u8]) -> Flow {
        let Some(source) = &self.source else { return Flow::On };
        let room = self.credit.min(MAX_DATA).min(buf.len());
        if room == 0 {
            return Flow::On;
        }
        match rustix::io::read(source, &mut buf[..room]) {
            Ok(0) => self.no_more(String::new()),
            Ok(n) => {
                self.credit -= n;
                self.dry = false;
                stream.say(&FromBridge::Channel(number, Move::Data(&buf[..n])));
                Flow::On
            }
            Err(Errno::INTR) => Flow::On,
            Err(Errno::AGAIN) => {
                self.dry = true;
                Flow::On
            }
            Err(e) => self.no_more(std::io::Error::from(e).to_string()),
        }
    }

    fn no_more(&mut self, why: String) -> Flow {
        self.source = None;
        if self.whole { Flow::Close(why) } else { Flow::End }
    }
}
