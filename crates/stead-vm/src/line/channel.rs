//! One channel of the line: a socket here, frames there.

use crate::line::frame::LONGEST;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::collections::VecDeque;

/// Bytes that may be under way in a channel, each way.
pub const WINDOW: usize = 128 * 1024;

/// A channel, as one end sees it.
#[allow(clippy::struct_excessive_bools)] // Each end of each way ends alone.
pub struct Channel {
    /// `None` once nothing more comes from it or goes to it.
    socket: Option<OwnedFd>,
    /// What came over the line and is not in the socket yet.
    pending: VecDeque<u8>,
    /// Bytes that the other end lets us send.
    credit: usize,
    /// Bytes that went into the socket and that the other end was not told of.
    taken: usize,
    /// Whoever has the other side of the socket has closed it.
    hung_up: bool,
    /// We said that no more will come from here.
    pub end_said: bool,
    /// The other end said so.
    ended: bool,
    /// We said that nobody reads here.
    pub stop_said: bool,
}

/// What has come from a channel's socket.
pub enum Came {
    /// These bytes, to be sent.
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// The end.
    End,
}

impl Channel {
    /// One that carries what goes through `socket`, which does not block.
    pub fn new(socket: OwnedFd) -> Self {
        Channel {
            socket: Some(socket),
            pending: VecDeque::new(),
            credit: WINDOW,
            taken: 0,
            hung_up: false,
            end_said: false,
            ended: false,
            stop_said: false,
        }
    }

    /// The socket, and whether to wait until it can be read and written; `None` if there is nothing to wait for.
    /// `room`: there is room on the line.
    pub fn wanted(&self, room: bool) -> Option<(BorrowedFd<'_>, bool, bool)> {
        let socket = self.socket.as_ref()?;
        let read = room && !self.end_said && self.credit > 0;
        let write = !self.pending.is_empty();
        (read || write || !self.hung_up).then(|| (socket.as_fd(), read, write))
    }

    /// The socket's other side is closed.
    pub fn hang_up(&mut self) {
        self.hung_up = true;
        self.pending.clear();
    }

    /// Whether it is to be said that nobody reads here.
    pub fn is_deaf(&self) -> bool {
        self.hung_up && !self.stop_said
    }

    /// Takes what is to be sent from the socket.
    pub fn read(&mut self) -> Came {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.end_said) else {
            return Came::Nothing;
        };
        if self.credit == 0 {
            return Came::Nothing;
        }
        let mut bytes = vec![0; self.credit.min(LONGEST)];
        match recv(socket, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((1.., n)) => {
                bytes.truncate(n);
                self.credit -= n;
                Came::Bytes(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Came::Nothing,
            _ => Came::End,
        }
    }

    /// Takes what came over the line. `false`: more than was allowed.
    pub fn receive(&mut self, bytes: &[u8]) -> bool {
        if self.hung_up || self.stop_said {
            return true;
        }
        if self.ended || self.pending.len() + self.taken + bytes.len() > WINDOW {
            return false;
        }
        self.pending.extend(bytes);
        self.write();
        true
    }

    /// Puts into the socket what it takes.
    pub fn write(&mut self) {
        let Some(socket) = &self.socket else { return };
        while !self.pending.is_empty() {
            let (first, _) = self.pending.as_slices();
            match send(socket, first, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.pending.drain(..n);
                    self.taken += n;
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => return self.hang_up(),
            }
        }
        if self.ended {
            let _ = shutdown(socket, Shutdown::Write);
        }
    }

    /// Bytes that the other end is to be allowed now. It always has most of the window.
    pub fn grant(&mut self) -> Option<u32> {
        let due = self.taken >= WINDOW / 4 && !self.ended;
        due.then(|| std::mem::take(&mut self.taken) as u32)
    }

    /// The other end allows so many more.
    pub fn allow(&mut self, more: u32) {
        self.credit = (self.credit + more as usize).min(WINDOW);
    }

    /// The other end sends no more.
    pub fn end(&mut self) {
        self.ended = true;
        self.write();
    }

    /// The other end reads no more.
    pub fn stop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = shutdown(socket, Shutdown::Read);
        }
    }

    /// Lets go of the socket if it is of no use, and says whether the channel is over.
    pub fn is_over(&mut self) -> bool {
        let read = self.end_said;
        let written = self.stop_said || (self.ended && self.pending.is_empty());
        if read && written {
            self.socket = None;
        }
        read && self.ended && self.socket.is_none()
    }
}
