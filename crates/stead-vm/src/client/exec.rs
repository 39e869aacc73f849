//! A command in a machine, with the standard streams of this process.
//!
//! Its end is the end of this; what this process is told by signals, and by the terminal that it sits at, it is told. If this
//! process is killed, the command is too.

use crate::client::out::{Out, To};
use crate::client::{heard, say};
use crate::failure::{Result, Tried, VmError};
use crate::line::piece::{INPUT_WINDOW, Kind, LONGEST, Pieces, put};
use crate::line::spoken::{Exec, Request, Tty};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Exit status when the machine could not be reached.
pub const NOT_ENTERED: u8 = 125;

/// After how long without an answer a person is told that there is none.
const WORD: Duration = Duration::from_secs(10);
/// Signals that are handed on to the command.
const HANDED_ON: [i32; 6] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

/// Bytes that are held of what a command said that was told to end, and that nobody takes: its end comes behind them.
const HELD: usize = 4 << 20;
/// How long, after its end, somebody may take to read on.
const LAST: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Runs a command by the agent behind `socket`, with the caller's standard streams, and waits for its end. Its exit status, or 128
/// and the number of the signal that ended it; 126 or 127, with a line on standard error, if it could not be run.
/// Where a standard stream is a terminal, the command gets one of its own. The caller has one thread.
///
/// # Errors
/// If the agent cannot be reached, or the line breaks.
pub fn exec(socket: &Path, command: Exec) -> Result<u8> {
    let stands_for = [isatty(stdin()), isatty(stdout()), isatty(stderr())];
    let own = [stdin(), stdout(), stderr()].into_iter().zip(stands_for).find(|(_, is)| *is);
    let own = own.map(|(terminal, _)| terminal);
    let mut command = command;
    command.tty = own.map(|terminal| {
        let (rows, columns) = size(terminal).unwrap_or((24, 80));
        Tty { rows, columns, stands_for }
    });
    let mut signals = HANDED_ON.to_vec();
    signals.push(libc::SIGWINCH);
    sys::block(&signals);
    let arrivals = sys::signal_fd(&signals).tried(|| "signals")?;
    let (stream, said) = say(socket, &Request::Exec(command), None)?;
    if let Some(signal) = ended_before(&stream, &arrivals) {
        return Ok(128 + signal);
    }
    let answer = heard(&stream, said)?;
    if let Some(why) = answer.error {
        let Some(status) = answer.status else { return Err(VmError::Refused(why)) };
        eprintln!("stead-vm: {why}");
        return Ok(status);
    }
    let _raw = stands_for[0].then(|| Raw::set(stdin())).flatten();
    let carried = Carried {
        stream,
        arrivals,
        own,
        pieces: Pieces::default(),
        out: Vec::new(),
        said: Out::standard(),
        told: false,
        ended: None,
        credit: INPUT_WINDOW,
        input_open: true,
    };
    carried.carry(stands_for[0])
}

/// Waits for an answer, which takes as long as a machine boots or stands still: a person is told, and may have enough of it. The
/// signal that this is to end by, if it came first.
fn ended_before(stream: &UnixStream, arrivals: &OwnedFd) -> Option<u8> {
    let mut limit = Some(Timespec { tv_sec: WORD.as_secs() as i64, tv_nsec: 0 });
    loop {
        let mut fds = [PollFd::new(stream, PollFlags::IN), PollFd::new(arrivals, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            Err(_) => continue,
            Ok(0) => {
                let _ = writeln!(
                    std::io::stderr(),
                    "stead-vm: no answer from inside for {} s; it goes on once the machine answers",
                    WORD.as_secs()
                );
                limit = None;
            }
            Ok(_) => {}
        }
        if !fds[0].revents().is_empty() {
            return None;
        }
        let signal = sys::read_signal(arrivals).filter(|signal| signal.number != libc::SIGWINCH);
        if let Some(signal) = signal {
            return Some(signal.number as u8);
        }
    }
}

fn size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    tcgetwinsize(terminal).ok().map(|size| (size.ws_row, size.ws_col))
}

struct Carried {
    stream: UnixStream,
    arrivals: OwnedFd,
    /// A standard stream that is the caller's terminal.
    own: Option<BorrowedFd<'static>>,
    pieces: Pieces,
    /// What is to be sent.
    out: Vec<u8>,
    /// What the command said.
    said: Out,
    /// Whether the command was told to end.
    told: bool,
    /// The command's exit status.
    ended: Option<u8>,
    /// Bytes of input that the command's side takes now.
    credit: usize,
    input_open: bool,
}

