//! From the terminal to history, screen, judge and clients.

use super::Hold;
use super::client::{FRAME_MS, MAX_BACKLOG, MAX_FRAME_OUTPUT, Role, View};
use crate::clock::{now_ms, steady_ms};
use crate::sys;
use rustix::io::Errno;
use stead_wire::message::ToClient;

/// Most output gathered before it is taken in, in bytes.
pub(super) const MAX_CHUNK: usize = 128 * 1024;

/// Output within [`WINDOW_MS`] up to which it is taken in at once, in bytes.
const INTERACTIVE: usize = 8 * 1024;

/// Length of the window in which a flood is noticed and for which it is gathered, in milliseconds.
const WINDOW_MS: u64 = 3;

/// Recent output kept for clients that come back, in bytes.
const MAX_RECENT: usize = 32 * 1024;

impl Hold {
    /// Reads what the terminal has, and takes it in unless it is a flood.
    pub(super) fn read_output(&mut self) {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve(4 * 1024);
        }
        loop {
            if self.chunk.len() == self.chunk.capacity() {
                if self.chunk.len() >= MAX_CHUNK {
                    break;
                }
                self.chunk.reserve_exact(self.chunk.len().min(MAX_CHUNK - self.chunk.len()));
            }
            match rustix::io::read(
                self.pty.master(),
                rustix::buffer::spare_capacity(&mut self.chunk),
            ) {
                Ok(0) | Err(Errno::IO) => {
                    // The last process on the terminal is gone.
                    self.open = false;
                    break;
                }
                Ok(n) => self.window_bytes += n,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let now = steady_ms();
        if now >= self.window + WINDOW_MS {
            self.window = now;
            self.window_bytes = self.chunk.len();
        }
        if self.window_bytes <= INTERACTIVE || self.chunk.len() >= MAX_CHUNK || !self.open {
            self.take_in();
        } else {
            self.take_in_at.get_or_insert(self.window + WINDOW_MS);
        }
    }

    /// Hands the gathered output to history, screen, judge and clients.
    pub(super) fn take_in(&mut self) {
        self.take_in_at = None;
        if self.chunk.is_empty() {
            return;
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        let offset = self.history.offset();
        self.active = now_ms();
        self.history.output(self.active, &chunk);
        self.term.feed(&chunk);
        let now = steady_ms();
        self.judge.output(&chunk, self.active);
        for signal in self.term.take_signals() {
            self.judge.signal(&signal, self.active);
        }
        let replies = self.term.take_replies();
        if !replies.is_empty() {
            self.typed.push_replies(&replies);
            self.write_typed();
        }
        self.remember_recent(&chunk);
        for client in &mut self.clients {
            let backlog = client.backlog();
            let Role::Attached(attached) = &mut client.role else { continue };
            if now >= attached.frame + FRAME_MS && attached.view == View::Live {
                attached.frame = now;
                attached.frame_output = 0;
            }
            attached.frame_output += chunk.len();
            if attached.view == View::Behind {
                continue;
            }
            if attached.frame_output > MAX_FRAME_OUTPUT || backlog + chunk.len() > MAX_BACKLOG {
                attached.view = View::Behind;
                continue;
            }
            client.send_output(offset, &chunk);
            client.flush();
        }
        self.publish_status();
        let was = chunk.len();
        chunk.clear();
        if was <= INTERACTIVE && chunk.capacity() > INTERACTIVE {
            // A flood has passed: its buffer goes back.
            chunk = Vec::new();
            self.recent.shrink_to_fit();
            sys::trim_memory();
        }
        self.chunk = chunk;
    }

    pub(super) fn remember_recent(&mut self, chunk: &[u8]) {
        if chunk.len() >= MAX_RECENT {
            self.recent.clear();
            self.recent.extend_from_slice(&chunk[chunk.len() - MAX_RECENT..]);
            return;
        }
        if self.recent.len() + chunk.len() > 2 * MAX_RECENT {
            let cut = self.recent.len() - MAX_RECENT;
            self.recent.drain(..cut);
        }
        self.recent.extend_from_slice(chunk);
    }

    /// Paints the screen for clients that missed something and have taken all that was sent.
    pub(super) fn repaint_behind(&mut self, now: u64) {
        let mut painted: Option<(u64, Vec<u8>)> = None;
        for at in 0..self.clients.len() {
            let ready = self.clients[at].backlog() == 0;
            let due = self.clients[at]
                .attached()
                .is_some_and(|a| a.view == View::Behind && now >= a.frame + FRAME_MS);
            if !(ready && due) {
                continue;
            }
            if painted.is_none() {
                self.take_in();
                painted = Some((self.screen_offset(), self.term.repaint()));
            }
            let (offset, bytes) = painted.as_ref().expect("just painted");
            let client = &mut self.clients[at];
            client.send(&ToClient::Repaint { offset: *offset, bytes: bytes.clone() });
            client.send_output(*offset, self.term.pending());
            let attached = client.attached().expect("checked above");
            attached.frame = now;
            if attached.frame_output <= MAX_FRAME_OUTPUT {
                attached.view = View::Live;
            }
            attached.frame_output = 0;
            client.flush();
        }
    }

    /// Offset of the output that the screen reflects: an unfinished escape sequence is not in it.
    pub(super) fn screen_offset(&self) -> u64 {
        self.history.offset() - self.term.pending().len() as u64
    }
}
