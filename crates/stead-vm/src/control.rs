//! What a machine's keeper is asked for: one line of JSON each way on [`crate::files::CONTROL`].

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a keeper may take: memory is written out meanwhile.
const PATIENCE: Duration = Duration::from_mins(5);

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How it is.
    Status,
    /// Puts overlays (qcow2 files over what the guest writes to now) on its disks, all at one instant. With the request go
    /// the files: each disk's in this order, opened twice, to be read and written and to be read only, and then one for the
    /// memory (only to be written: QEMU takes no other).
    Snapshot {
        /// Serials of the disks.
        disks: Vec<String>,
        /// Whether its memory at that instant is kept, too.
        memory: bool,
    },
    /// How much of its memory is to be left to the guest, in bytes.
    Balloon(u64),
}

/// What the keeper answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Why it was not done.
    pub error: Option<String>,
    /// QEMU's word for what it does: `running`, `paused`, `io-error`, …
    pub status: String,
    /// Whether everything inside was on disk at the last snapshot.
    pub quiesced: bool,
    /// What a person should know: "the disk of the host is full: it stands still".
    pub notes: Vec<String>,
}

/// What the keeper says while a machine starts, a line each, to whoever listens on [`crate::files::READY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// What it does now.
    Step(String),
    /// The agent inside answers; or, of a machine without one, its processors run.
    Ready,
    /// It does not start, because.
    Failed(String),
}

/// Asks a keeper. `files` go with the request.
///
/// # Errors
/// If it is not there, or does not answer, or refuses.
pub fn ask(folder: &Path, request: &Request, files: &[BorrowedFd<'_>]) -> io::Result<Answer> {
    let stream = crate::doubted::connect(&folder.join(crate::files::CONTROL))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    send(&stream, &line(request)?, files)?;
    let answer: Answer = hear(&mut BufReader::new(&stream))?
        .ok_or_else(|| io::Error::other("the machine's keeper has ended"))?;
    match answer.error {
        Some(why) => Err(io::Error::other(why)),
        None => Ok(answer),
    }
}

/// Writes a line.
///
/// # Errors
/// If nobody reads it.
pub fn say(mut to: &UnixStream, what: &impl Serialize) -> io::Result<()> {
    to.write_all(&line(what)?)
}

fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a line; `None` at the end.
///
/// # Errors
/// If it is none of these.
pub fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.take(LONGEST).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// Writes bytes, and descriptors with the first of them.
///
/// # Errors
/// If nobody takes them.
pub fn send(mut to: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many files for one request"));
    }
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut beside, SendFlags::empty())?;
    to.write_all(&bytes[sent..])
}

/// Reads a line and the descriptors that come with it; `None` at the end.
///
/// # Errors
/// If it is none of these.
pub fn receive<T: DeserializeOwned>(from: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let (mut line, mut files) = (Vec::new(), Vec::new());
    loop {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = recvmsg(from, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                files.extend(fds);
            }
        }
        line.extend_from_slice(&bytes[..got.bytes]);
        if line.ends_with(b"\n") {
            return Ok(Some((serde_json::from_slice(&line)?, files)));
        }
        if got.bytes == 0 || line.len() as u64 > LONGEST {
            return Ok(None);
        }
    }
}

/// Descriptors that go with one request: of each disk, and of the memory.
const MOST_FILES: usize = 8;
/// The longest line.
const LONGEST: u64 = 1 << 20;
