//! A terminal for a command that runs inside, while its caller sits at one.
//!
//! The caller's own terminal never goes in: whoever had a descriptor of it could read what is typed long after the
//! command has ended. The command gets one made for it, and what goes in and out is carried between the two.

use crate::failure::{Result, Tried};
use crate::streams::Carried;
use crate::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Bytes that are carried at once.
const PIECE: usize = 16 * 1024;

/// A terminal of the command's own.
pub struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
    /// Which of standard input, output and error it stands for.
    stands_for: [bool; 3],
}

impl Terminal {
    /// One in place of each standard stream that is a terminal; `None` if none is.
    pub fn in_place() -> Result<Option<Self>> {
        let stands_for = [isatty(stdin()), isatty(stdout()), isatty(stderr())];
        let Some(size_of) = theirs(stands_for) else { return Ok(None) };
        let say = || "a terminal for the command";
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).tried(say)?;
        grantpt(&master).tried(say)?;
        unlockpt(&master).tried(say)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags).tried(say)?;
        if let Ok(size) = tcgetwinsize(size_of) {
            let _ = tcsetwinsize(&slave, size);
        }
        Ok(Some(Terminal { master, slave, stands_for }))
    }

    /// Makes it the terminal of this process, which is to become the command.
    pub fn take(&self) -> Result<()> {
        let say = || "the terminal of the command";
        setsid().tried(say)?;
        ioctl_tiocsctty(&self.slave).tried(say)?;
        let [input, output, errors] = self.stands_for;
        if input {
            dup2_stdin(&self.slave).tried(say)?;
        }
        if output {
            dup2_stdout(&self.slave).tried(say)?;
        }
        if errors {
            dup2_stderr(&self.slave).tried(say)?;
        }
        Ok(())
    }

    /// Carries what goes in and out until the command ends. Its exit status, or 128 and the signal that ended it.
    /// `signals` are blocked; those but SIGCHLD are handed on. What does not go through the terminal goes through `streams`.
    pub fn carry(self, child: &sys::Cloned, signals: &[i32], streams: &mut Carried) -> i32 {
        let Terminal { master, slave, stands_for } = self;
        drop(slave);
        let mut signals = signals.to_vec();
        signals.push(libc::SIGWINCH);
        sys::block(Some(&signals));
        let (Ok(arrivals), Some(own)) = (sys::signal_fd(&signals), theirs(stands_for)) else {
            return crate::enter::NOT_ENTERED;
        };
        let out: BorrowedFd<'_> = if stands_for[1] { stdout() } else { stderr() };
        let _raw = stands_for[0].then(|| Raw::set(stdin())).flatten();
        if let Ok(flags) = fcntl_getfl(&master) {
            let _ = fcntl_setfl(&master, flags | OFlags::NONBLOCK);
        }
        let mut typed: Vec<u8> = Vec::new();
        let mut input_open = stands_for[0];
        let mut master_open = true;
        loop {
            let mut fds = vec![PollFd::new(&arrivals, PollFlags::IN)];
            if master_open {
                let wanted =
                    if typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
                fds.push(PollFd::new(&master, wanted));
                if input_open && typed.is_empty() {
                    fds.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
                }
            }
            let others = fds.len();
            fds.extend(streams.wanted());
            if poll(&mut fds, None).is_err() {
                continue;
            }
            let mut came: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
            streams.go_on(&came.split_off(others));
            if came.get(1).is_some_and(|c| !c.is_empty()) {
                master_open = pass_out(&master, out);
                if !typed.is_empty() {
                    match write(&master, &typed) {
                        Ok(n) => drop(typed.drain(..n)),
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        Err(_) => typed.clear(),
                    }
                }
            }
            if came.get(2).is_some_and(|c| !c.is_empty()) {
                let mut piece = [0; PIECE];
                match read(stdin(), &mut piece) {
                    Ok(0) | Err(Errno::IO) => input_open = false,
                    Ok(n) => typed.extend_from_slice(&piece[..n]),
                    Err(_) => {}
                }
            }
            if came[0].is_empty() {
                continue;
            }
            let Some(signal) = sys::read_signal(&arrivals) else { continue };
            match signal.number {
                libc::SIGCHLD => {
                    if let Some(status) = crate::enter::ended(child) {
                        // What it said last. What it left running has no terminal from here on.
                        while master_open && has_more(&master) && pass_out(&master, out) {}
                        return status;
                    }
                }
                libc::SIGWINCH => {
                    if let Ok(size) = tcgetwinsize(own) {
                        let _ = tcsetwinsize(&master, size);
                    }
                }
                signal => drop(sys::signal(child.pidfd.as_fd(), signal)),
            }
        }
    }
}

fn has_more(master: &OwnedFd) -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(master, PollFlags::IN)];
    poll(&mut fds, Some(&now)).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::IN)
}

/// Passes on what is there. `false`: there is no more now.
fn pass_out(master: &OwnedFd, out: BorrowedFd<'_>) -> bool {
    let mut piece = [0; PIECE];
    match read(master, &mut piece) {
        Ok(0) | Err(Errno::IO) => false,
        Ok(n) => {
            let mut rest = &piece[..n];
            while !rest.is_empty() {
                match write(out, rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        let _ = poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], None);
                    }
                    Err(_) => return true,
                }
            }
            true
        }
        Err(_) => true,
    }
}

/// A standard stream that is the caller's terminal.
fn theirs(stands_for: [bool; 3]) -> Option<BorrowedFd<'static>> {
    let streams = [stdin(), stdout(), stderr()];
    streams.into_iter().zip(stands_for).find(|(_, is)| *is).map(|(stream, _)| stream)
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
