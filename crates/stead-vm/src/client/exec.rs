//! A command in a machine, with the standard streams of this process.
//!
//! Its end is the end of this; what this process is told by signals, and by the terminal that it sits at, it is told. If this
//! process is killed, the command is too.

use crate::doubted::connect;
use crate::failure::{Result, Tried, VmError};
use crate::line::piece::{INPUT_WINDOW, Kind, LONGEST, Pieces, put};
use crate::line::spoken::{Answer, Exec, Request, Tty, read_line, write_line};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
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
    let stream = ask(socket, &Request::Exec(command))?;
    let Some(mut stream) = answered(stream, &arrivals) else {
        return Err(VmError::refused("told to end before the machine had answered"));
    };
    let answer: Answer = read_line(&mut stream)?;
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
        credit: INPUT_WINDOW,
        input_open: true,
    };
    carried.carry(stands_for[0])
}

/// Sends the request. That it could not be is seen when the answer is read.
fn ask(socket: &Path, request: &Request) -> Result<UnixStream> {
    let mut stream =
        connect(socket).tried(|| format!("{}: the machine's agent", socket.display()))?;
    let _ = write_line(&mut stream, request);
    Ok(stream)
}

/// Waits for the answer, which takes as long as a machine boots or stands still. A person is told, and may have enough of it.
fn answered(stream: UnixStream, arrivals: &OwnedFd) -> Option<UnixStream> {
    let mut limit = Some(Timespec { tv_sec: WORD.as_secs() as i64, tv_nsec: 0 });
    loop {
        let mut fds = [PollFd::new(&stream, PollFlags::IN), PollFd::new(arrivals, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => {
                let _ = writeln!(
                    std::io::stderr(),
                    "stead-vm: no answer from inside for {} s; it goes on once the machine answers",
                    WORD.as_secs()
                );
                limit = None;
            }
            Ok(_) if !fds[0].revents().is_empty() => return Some(stream),
            Ok(_) => {
                let ends = |signal: i32| signal != libc::SIGWINCH;
                if sys::read_signal(arrivals).is_some_and(|signal| ends(signal.number)) {
                    return None;
                }
            }
            Err(_) => {}
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
    /// Bytes of input that the command's side takes now.
    credit: usize,
    input_open: bool,
}

impl Carried {
    fn carry(mut self, typed: bool) -> Result<u8> {
        loop {
            let to_send = if self.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            let mut fds = vec![
                PollFd::new(&self.stream, PollFlags::IN | to_send),
                PollFd::new(&self.arrivals, PollFlags::IN),
            ];
            if self.input_open && self.credit > 0 && self.out.len() < LONGEST {
                fds.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
            }
            if poll(&mut fds, None).is_err() {
                continue;
            }
            let came: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if came.get(2) == Some(&true) {
                self.read_input(typed);
            }
            if came[1] {
                self.hand_on();
            }
            self.send();
            if came[0]
                && let Some(status) = self.receive()?
            {
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

    /// Passes on what came. The exit status, once it has.
    fn receive(&mut self) -> Result<Option<u8>> {
        let mut bytes = [0; LONGEST];
        let n = match recv(&self.stream, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((_, n)) => n,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
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
                Kind::Output => pass(stdout(), bytes).tried(|| "standard output")?,
                Kind::Error => pass(stderr(), bytes).tried(|| "standard error")?,
                Kind::Taken => {
                    let more = bytes.first_chunk().map_or(0, |more| u32::from_be_bytes(*more));
                    self.credit = (self.credit + more as usize).min(INPUT_WINDOW);
                }
                Kind::Exit => return Ok(Some(bytes.first().copied().unwrap_or(NOT_ENTERED))),
                Kind::Input | Kind::InputEnd | Kind::Size | Kind::Signal => {}
            }
        }
        Ok(None)
    }
}

/// Writes it all, whether or not the other side of `to` blocks.
fn pass(to: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
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
