//! A program in a pseudo-terminal of 80x24, as a user's terminal would start it.

use crate::error::{Context, Result};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::Winsize;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Rows of the terminal.
pub const ROWS: u16 = 24;
/// Columns of the terminal.
pub const COLUMNS: u16 = 80;

/// Bytes that one read takes at most: more than a pseudo-terminal holds.
pub const BUFFER: usize = 16384;

/// How long a client may take to leave before it is ended.
const LEAVE: Duration = Duration::from_secs(3);

/// A running client and the terminal's side of its pseudo-terminal.
pub struct Client {
    child: Child,
    controller: OwnedFd,
    started: Instant,
}

/// What a read of the terminal gave.
pub enum Got {
    /// That many bytes.
    Bytes(usize),
    /// Nothing until the deadline.
    Nothing,
    /// The client has closed its side.
    End,
}

impl Client {
    /// Starts `command` in a new terminal.
    ///
    /// # Errors
    /// If there is no terminal to be had or the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = rustix_openpty::openpty(None, Some(&size)).context("cannot open a terminal")?;
        let user = |fd: &OwnedFd| fd.try_clone().map(Stdio::from);
        command.stdin(user(&pty.user)?).stdout(user(&pty.user)?).stderr(user(&pty.user)?);
        sys::on_own_terminal(command);
        let started = Instant::now();
        let child =
            command.spawn().context(format!("cannot start {}", command.get_program().display()))?;
        // The command keeps its copies of the user side until it is dropped or told otherwise.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Client { child, controller: pty.controller, started })
    }

    /// Just before the program was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Reads what the client printed, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn read(&self, buffer: &mut [u8], deadline: Instant) -> Result<Got> {
        if !ready(&self.controller, deadline)? {
            return Ok(Got::Nothing);
        }
        match rustix::io::read(&self.controller, buffer) {
            Ok(0) | Err(Errno::IO) => Ok(Got::End),
            Ok(n) => Ok(Got::Bytes(n)),
            Err(e) => Err(e).context("cannot read the terminal"),
        }
    }

    /// Types `bytes`.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub fn write(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = rustix::io::write(&self.controller, bytes)
                .context("cannot write to the terminal")?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Leaves by typing `keys`, or by hanging up if there are none or they do not help.
    ///
    /// # Errors
    /// If the client's end cannot be waited for.
    pub fn leave(mut self, keys: &[u8]) -> Result<()> {
        if !keys.is_empty() && self.write(keys).is_ok() {
            let deadline = Instant::now() + LEAVE;
            let mut buffer = [0; 4096];
            while let Got::Bytes(_) = self.read(&mut buffer, deadline)? {}
            if wait(&mut self.child, deadline)? {
                return Ok(());
            }
        }
        drop(self.controller);
        if !wait(&mut self.child, Instant::now() + LEAVE)? {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }
}

/// Waits until `fd` can be read; false if it cannot by the deadline.
///
/// # Errors
/// If the kernel refuses to wait.
pub fn ready(fd: &OwnedFd, deadline: Instant) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).context("cannot wait for input"),
        }
    }
}

/// Waits for a child until the deadline; true if it has ended.
///
/// # Errors
/// If it cannot be waited for.
pub fn wait(child: &mut Child, deadline: Instant) -> Result<bool> {
    loop {
        if child.try_wait().context("cannot wait for a child")?.is_some() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
