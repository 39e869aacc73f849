//! The terminal that this program was started in.

// The terminal is the process's own; its methods are on the value that stands for having it.
#![allow(clippy::unused_self)]

use super::AttachError;
use crate::sys::Signals;
use rustix::io::Errno;
use rustix::termios::{self, OptionalActions, Termios};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use stead_wire::message::Note;
use stead_wire::session::Size;

/// Brings a terminal back from whatever a session left it in, without clearing it: synchronised updates, margins,
/// origin, insert and wrap modes, mouse, focus and paste reports, keyboard protocols, character sets, cursor,
/// colours and the alternate screen.
pub const RESET: &[u8] = b"\x1b[?2026l\x1b[?1049l\x1b[r\x1b[?6l\x1b[4l\x1b[?7h\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\
\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1l\x1b>\x1b[<99u\x1b[=0;1u\x1b[>4m\x1b(B\x0f\x1b[0m\
\x1b]8;;\x1b\\\x1b[0 q\x1b[?25h";

/// Standard input and output, raw while entered.
pub struct Tty {
    before: Termios,
    entered: bool,
    signals: Signals,
}

impl Tty {
    /// The terminal, as it is.
    ///
    /// # Errors
    /// If standard input or output is none.
    pub fn open() -> Result<Self, AttachError> {
        if !termios::isatty(rustix::stdio::stdout()) {
            return Err(AttachError::NoTerminal);
        }
        let before =
            termios::tcgetattr(rustix::stdio::stdin()).map_err(|_| AttachError::NoTerminal)?;
        let signals = Signals::take(&[libc::SIGWINCH, libc::SIGTERM, libc::SIGHUP])
            .map_err(AttachError::Terminal)?;
        Ok(Tty { before, entered: false, signals })
    }

    /// Its size; 80x24 if it does not know.
    pub fn size(&self) -> Size {
        match termios::tcgetwinsize(rustix::stdio::stdout()) {
            Ok(w) if w.ws_col > 0 && w.ws_row > 0 => {
                Size { cols: w.ws_col, rows: w.ws_row }.clamped()
            }
            _ => Size::default(),
        }
    }

    /// Makes it raw, and pushes what it shows into its scrollback.
    ///
    /// # Errors
    /// If it cannot be changed.
    pub fn enter(&mut self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        self.entered = true;
        let rows = usize::from(self.size().rows);
        let mut push = format!("\x1b[{rows};1H").into_bytes();
        push.extend(std::iter::repeat_n(b'\n', rows));
        self.write(&push)
    }

    /// Leaves it as it was found, the cursor below what is shown.
    pub fn leave(&mut self) {
        if !std::mem::take(&mut self.entered) {
            return;
        }
        let mut bytes = RESET.to_vec();
        bytes.extend_from_slice(format!("\x1b[{};1H\r\n", self.size().rows).as_bytes());
        let _ = self.write(&bytes);
        let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.before);
    }

    /// The descriptor that becomes readable when something was typed.
    pub fn input(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }

    /// The descriptor that becomes readable when a signal has come.
    pub fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// The next signal that has come.
    pub fn next_signal(&mut self) -> Option<i32> {
        self.signals.next()
    }

    /// What was typed.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(rustix::stdio::stdin(), &mut *buf) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let out = rustix::stdio::stdout();
                    let mut fd = [rustix::event::PollFd::new(&out, rustix::event::PollFlags::OUT)];
                    let _ = rustix::event::poll(&mut fd, None);
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Appends a desktop notification in both forms that terminals know.
pub fn put_note(out: &mut Vec<u8>, note: &Note) {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    let (title, body) = (clean(&note.title), clean(&note.body));
    let plain = title.replace(';', ",");
    out.extend_from_slice(format!("\x1b]777;notify;{plain};{body}\x1b\\").as_bytes());
    out.extend_from_slice(format!("\x1b]9;{title}: {body}\x1b\\").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_cannot_smuggle_sequences() {
        let mut out = Vec::new();
        put_note(&mut out, &Note { title: "a;b\x1b]0;x".into(), body: "c\x07d".into() });
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\x1b]777;notify;a,b]0,x;cd\x1b\\\x1b]9;a;b]0;x: cd\x1b\\");
    }
}
