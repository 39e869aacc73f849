//! The keeper's end of the line: it hands every client of a socket through to the agent, and answers what the guest asks.

use crate::failure::{Result, Tried};
use crate::guest::config::Config;
use crate::line::mux::{Happened, Mux};
use crate::line::spoken::{Answer, LONGEST_LINE, Question, line};
use rustix::fd::AsFd;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// After how long without an answer the guest is greeted again, at first; then twice as long each time.
const GREET_AGAIN: Duration = Duration::from_millis(500);
const GREET_AGAIN_MOST: Duration = Duration::from_secs(8);
/// Questions of a guest that are read at once.
const QUESTIONS: usize = 8;

/// What the relay needs of the keeper.
pub trait Keeper {
    /// What the guest is to be. Asked whenever a guest boots.
    fn config(&mut self) -> Config;
    /// Whether the guest is only starting: it says itself when it is there. What it is told before waits for it, and an
    /// emulated processor takes long to read it all.
    fn boots(&self) -> bool {
        false
    }
    /// The agent takes requests; clients are let through from now on.
    fn ready(&mut self) {}
    /// The agent is not there any more: the guest has begun anew, or its agent has.
    fn lost(&mut self) {}
}

/// Carries what goes between the clients of `listener` and the agent at the other end of `port`, until `port` ends: QEMU has
/// ended, or somebody has shut the stream down. It can be called again with another stream. Clients wait while there is no agent.
///
/// # Errors
/// If the port or the listener breaks.
pub fn relay(port: &UnixStream, listener: &UnixListener, keeper: &mut dyn Keeper) -> Result<()> {
    port.set_nonblocking(true).tried(|| "the machine's line")?;
    listener.set_nonblocking(true).tried(|| "the socket of the machine's agent")?;
    let boots = keeper.boots();
    let mux = if boots { Mux::silent_host(epoch()?) } else { Mux::host(epoch()?) };
    let mut relay = Relay { mux, asked: Vec::new(), ready: false, keeper };
    let mut patience = if boots { GREET_AGAIN_MOST } else { GREET_AGAIN };
    let mut since = Instant::now();
    loop {
        let limit = (!relay.ready).then(|| patience.saturating_sub(since.elapsed()));
        let listens = relay.ready && relay.mux.has_room();
        let turn = {
            let mut beside: Vec<_> = relay.asked.iter().map(|asked| asked.from.as_fd()).collect();
            if listens {
                beside.push(listener.as_fd());
            }
            let turn = relay.mux.turn(Some(port.as_fd()), &beside, limit);
            turn.tried(|| "the machine's line")?
        };
        if turn.alone {
            if relay.ready {
                relay.keeper.lost();
            }
            return Ok(());
        }
        let mut ready = turn.ready;
        if listens && ready.pop() == Some(true) {
            relay.accept(listener)?;
        }
        relay.answer(&ready);
        for happened in turn.happened {
            relay.take(happened)?;
            (patience, since) = (GREET_AGAIN, Instant::now());
        }
        if !relay.ready && since.elapsed() >= patience {
            relay.mux.ask_again();
            (patience, since) = ((patience * 2).min(GREET_AGAIN_MOST), Instant::now());
        }
    }
}

/// A number that nobody inside can guess.
fn epoch() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty()).tried(|| "random numbers")?;
    Ok(u64::from_ne_bytes(bytes))
}

struct Relay<'a> {
    mux: Mux,
    asked: Vec<Asked>,
    ready: bool,
    keeper: &'a mut dyn Keeper,
}

/// A question of the guest that is being read.
struct Asked {
    from: UnixStream,
    line: Vec<u8>,
}

impl Relay<'_> {
    fn take(&mut self, happened: Happened) -> Result<()> {
        match happened {
            Happened::Begun => {}
            Happened::Lost => {
                self.asked.clear();
                if std::mem::take(&mut self.ready) {
                    self.keeper.lost();
                }
                self.mux.begin(epoch()?);
            }
            Happened::Opened(from) => {
                if self.asked.len() < QUESTIONS && from.set_nonblocking(true).is_ok() {
                    self.asked.push(Asked { from, line: Vec::new() });
                }
            }
        }
        Ok(())
    }

    /// Lets the clients in that wait.
    fn accept(&mut self, listener: &UnixListener) -> Result<()> {
        while self.mux.has_room() {
            match listener.accept() {
                // One that cannot be carried is closed, which it sees.
                Ok((client, _)) => drop(self.mux.open(client.into())),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::ECONNABORTED) => {}
                Err(e) => return Err(e).tried(|| "the socket of the machine's agent"),
            }
        }
        Ok(())
    }

    fn answer(&mut self, ready: &[bool]) {
        let mut ready = ready.iter();
        let mut whole = Vec::new();
        self.asked.retain_mut(|asked| {
            if ready.next() != Some(&true) {
                return true;
            }
            match asked.read() {
                Some(true) => {
                    if let Ok(from) = asked.from.try_clone() {
                        whole.push((from, std::mem::take(&mut asked.line)));
                    }
                    false
                }
                Some(false) => true,
                None => false,
            }
        });
        for (mut from, question) in whole {
            let answer = match serde_json::from_slice(&question) {
                Ok(Question::Config) => line(&self.keeper.config()),
                Ok(Question::Ready) => {
                    if !std::mem::replace(&mut self.ready, true) {
                        self.keeper.ready();
                    }
                    line(&Answer::default())
                }
                Err(e) => {
                    let error = Some(format!("the question is not understood: {e}"));
                    line(&Answer { error, status: None })
                }
            };
            // It fits into the socket, or whoever asked gets a line that is cut short and asks again.
            if let Ok(answer) = answer {
                let _ = from.write_all(&answer);
            }
        }
    }
}

impl Asked {
    /// Reads on. `Some(true)`: the line is there; `None`: it will not come.
    fn read(&mut self) -> Option<bool> {
        let mut piece = [0; 4096];
        match self.from.read(&mut piece) {
            Ok(0) => None,
            Ok(n) => {
                self.line.extend_from_slice(&piece[..n]);
                match self.line.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        self.line.truncate(end);
                        Some(true)
                    }
                    None => (self.line.len() < LONGEST_LINE).then_some(false),
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Some(false)
            }
            Err(_) => None,
        }
    }
}
