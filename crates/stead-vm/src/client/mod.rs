//! Asking the agent of a machine something, on the socket of its keeper.

mod exec;
mod out;

pub use exec::{NOT_ENTERED, exec};

use crate::doubted;
use crate::failure::{Result, Tried, VmError};
use crate::line::spoken::{Answer, Request, read_line, write_line};
use rustix::fd::OwnedFd;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Asks, and waits for the answer; for `limit` at most, if there is one. What cannot be done is an error.
///
/// # Errors
/// If nobody answers in time, or what is asked cannot be done.
pub fn ask(socket: &Path, request: &Request, limit: Option<Duration>) -> Result<()> {
    let (_, answer) = begin(socket, request, limit)?;
    answer.error.map_or(Ok(()), |why| Err(VmError::Refused(why)))
}

/// What is so inside for as long as this is there.
pub struct Held(UnixStream);

impl Held {
    /// Ends it.
    ///
    /// # Errors
    /// If it was not so for all the time.
    pub fn release(self) -> Result<()> {
        let _ = self.0.shutdown(Shutdown::Write);
        let answer: Answer = read_line(&self.0)?;
        answer.error.map_or(Ok(()), |why| Err(VmError::Refused(why)))
    }
}

/// As [`ask`], for what lasts; `limit` is that of each answer.
///
/// # Errors
/// As [`ask`].
pub fn hold(socket: &Path, request: &Request, limit: Duration) -> Result<Held> {
    let (stream, answer) = begin(socket, request, Some(limit))?;
    if let Some(why) = answer.error {
        return Err(VmError::Refused(why));
    }
    stream.set_read_timeout(Some(limit)).tried(|| "the machine's agent")?;
    Ok(Held(stream))
}

/// Connects to `port` inside: on 127.0.0.1, or else on the machine's own address.
///
/// # Errors
/// If nobody listens there, or the agent cannot be reached.
pub fn connect(socket: &Path, port: u16) -> Result<OwnedFd> {
    let (stream, answer) = begin(socket, &Request::Connect { port }, None)?;
    match answer.error {
        None => Ok(stream.into()),
        Some(why) => Err(VmError::Refused(why)),
    }
}

/// Asks, and returns the stream that follows the answer.
fn begin(
    socket: &Path,
    request: &Request,
    limit: Option<Duration>,
) -> Result<(UnixStream, Answer)> {
    let (stream, said) = say(socket, request, limit)?;
    let answer = heard(&stream, said)?;
    Ok((stream, answer))
}

/// Asks. Beside the stream by which the answer comes, whether all was said.
fn say(
    socket: &Path,
    request: &Request,
    limit: Option<Duration>,
) -> Result<(UnixStream, Result<()>)> {
    let mut stream =
        doubted::connect(socket).tried(|| format!("{}: the machine's agent", socket.display()))?;
    stream.set_read_timeout(limit).tried(|| "the machine's agent")?;
    let said = write_line(&mut stream, request);
    Ok((stream, said))
}

/// The answer to what was said.
fn heard(stream: &UnixStream, said: Result<()>) -> Result<Answer> {
    // Whoever waits for the line sees its end when it reads.
    let answer = read_line(stream).map_err(|e| said.err().unwrap_or(e))?;
    stream.set_read_timeout(None).tried(|| "the machine's agent")?;
    Ok(answer)
}
