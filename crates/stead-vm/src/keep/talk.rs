//! Telling whoever started the machine, and answering who asks.

use super::console::thread;
use crate::control::{Answer, Request, Told, receive, say};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};

/// Whoever started the machine, for as long as it listens.
pub struct Starter(Option<UnixStream>);

impl Starter {
    /// Nobody need listen.
    pub fn at(socket: &Path) -> Self {
        Starter(UnixStream::connect(socket).ok())
    }

    /// Says one thing.
    pub fn tell(&mut self, told: &Told) {
        if let Some(stream) = &self.0
            && say(stream, told).is_err()
        {
            self.0 = None;
        }
    }

    /// Says the last thing.
    pub fn done(&mut self, told: &Told) {
        self.tell(told);
        self.0 = None;
    }
}

/// A request, and where its answer goes.
pub struct Asked {
    /// What.
    pub request: Request,
    /// The files that came with it.
    pub files: Vec<OwnedFd>,
    /// Where.
    pub answer: Sender<Answer>,
}

/// Takes requests, one connection at a time, and hands them on.
///
/// # Errors
/// If there is no thread for it.
pub fn listen(
    listener: UnixListener,
    give: impl Fn(Asked) + Send + 'static,
) -> std::io::Result<()> {
    thread("control", move || {
        for stream in listener.incoming().flatten() {
            let (request, files) = match receive(&stream) {
                Ok(Some(received)) => received,
                Ok(None) => continue,
                Err(e) => {
                    let error = Some(format!("not a request: {e}"));
                    let _ = say(&stream, &Answer { error, ..Answer::default() });
                    continue;
                }
            };
            let (answer, answered) = channel();
            give(Asked { request, files, answer });
            if let Ok(answer) = answered.recv() {
                let _ = say(&stream, &answer);
            }
        }
    })
}