impl Carried {
    fn carry(mut self, typed: bool) -> Result<u8> {
        loop {
            // What nobody takes is left to the line, and so to the command; but one that is to end is heard of.
            let most = if self.told { HELD } else { 1 };
            let hears = self.ended.is_none() && self.said.waiting() < most;
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, hears);
            wanted.set(PollFlags::OUT, self.ended.is_none() && !self.out.is_empty());
            let reads = self.ended.is_none() && self.input_open && self.credit > 0;
            let watched = [
                Some(PollFd::new(&self.arrivals, PollFlags::IN)),
                (!wanted.is_empty()).then(|| PollFd::new(&self.stream, wanted)),
                (reads && self.out.len() < LONGEST)
                    .then(|| PollFd::from_borrowed_fd(stdin(), PollFlags::IN)),
                self.said.blocked().map(|to| PollFd::from_borrowed_fd(to, PollFlags::OUT)),
            ];
            let is_watched = watched.each_ref().map(Option::is_some);
            let mut fds: Vec<_> = watched.into_iter().flatten().collect();
            let limit = self.ended.filter(|_| self.told).map(|_| &LAST);
            match (poll(&mut fds, limit), self.ended) {
                (Ok(0), Some(status)) => return Ok(status),
                (Ok(_), _) => {}
                (Err(_), _) => continue,
            }
            let mut each = fds.iter().map(|fd| !fd.revents().is_empty());
            let came = is_watched.map(|is| is && each.next() == Some(true));
            let [signal, stream, input, _] = came;
            drop(fds);
            if input {
                self.read_input(typed);
            }
            if signal {
                self.hand_on();
            }
            self.send();
            if stream && hears {
                self.receive()?;
            }
            self.said.flush()?;
            if let Some(status) = self.ended.filter(|_| self.said.waiting() == 0) {
                return Ok(status);
            }
        }
    }

    fn read_input(&mut self, typed: bool) {
        let mut piece = [0; LONGEST];
        let most = self.credit.min(LONGEST);
        match read(stdin(), &mut piece[..most]) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(n) if n > 0 => {
                self.credit -= n;
                put(Kind::Input, &piece[..n], &mut self.out);
            }
            // A terminal that is gone is no end of what the command reads: it has one of its own.
            _ => {
                self.input_open = false;
                if !typed {
                    put(Kind::InputEnd, &[], &mut self.out);
                }
            }
        }
    }

    fn hand_on(&mut self) {
        let Some(signal) = sys::read_signal(&self.arrivals) else { return };
        if signal.number == libc::SIGWINCH {
            if let Some((rows, columns)) = self.own.and_then(size) {
                let size = [rows.to_be_bytes(), columns.to_be_bytes()].concat();
                put(Kind::Size, &size, &mut self.out);
            }
        } else {
            self.told |= match signal.number {
                libc::SIGHUP | libc::SIGTERM => true,
                // A shell, for one, goes on.
                libc::SIGINT | libc::SIGQUIT => self.said.waiting() > 0,
                _ => false,
            };
            let signal = [signal.number as u8, u8::from(signal.by_kernel)];
            put(Kind::Signal, &signal, &mut self.out);
        }
    }

    fn send(&mut self) {
        while !self.out.is_empty() {
            match send(&self.stream, &self.out, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // What was said before it broke is read still.
                Err(_) => {
                    self.out.clear();
                    self.input_open = false;
                }
            }
        }
    }

    /// Takes what came.
    fn receive(&mut self) -> Result<()> {
        let mut bytes = [0; LONGEST];
        let n = match recv(&self.stream, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((_, n)) => n,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(_) => 0,
        };
        if n == 0 {
            return Err(VmError::refused(
                "the machine's line broke while the command ran: the machine or its agent has ended",
            ));
        }
        self.pieces.feed(&bytes[..n]);
        while let Some((kind, bytes)) = self.pieces.piece()? {
            match kind {
                Kind::Output => self.said.hold(To::Output, bytes),
                Kind::Error => self.said.hold(To::Error, bytes),
                Kind::Taken => {
                    let more = bytes.first_chunk().map_or(0, |more| u32::from_be_bytes(*more));
                    self.credit = (self.credit + more as usize).min(INPUT_WINDOW);
                }
                Kind::Exit => self.ended = Some(bytes.first().copied().unwrap_or(NOT_ENTERED)),
                Kind::Input | Kind::InputEnd | Kind::Size | Kind::Signal => {}
            }
        }
        Ok(())
    }
}

/// The caller's terminal while every key goes to the command's.
struct Raw {
    terminal: BorrowedFd<'static>,
    before: Termios,
}

impl Raw {
    fn set(terminal: BorrowedFd<'static>) -> Option<Self> {
        let before = tcgetattr(terminal).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Drain, &raw).ok()?;
        Some(Raw { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}
