//! One connection that is carried over a bridge.

use super::link::Link;
use crate::steward::lock_of;
use std::io;
use std::sync::Mutex;
use stead_wire::bridge::{MAX_DATA, Move, ToBridge, WINDOW};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// Bytes passed on before the other side is told.
const TELL: usize = WINDOW / 4;

/// A client of this host and a channel.
pub struct Pipe {
    number: u32,
    client: UnixStream,
    /// Whether each direction ends on its own, as those of a command do.
    half: bool,
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    /// What waits for the client.
    queue: Vec<u8>,
    written: usize,
    /// Bytes that the bridge may still send.
    allowed: usize,
    /// Bytes passed on that the bridge has not been told of.
    passed: usize,
    /// Bytes that the bridge takes.
    credit: usize,
    /// Nothing more comes from the bridge.
    ended: bool,
    closed: bool,
    /// The client cannot be written to any more.
    deaf: bool,
}

impl State {
    fn waiting(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Notes that bytes were passed on. How much the bridge is to be told of.
    fn pass(&mut self, n: usize) -> usize {
        self.passed += n;
        if self.passed < TELL {
            return 0;
        }
        self.allowed += self.passed;
        std::mem::take(&mut self.passed)
    }

    fn write(&mut self, client: &UnixStream) -> usize {
        let before = self.written;
        while self.waiting() > 0 {
            if self.deaf {
                self.written = self.queue.len();
                break;
            }
            match client.try_write(&self.queue[self.written..]) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.deaf = true,
            }
        }
        let n = self.written - before;
        if self.waiting() == 0 {
            self.queue.clear();
            self.queue.shrink_to(4096);
            self.written = 0;
        }
        self.pass(n)
    }
}

impl Pipe {
    pub fn new(number: u32, client: UnixStream, half: bool) -> Self {
        let state = State {
            queue: Vec::new(),
            written: 0,
            allowed: WINDOW,
            passed: 0,
            credit: WINDOW,
            ended: false,
            closed: false,
            deaf: false,
        };
        Pipe { number, client, half, state: Mutex::new(state), wake: Notify::new() }
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Bytes have come from the bridge. How many passed on it is to be told of; an error if it has no credit for them.
    pub fn arrived(&self, bytes: &[u8]) -> Result<usize, ()> {
        let mut state = lock_of(&self.state);
        state.allowed = state.allowed.checked_sub(bytes.len()).ok_or(())?;
        state.queue.extend_from_slice(bytes);
        // Most of the time the client takes them at once.
        let tell = state.write(&self.client);
        if state.waiting() > 0 || state.deaf {
            self.wake.notify_one();
        }
        Ok(tell)
    }

    /// The bridge takes more. Whether that can be.
    pub fn granted(&self, n: u32) -> bool {
        let mut state = lock_of(&self.state);
        let before = state.credit;
        state.credit = before.saturating_add(n as usize).min(WINDOW);
        self.wake.notify_one();
        state.credit > before
    }

    pub fn ended(&self) {
        lock_of(&self.state).ended = true;
        self.wake.notify_one();
    }

    pub fn closed(&self) {
        lock_of(&self.state).closed = true;
        self.wake.notify_one();
    }

    /// Carries bytes both ways until one side closes.
    pub async fn run(&self, link: &Link) {
        let mut reading = true;
        let mut shut = false;
        let mut buf = vec![0; MAX_DATA];
        loop {
            let (credit, waiting) = {
                let state = lock_of(&self.state);
                let over = state.closed || (state.deaf && !self.half);
                if (over && (state.waiting() == 0 || state.deaf))
                    || (state.ended && state.deaf && !reading)
                {
                    break;
                }
                if state.ended && state.waiting() == 0 && !shut {
                    shut = true;
                    let _ = rustix::net::shutdown(&self.client, rustix::net::Shutdown::Write);
                    if !reading {
                        break;
                    }
                }
                (if state.closed { 0 } else { state.credit }, state.waiting() > 0)
            };
            tokio::select! {
                result = self.client.readable(), if reading && credit > 0 => {
                    if result.is_err() {
                        break;
                    }
                    link.room().await;
                    match self.client.try_read(&mut buf[..credit.min(MAX_DATA)]) {
                        Ok(0) if self.half => {
                            reading = false;
                            link.put(&ToBridge::Channel(self.number, Move::End));
                        }
                        Ok(0) => break,
                        Ok(n) => {
                            lock_of(&self.state).credit -= n;
                            link.put(&ToBridge::Channel(self.number, Move::Data(&buf[..n])));
                        }
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => break,
                    }
                }
                result = self.client.writable(), if waiting => {
                    if result.is_err() {
                        break;
                    }
                    let tell = lock_of(&self.state).write(&self.client);
                    link.credit(self.number, tell);
                }
                () = self.wake.notified() => {}
                () = link.ended() => break,
            }
        }
        let closed = lock_of(&self.state).closed;
        if !closed {
            link.put(&ToBridge::Channel(self.number, Move::Close("")));
        }
        link.part(self.number);
        let _ = rustix::net::shutdown(&self.client, rustix::net::Shutdown::Both);
    }
}
