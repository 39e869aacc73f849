//! A pseudo-terminal with a command on it.

use crate::sys;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;
use rustix::termios::{self, Winsize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use stead_wire::session::{Size, Spec};

/// The hold's side of the terminal, and the command on the other.
pub struct Pty {
    master: OwnedFd,
    /// Kept open: a command that closes its terminal and opens it again finds it as it was.
    _slave: OwnedFd,
    child: OwnedFd,
    pid: Pid,
    /// The terminal's device number, by which processes that sleep on it are known.
    pub device: u64,
}

impl Pty {
    /// Opens a terminal and starts the command of `spec` on it.
    ///
    /// # Errors
    /// What the kernel says; of the exec too, so that a command that does not exist is an error here.
    pub fn spawn(spec: &Spec) -> io::Result<Self> {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let slave = rustix::fs::open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let device = rustix::fs::fstat(&slave)?.st_rdev;
        termios::tcsetwinsize(&master, winsize(spec.size))?;
        set_utf8(&slave)?;

        let mut command = Command::new(&spec.command[0]);
        command
            .args(&spec.command[1..])
            .current_dir(&spec.cwd)
            .env_clear()
            .envs(&spec.env)
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave.try_clone()?));
        let child = sys::spawn_on_terminal(&mut command)?;
        let pid = Pid::from_child(&child);
        let child = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Pty { master, _slave: slave, child, pid, device })
    }

    /// The command's process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The descriptor to read output from and write input to; it never blocks.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// A descriptor that becomes readable when the command has ended.
    pub fn child(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }

    /// How the command ended: exit code or signal. `None` while it runs.
    pub fn ended(&self) -> Option<(Option<i32>, Option<i32>)> {
        let status = rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::NOHANG);
        match status {
            Ok(Some((_, status))) => Some((status.exit_status(), status.terminating_signal())),
            Ok(None) => None,
            // Somebody else has taken the status: it has ended, nobody knows how.
            Err(_) => Some((None, None)),
        }
    }

    /// Changes the terminal's size; the foreground process is told by the kernel.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        Ok(termios::tcsetwinsize(&self.master, winsize(size))?)
    }

    /// The process group in the foreground.
    pub fn foreground(&self) -> Option<i32> {
        termios::tcgetpgrp(&self.master).ok().map(|pid| pid.as_raw_nonzero().get())
    }

    /// Whether the terminal hands on whole lines, and whether it echoes.
    pub fn line_mode(&self) -> (bool, bool) {
        use rustix::termios::LocalModes;
        termios::tcgetattr(&self.master).map_or((true, true), |t| {
            (t.local_modes.contains(LocalModes::ICANON), t.local_modes.contains(LocalModes::ECHO))
        })
    }

    /// Sends a signal to the foreground process group; to the command's own if there is none.
    ///
    /// # Errors
    /// If no process could be signalled.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = signal_named(signal)?;
        let group = termios::tcgetpgrp(&self.master).unwrap_or(self.pid);
        Ok(rustix::process::kill_process_group(group, signal)?)
    }

    /// Sends a signal to the foreground group and to the command's own.
    pub fn signal_all(&self, signal: i32) {
        let Ok(signal) = signal_named(signal) else { return };
        if let Ok(group) = termios::tcgetpgrp(&self.master) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }
}

fn signal_named(number: i32) -> io::Result<Signal> {
    Signal::from_named_raw(number)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no signal {number}")))
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Tells the line discipline that characters are UTF-8, so that erasing one erases all its bytes.
fn set_utf8(slave: &OwnedFd) -> io::Result<()> {
    let mut t = termios::tcgetattr(slave)?;
    t.input_modes |= termios::InputModes::IUTF8;
    Ok(termios::tcsetattr(slave, termios::OptionalActions::Now, &t)?)
}
