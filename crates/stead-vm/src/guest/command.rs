//! A command of the host's in the machine.

use crate::guest::config::Config;
use crate::line::piece::{Kind, LONGEST, Pieces, put};
use crate::line::spoken::{Answer, Exec, Tty, write_line};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Exit status when the command is there but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// Exit status when there is no such command.
const NOT_FOUND: u8 = 127;
/// Exit status when it could not be begun.
const NOT_ENTERED: u8 = 125;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const HOME: &str = "/root";
/// Bytes that wait for the line before the command is read no more.
const WAITING: usize = 64 * 1024;
/// How long a command has to end whose caller is gone.
const GRACE: Duration = Duration::from_secs(2);

/// Runs it, and carries its streams over `stream` until it ends.
pub fn run(mut stream: UnixStream, exec: &Exec, config: &Config) {
    match start(exec, config) {
        Ok(running) => {
            let told = write_line(&mut stream, &Answer::default());
            let nonblocking = stream.set_nonblocking(true);
            running.carry(&stream, told.is_ok() && nonblocking.is_ok());
        }
        Err((why, status)) => {
            let answer = Answer { error: Some(why), status: Some(status) };
            let _ = write_line(&mut stream, &answer);
        }
    }
}

fn start(exec: &Exec, config: &Config) -> Result<Running, (String, u8)> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(("no command".into(), NOT_ENTERED));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    if !exec.clear_env {
        for (name, value) in [
            ("PATH", PATH),
            ("HOME", HOME),
            ("TERM", "dumb"),
            ("LANG", "C.UTF-8"),
            ("container", "stead"),
        ] {
            command.env(name, value);
        }
        command.envs(&config.env);
    }
    command.envs(exec.env.iter().map(|(name, value)| (name, value)));
    match &exec.cwd {
        Some(cwd) => {
            if !cwd.is_dir() {
                return Err((format!("{} inside is no folder", cwd.display()), NOT_ENTERED));
            }
            command.current_dir(cwd);
        }
        None if Path::new(HOME).is_dir() => drop(command.current_dir(HOME)),
        None => drop(command.current_dir("/")),
    }
    let failed = |e: io::Error| (format!("streams for the command: {e}"), NOT_ENTERED);
    let stands_for = exec.tty.as_ref().map_or([false; 3], |tty| tty.stands_for);
    let terminal = exec.tty.as_ref().map(terminal).transpose().map_err(|e| failed(e.into()))?;
    let stream = |i: usize| match &terminal {
        Some((_, slave)) if stands_for[i] => slave.try_clone().map(Stdio::from),
        _ => Ok(Stdio::piped()),
    };
    command.stdin(stream(0).map_err(failed)?);
    command.stdout(stream(1).map_err(failed)?);
    command.stderr(stream(2).map_err(failed)?);
    let master = terminal.map(|(master, slave)| {
        sys::lead_session(&mut command, Some(slave));
        master
    });
    if master.is_none() {
        sys::lead_session(&mut command, None);
    }
    let mut child = command.spawn().map_err(|e| {
        let status = if e.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        (format!("{program}: {e}"), status)
    })?;
    drop(command);
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    let ended = ended.map_err(|e| failed(e.into()))?;
    let mut sources = Vec::new();
    if let Some(out) = child.stdout.take() {
        sources.push((OwnedFd::from(out), Kind::Output));
    }
    if let Some(errors) = child.stderr.take() {
        sources.push((OwnedFd::from(errors), Kind::Error));
    }
    let mut input = child.stdin.take().map(OwnedFd::from);
    if let Some(master) = &master {
        let kind = if stands_for[1] { Kind::Output } else { Kind::Error };
        sources.push((master.try_clone().map_err(failed)?, kind));
        if stands_for[0] {
            input = Some(master.try_clone().map_err(failed)?);
        }
    }
    for fd in sources.iter().map(|(fd, _)| fd).chain(&input) {
        fcntl_setfl(fd, OFlags::RDWR | OFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
    }
    Ok(Running {
        child,
        ended,
        master,
        input,
        sources,
        pieces: Pieces::default(),
        to_command: Vec::new(),
        input_ends: false,
        out: Vec::new(),
    })
}

/// The two sides of a new terminal.
fn terminal(tty: &Tty) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let _ = tcsetwinsize(&slave, size(tty.rows, tty.columns));
    Ok((master, slave))
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

struct Running {
    child: Child,
    /// Readable once the child has ended.
    ended: OwnedFd,
    /// The side of its terminal that is not its own.
    master: Option<OwnedFd>,
    /// Where its standard input goes; `None` once that is at its end.
    input: Option<OwnedFd>,
    /// Where what it says comes from.
    sources: Vec<(OwnedFd, Kind)>,
    pieces: Pieces,
    /// Standard input that it has not taken.
    to_command: Vec<u8>,
    input_ends: bool,
    /// What waits for the line.
    out: Vec<u8>,
}

impl Running {
    /// Carries until it ends, or until its caller is gone, which ends it.
    fn carry(mut self, stream: &UnixStream, mut there: bool) {
        while there {
            let (of_stream, of_end, of_input, of_sources) = self.wait(stream);
            if of_input {
                self.feed();
            }
            if of_sources.contains(&true) {
                let mut came = of_sources.into_iter();
                let out = &mut self.out;
                self.sources.retain(|source| match came.next() {
                    Some(true) => take(source, out) != Some(0),
                    _ => true,
                });
            }
            if of_stream {
                there = self.obey(stream);
            }
            there = there && flush(stream, &mut self.out);
            if of_end && there {
                return self.end(stream);
            }
        }
        self.kill();
    }

