//! The machine's port of the line.

use crate::failure::{Result, Tried};
use crate::guest::arrivals::Arrivals;
use crate::guest::config::Config;
use crate::line::mux::{Happened, Mux, Turn};
use crate::line::spoken::{Question, line, read_line};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The name that the host gives it.
pub const NAME: &str = "stead.0";

/// How long to wait, at first and at most, before it is looked whether the host is there again.
const ALONE: Duration = Duration::from_millis(5);
const ALONE_MOST: Duration = Duration::from_millis(200);

/// The port, with this end of the line.
pub struct Port {
    file: OwnedFd,
    /// The channels.
    pub mux: Mux,
    /// How long to leave the port alone, since nobody is at its other end.
    alone: Option<Duration>,
}

impl Port {
    /// Opens it as soon as it is there.
    pub fn open(arrivals: &Arrivals) -> Result<Self> {
        let path = arrivals.wait_for(&format!("the virtio port {NAME}"), find)?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // Its node may be made a moment later than it is told of.
        let file = arrivals.wait_for(&format!("{}", path.display()), || {
            match open(&path, flags, Mode::empty()) {
                Err(rustix::io::Errno::NOENT) => None,
                opened => Some(opened),
            }
        })?;
        let file = file.tried(|| path.display())?;
        Ok(Port { file, mux: Mux::guest(), alone: None })
    }

    /// As [`Mux::turn`], whether or not there is a host. The kernel does not tell when one comes: that is looked for now and then.
    pub fn turn(&mut self) -> Result<Turn> {
        let tried = || "the machine's line";
        if let Some(pause) = self.alone {
            // Channels are served meanwhile, for as long as the pause is.
            self.mux.turn(None, &[], Some(pause)).tried(tried)?;
        }
        let limit = self.alone.map(|_| Duration::ZERO);
        let turn = self.mux.turn(Some(self.file.as_fd()), &[], limit).tried(tried)?;
        self.alone = match self.alone {
            _ if !turn.alone => None,
            None => Some(ALONE),
            Some(pause) => Some((pause * 2).min(ALONE_MOST)),
        };
        Ok(turn)
    }

    /// Opens a channel to ask something, without waiting for the answer.
    pub fn ask(&mut self, question: Question) -> Result<UnixStream> {
        let (mut own, other) = UnixStream::pair().tried(|| "a socket")?;
        self.mux.open(other.into()).tried(|| "a channel")?;
        own.write_all(&line(&question)?).tried(|| "a channel")?;
        Ok(own)
    }

    /// What the keeper says that this machine is.
    pub fn config(&mut self) -> Result<Config> {
        let mut asked: Option<UnixStream> = None;
        let mut seen = vec![0; crate::line::spoken::LONGEST_LINE + 1];
        loop {
            for happened in self.turn()?.happened {
                if matches!(happened, Happened::Begun) {
                    let own = self.ask(Question::Config)?;
                    own.set_nonblocking(true).tried(|| "a channel")?;
                    asked = Some(own);
                }
            }
            // The whole answer fits into the socket: it is read once its end is there.
            if let Some(own) = &asked {
                let peeked = rustix::net::recv(own, &mut seen[..], rustix::net::RecvFlags::PEEK);
                if peeked.is_ok_and(|(n, _)| seen[..n].contains(&b'\n')) {
                    return read_line(own);
                }
            }
        }
    }
}

/// The path of its node.
fn find() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/sys/class/virtio-ports").ok()?;
    entries
        .filter_map(std::result::Result::ok)
        .find(|entry| {
            std::fs::read_to_string(entry.path().join("name")).is_ok_and(|n| n.trim_end() == NAME)
        })
        .map(|entry| PathBuf::from("/dev").join(entry.file_name()))
}
