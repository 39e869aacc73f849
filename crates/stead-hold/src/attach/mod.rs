//! Showing a session in the terminal that this program was started in.
//!
//! While the session has this terminal's size, its output is passed through as it is, less the questions
//! that the hold has answered. When another client owns the size, a model of the screen is kept here and
//! the part that fits is drawn ([`view`]).

mod console;
mod keys;
mod tty;
mod view;

pub use console::console;
pub use keys::{DetachKey, KeyError};
pub use tty::RESET;

use crate::client::{ClientError, Connection};
use crate::term::QueryFilter;
use keys::{Keys, Press};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::io;
use std::path::Path;
use stead_wire::message::{Ask, Asked, Attach, Purpose, ToClient, ToHold};
use stead_wire::session::{Exit, Size};
use tty::Tty;
use view::View;

/// How to attach.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Look, do not type.
    pub read_only: bool,
    /// Lines of history to print before the screen.
    pub scrollback: u32,
    /// The key that, followed by `d`, leaves.
    pub detach_key: DetachKey,
}

/// How an attachment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The person left; the session goes on.
    Detached,
    /// The session has ended.
    Ended(Exit),
    /// The hold closed the connection, in its own words.
    Closed(String),
}

/// Why a session could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Standard input or output is no terminal.
    #[error("standard input and output must be a terminal")]
    NoTerminal,
    /// The hold cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The terminal cannot be read or written.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[source] io::Error),
}

/// Shows the session behind `socket` until it ends or the person leaves.
///
/// # Errors
/// If there is no terminal or no hold, or one of them breaks.
pub fn run(socket: &Path, options: &Options) -> Result<Outcome, AttachError> {
    let mut tty = Tty::open()?;
    let size = tty.size();
    let (hold, welcome) = Connection::open(
        socket,
        Purpose::Attach(Attach {
            size,
            read_only: options.read_only,
            take_size: true,
            resume: None,
            scrollback: options.scrollback,
            colors: None,
        }),
    )?;
    tty.enter().map_err(AttachError::Terminal)?;
    let mut shown = Shown {
        filter: QueryFilter::default(),
        keys: Keys::new(options.detach_key),
        view: None,
        size,
        session: welcome.size,
        out: Vec::new(),
        hold,
        tty,
        options,
    };
    shown.choose_view();
    let outcome = shown.serve();
    shown.tty.leave();
    outcome
}

struct Shown<'a> {
    tty: Tty,
    hold: Connection,
    filter: QueryFilter,
    keys: Keys,
    /// The model of a session whose size is not this terminal's.
    view: Option<View>,
    /// This terminal's size.
    size: Size,
    /// The session's size.
    session: Size,
    out: Vec<u8>,
    options: &'a Options,
}

impl Shown<'_> {
    fn serve(&mut self) -> Result<Outcome, AttachError> {
        let mut buf = vec![0; 64 * 1024];
        loop {
            while let Some(message) = self.hold.buffered().map_err(ClientError::from)? {
                if let Some(outcome) = self.on_message(message)? {
                    self.flush()?;
                    return Ok(outcome);
                }
            }
            self.flush()?;
            let came = {
                let mut fds = [
                    PollFd::new(&self.hold, PollFlags::IN),
                    PollFd::from_borrowed_fd(self.tty.input(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.tty.signals(), PollFlags::IN),
                ];
                match rustix::event::poll(&mut fds, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(e) => return Err(AttachError::Terminal(e.into())),
                }
                fds.each_ref().map(|fd| !fd.revents().is_empty())
            };
            if came[2] && self.on_signal()? {
                return Ok(Outcome::Detached);
            }
            if came[1] && self.on_input(&mut buf)? {
                return Ok(Outcome::Detached);
            }
            if came[0] && !self.hold.receive(&mut buf).map_err(ClientError::from)? {
                return Ok(Outcome::Closed("the hold has closed the connection".into()));
            }
        }
    }

    fn on_message(&mut self, message: ToClient) -> Result<Option<Outcome>, AttachError> {
        match message {
            ToClient::Output { bytes, .. } | ToClient::Repaint { bytes, .. } => {
                match &mut self.view {
                    Some(view) => view.feed(&bytes),
                    None => self.filter.filter(&bytes, &mut self.out),
                }
            }
            ToClient::Size(note) => {
                self.session = note.size;
                self.choose_view();
            }
            ToClient::Note(note) => tty::put_note(&mut self.out, &note),
            ToClient::Exited(exit) => return Ok(Some(Outcome::Ended(exit))),
            ToClient::Bye(bye) => {
                return Ok(Some(if bye.reason == "detached" {
                    Outcome::Detached
                } else {
                    Outcome::Closed(bye.text)
                }));
            }
            ToClient::Welcome(_) | ToClient::Status(_) | ToClient::Answer(_) => {}
        }
        if self.out.len() > 64 * 1024 {
            self.flush()?;
        }
        Ok(None)
    }

    /// Passes output through when the sizes agree, else draws what fits.
    fn choose_view(&mut self) {
        if self.session == self.size {
            if self.view.take().is_some() {
                // What the model drew goes; the hold repaints after every change of size.
                self.out.extend_from_slice(RESET);
                self.filter = QueryFilter::default();
            }
        } else if let Some(view) = &mut self.view {
            view.resize(self.session, self.size);
        } else {
            self.out.extend_from_slice(RESET);
            self.view = Some(View::new(self.session, self.size, self.options.read_only));
        }
    }

    fn flush(&mut self) -> Result<(), AttachError> {
        if let Some(view) = &mut self.view {
            view.draw(&mut self.out);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        let result = self.tty.write(&self.out);
        self.out.clear();
        self.out.shrink_to(128 * 1024);
        result.map_err(AttachError::Terminal)
    }

    /// Returns `true` to leave.
    fn on_signal(&mut self) -> Result<bool, AttachError> {
        while let Some(signal) = self.tty.next_signal() {
            if signal != libc::SIGWINCH {
                return Ok(true);
            }
            self.size = self.tty.size();
            self.send(&ToHold::Resize(self.size))?;
            self.choose_view();
        }
        Ok(false)
    }

    /// Returns `true` to leave.
    fn on_input(&mut self, buf: &mut [u8]) -> Result<bool, AttachError> {
        let n = match self.tty.read(buf) {
            Ok(0) => return Ok(true),
            Ok(n) => n,
            Err(e) => return Err(AttachError::Terminal(e)),
        };
        for press in self.keys.presses(&buf[..n]) {
            match press {
                // Who only looks can only leave.
                Press::Input(_) | Press::TakeSize if self.options.read_only => {}
                Press::Input(bytes) => self.send(&ToHold::Input(bytes))?,
                Press::Detach => {
                    // Best effort: the hold notices a closed connection just as well.
                    let _ = self.hold.send(&ToHold::Detach);
                    return Ok(true);
                }
                Press::TakeSize => {
                    let ask = Ask::TakeSize { size: self.size };
                    self.send(&ToHold::Ask(Asked { id: 0, ask }))?;
                }
            }
        }
        Ok(false)
    }

    fn send(&mut self, message: &ToHold) -> Result<(), AttachError> {
        Ok(self.hold.send(message).map_err(ClientError::from)?)
    }
}
