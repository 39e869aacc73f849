//! What a machine's keeper is asked for: one line of JSON each way on [`crate::files::CONTROL`].

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a keeper may take: memory is written out meanwhile.
const PATIENCE: Duration = Duration::from_mins(5);

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How it is.
    Status,
    /// Puts these overlays (qcow2 files over what the guest writes to now) on its disks, all at one instant.
    Snapshot {
        /// Serial of the disk, and the overlay.
        disks: Vec<(String, PathBuf)>,
        /// Where its memory at that instant goes, if that is wanted.
        memory: Option<PathBuf>,
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

/// Asks a keeper.
///
/// # Errors
/// If it is not there, or does not answer, or refuses.
pub fn ask(folder: &Path, request: &Request) -> io::Result<Answer> {
    let stream = UnixStream::connect(folder.join(crate::files::CONTROL))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    say(&stream, request)?;
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
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads a line; `None` at the end.
///
/// # Errors
/// If it is none of these.
pub fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if io::Read::take(&mut *from, 1 << 20).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
