//! One client of a hold: what came from it and what waits to go to it.

use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use stead_wire::frame::Decoder;
use stead_wire::message::{Bye, ToClient};
use stead_wire::session::Size;

/// Bytes that may wait for an attached client before it is repainted instead.
pub const MAX_BACKLOG: usize = 256 * 1024;

/// Bytes that one client may have typed ahead of what the terminal takes; beyond, it is not read from.
pub const MAX_TYPED: usize = 1024 * 1024;

/// Bytes that may wait for any client before it is given up.
pub const MAX_UNSENT: usize = 16 * 1024 * 1024;

/// Output of one frame beyond which a client is shown pictures instead of every byte.
pub const MAX_FRAME_OUTPUT: usize = 128 * 1024;

/// Time between two pictures of a fast output, in milliseconds.
pub const FRAME_MS: u64 = 16;

/// What a client came for.
pub enum Role {
    /// It has not said yet.
    Greeting,
    /// To ask.
    Control,
    /// To be told of changes.
    Watch,
    /// To show and type.
    Attached(Attached),
}

/// An attached client.
pub struct Attached {
    /// Its own terminal.
    pub size: Size,
    /// Whether it only looks.
    pub read_only: bool,
    /// How it is kept up to date.
    pub view: View,
    /// When the present frame began; steady milliseconds.
    pub frame: u64,
    /// Output since then, in bytes.
    pub frame_output: usize,
    /// Whether it has been told of the end.
    pub told_end: bool,
}

/// How an attached client is kept up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// It gets every byte.
    Live,
    /// It has missed something and will be repainted.
    Behind,
}

/// A connection and its queues.
pub struct Client {
    /// Number, never used twice in a hold's life.
    pub id: u32,
    /// What it came for.
    pub role: Role,
    /// What came from it.
    pub decoder: Decoder,
    /// Bytes it has typed that the terminal has not taken yet.
    pub typed: usize,
    socket: UnixStream,
    out: Vec<u8>,
    sent: usize,
    closing: bool,
    dead: bool,
}

impl Client {
    /// A connection that has said nothing yet.
    pub fn new(id: u32, socket: UnixStream) -> Self {
        Client {
            id,
            role: Role::Greeting,
            decoder: Decoder::new(),
            typed: 0,
            socket,
            out: Vec::new(),
            sent: 0,
            closing: false,
            dead: false,
        }
    }

    /// The attached part, if it is attached.
    pub fn attached(&mut self) -> Option<&mut Attached> {
        match &mut self.role {
            Role::Attached(attached) => Some(attached),
            _ => None,
        }
    }

    /// Whether it shows the session.
    pub fn is_attached(&self) -> bool {
        matches!(self.role, Role::Attached(_))
    }

    /// Queues a message.
    pub fn send(&mut self, message: &ToClient) {
        if self.backlog() > MAX_UNSENT {
            // It asks and does not read.
            self.dead = true;
            return;
        }
        message.put(&mut self.out);
    }

    /// Queues output as it is.
    pub fn send_output(&mut self, offset: u64, bytes: &[u8]) {
        stead_wire::message::put_output(&mut self.out, offset, bytes);
    }

    /// Says why, and closes once that is sent.
    pub fn bye(&mut self, reason: &str, text: impl Into<String>) {
        self.send(&ToClient::Bye(Bye { reason: reason.into(), text: text.into() }));
        self.closing = true;
    }

    /// Whether it is done with: broken, or closed after its last words.
    pub fn gone(&self) -> bool {
        self.dead || (self.closing && self.backlog() == 0)
    }

    /// Whether nothing more is read from it.
    pub fn closing(&self) -> bool {
        self.closing || self.dead
    }

    /// Bytes that wait to go out.
    pub fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends what the socket takes now.
    pub fn flush(&mut self) {
        while self.backlog() > 0 && !self.dead {
            match rustix::io::write(&self.socket, &self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.dead = true,
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.out.shrink_to(4 * 1024);
        } else if self.sent > MAX_BACKLOG {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Takes in what has arrived.
    pub fn receive(&mut self, buf: &mut [u8]) {
        match rustix::io::read(&self.socket, &mut *buf) {
            Ok(0) => self.dead = true,
            Ok(n) => self.decoder.push(&buf[..n]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.dead = true,
        }
    }

    /// Who it is, as the kernel says.
    ///
    /// # Errors
    /// If it is not the user that this hold serves.
    pub fn check_peer(&self) -> Result<(), stead_wire::WireError> {
        stead_wire::peer::check(&self.socket)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The reason and the last words for a client whose frames cannot be followed.
pub fn last_words(error: &stead_wire::WireError) -> (&'static str, String) {
    match error {
        stead_wire::WireError::Version(_) => ("version", error.to_string()),
        _ => ("protocol", error.to_string()),
    }
}
