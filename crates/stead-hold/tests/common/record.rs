//! Real programs in a pseudo-terminal, and what they print.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use stead_hold::term::Terminal;
use stead_wire::session::Size;

/// How long a program has to print what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program under way.
pub struct Recording {
    child: Child,
    pty: File,
    terminal: Terminal,
    output: Vec<u8>,
    size: Size,
}

impl Recording {
    /// Starts a program in a folder.
    pub fn start(size: Size, folder: &Path, command: &[&str]) -> Recording {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&pty).unwrap();
        unlockpt(&pty).unwrap();
        let winsize = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&pty, winsize).unwrap();
        let name = ptsname(&pty, Vec::new()).unwrap();
        let slave = || {
            File::from(
                rustix::fs::open(
                    &name,
                    OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .unwrap(),
            )
        };
        // setsid makes the pseudo-terminal the program's own.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .args(command)
            .current_dir(folder)
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| name == "PATH"))
            .envs([("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")])
            .env("HOME", folder)
            .env("TMUX_TMPDIR", folder)
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        Recording {
            child,
            pty: pty.into(),
            terminal: Terminal::new(size),
            output: Vec::new(),
            size,
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.pty.write_all(text.as_bytes()).unwrap();
    }

    /// Types, then waits for the screen.
    pub fn send_and_wait(&mut self, text: &str, what: &str, shown: impl Fn(&str) -> bool) {
        self.send(text);
        self.wait(what, shown);
    }

    /// Takes in output, and answers what the program asks, until the screen is as wanted.
    pub fn wait(&mut self, what: &str, shown: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !shown(&self.terminal.text().join("\n")) {
            assert!(
                self.take_in(deadline),
                "no {what} on the screen:\n{}",
                self.terminal.text().join("\n")
            );
        }
    }

    /// Waits for the end and returns all that was printed.
    pub fn finish(mut self) -> (Size, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        while self.take_in(deadline) {}
        assert!(Instant::now() < deadline, "it does not end:\n{}", self.terminal.text().join("\n"));
        self.child.wait().unwrap();
        (self.size, std::mem::take(&mut self.output))
    }

    /// Reads once; false at the end of the output or the deadline.
    fn take_in(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(&self.pty, PollFlags::IN)];
        if poll(&mut fds, Some(&timeout)).unwrap() == 0 {
            return false;
        }
        let mut buffer = [0; 4096];
        // Reading fails once the last program has closed its side.
        let Ok(count) = self.pty.read(&mut buffer) else { return false };
        self.output.extend_from_slice(&buffer[..count]);
        self.terminal.feed(&buffer[..count]);
        let replies = self.terminal.take_replies();
        self.pty.write_all(&replies).unwrap();
        true
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Closing the pseudo-terminal hangs the program up; this is for one that does not listen.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