    /// What has come: from the stream, the end, room for input, something of each source.
    fn wait(&self, stream: &UnixStream) -> (bool, bool, bool, Vec<bool>) {
        let to_send = if self.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut fds = vec![
            PollFd::new(stream, PollFlags::IN | to_send),
            PollFd::new(&self.ended, PollFlags::IN),
        ];
        let input = self.input.as_ref().filter(|_| !self.to_command.is_empty());
        fds.extend(input.map(|input| PollFd::new(input, PollFlags::OUT)));
        let others = fds.len();
        if self.out.len() < WAITING {
            fds.extend(self.sources.iter().map(|(fd, _)| PollFd::new(fd, PollFlags::IN)));
        }
        if poll(&mut fds, None).is_err() {
            return (false, false, false, Vec::new());
        }
        let mut came: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let of_sources = came.split_off(others);
        (came[0], came[1], came.get(2) == Some(&true), of_sources)
    }

    /// Does what the caller says. `false`: it is gone.
    fn obey(&mut self, stream: &UnixStream) -> bool {
        let mut bytes = [0; LONGEST];
        match recv(stream, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((1.., n)) => self.pieces.feed(&bytes[..n]),
            Err(Errno::AGAIN | Errno::INTR) => return true,
            _ => return false,
        }
        loop {
            let Ok(next) = self.pieces.piece() else { return false };
            let Some((kind, bytes)) = next else { break };
            match (kind, bytes) {
                (Kind::Input, _) => self.to_command.extend_from_slice(bytes),
                (Kind::InputEnd, _) => self.input_ends = true,
                (Kind::Size, [r0, r1, c0, c1]) => {
                    if let Some(master) = &self.master {
                        let (rows, columns) = ([*r0, *r1], [*c0, *c1]);
                        let size = size(u16::from_be_bytes(rows), u16::from_be_bytes(columns));
                        let _ = tcsetwinsize(master, size);
                    }
                }
                (Kind::Signal, [signal, group]) => {
                    let pid = self.child.id() as i32;
                    let _ = sys::kill(pid, *group != 0, i32::from(*signal));
                }
                _ => return false,
            }
        }
        // No more is under way than the window lets.
        if self.to_command.len() > crate::line::piece::INPUT_WINDOW {
            return false;
        }
        self.feed();
        true
    }

    /// Gives the command what input it takes.
    fn feed(&mut self) {
        let mut taken = 0;
        while let Some(input) = self.input.as_ref().filter(|_| taken < self.to_command.len()) {
            match write(input, &self.to_command[taken..]) {
                Ok(n) => taken += n,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => self.input = None,
            }
        }
        if self.input.is_none() {
            // It reads no more. Its caller goes on as if it did.
            taken = self.to_command.len();
        }
        self.to_command.drain(..taken);
        if taken > 0 {
            put(Kind::Taken, &(taken as u32).to_be_bytes(), &mut self.out);
        }
        if self.input_ends && self.to_command.is_empty() {
            self.input = None;
        }
    }

    /// It has ended: what it said last is carried still, what others say later is not.
    fn end(mut self, stream: &UnixStream) {
        let status = self.child.wait();
        for source in &self.sources {
            // As much as is there now: what it left running may write for ever.
            let mut left = ioctl_fionread(&source.0).unwrap_or(0).max(1);
            while left > 0 {
                match take(source, &mut self.out) {
                    Some(n) if n > 0 => left = left.saturating_sub(n as u64),
                    _ => break,
                }
                if !flush_whole(stream, &mut self.out) {
                    return;
                }
            }
        }
        let status = status.ok().map_or(NOT_ENTERED, |status| {
            let by = status.signal().map(|signal| 128 + signal);
            by.or(status.code()).map_or(NOT_ENTERED, |status| status as u8)
        });
        put(Kind::Exit, &[status], &mut self.out);
        flush_whole(stream, &mut self.out);
    }

    /// Its caller is gone: it ends, with whom it has in its group.
    fn kill(mut self) {
        let pid = self.child.id() as i32;
        self.input = None;
        self.sources.clear();
        // The kernel tells those in front of the terminal.
        self.master = None;
        let _ = sys::kill(pid, true, libc::SIGTERM);
        let _ = sys::kill(pid, true, libc::SIGCONT);
        let grace = Timespec { tv_sec: GRACE.as_secs() as i64, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&self.ended, PollFlags::IN)], Some(&grace));
        // It is not waited for yet, so the number is its own still.
        let _ = sys::kill(pid, true, libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Takes what came from a source. `Some(0)`: nobody can write to it any more; `None`: there is nothing now.
fn take((from, kind): &(OwnedFd, Kind), out: &mut Vec<u8>) -> Option<usize> {
    let mut piece = [0; LONGEST];
    match read(from, &mut piece) {
        Ok(n) if n > 0 => {
            put(*kind, &piece[..n], out);
            Some(n)
        }
        Err(Errno::AGAIN | Errno::INTR) => None,
        _ => Some(0),
    }
}

/// Sends what the line takes now. `false`: the caller is gone.
fn flush(stream: &UnixStream, out: &mut Vec<u8>) -> bool {
    while !out.is_empty() {
        match send(stream, out, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) => drop(out.drain(..n)),
            Err(Errno::AGAIN) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// As [`flush`], until all is sent.
fn flush_whole(stream: &UnixStream, out: &mut Vec<u8>) -> bool {
    loop {
        if !flush(stream, out) {
            return false;
        }
        if out.is_empty() {
            return true;
        }
        let to: BorrowedFd<'_> = stream.as_fd();
        let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
    }
}
