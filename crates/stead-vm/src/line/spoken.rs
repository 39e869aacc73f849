//! What is asked on a channel: one line of JSON, then one with the answer, then whatever the question was for.

use crate::failure::{Result, Tried, VmError};
use crate::guest::config::Config;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Bytes that a line may have.
pub const LONGEST_LINE: usize = 96 * 1024;

/// What the host asks the agent of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Whether anybody is there.
    Ping,
    /// To run a command; [`crate::line::piece`] follows.
    Exec(Exec),
    /// To connect to a port, on 127.0.0.1 or else on the machine's own address; what goes through it follows.
    Connect {
        /// The port.
        port: u16,
    },
    /// To set the clock.
    Clock {
        /// Milliseconds since 1970.
        ms: u64,
    },
    /// To write everything to the disks and let nobody write after the answer, until the channel has nothing more to come from
    /// the host, or half a minute is over. Then another answer says whether nobody wrote for all that time.
    Freeze,
    /// To shut down: everybody is told to end, the disks are written, the machine turns itself off.
    Down,
    /// To become another machine while it runs.
    Identity {
        /// The one that it becomes.
        config: Box<Config>,
    },
}

/// A command to be run in a machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Exec {
    /// The program, looked for in `PATH` inside, and its arguments.
    pub command: Vec<String>,
    /// Where it starts; root's home if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Variables in addition to those that every command has. The last one wins.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Whether only [`Self::env`] is set.
    #[serde(default)]
    pub clear_env: bool,
    /// The terminal that it is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<Tty>,
}

/// A terminal for a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tty {
    /// Its lines.
    pub rows: u16,
    /// Its columns.
    pub columns: u16,
    /// Whether it stands for standard input, output and error.
    pub stands_for: [bool; 3],
}

/// What is answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit status that says so, where a command could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
}

impl From<Result<()>> for Answer {
    fn from(done: Result<()>) -> Self {
        Answer { error: done.err().map(|e| e.to_string()), status: None }
    }
}

/// What a guest asks its keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Question {
    /// What it is to be: a [`Config`] is the answer.
    Config,
    /// Nothing: it says that its agent takes requests. An [`Answer`] comes.
    Ready,
}

/// Writes one line.
pub fn write_line(to: &mut impl Write, what: &impl Serialize) -> Result<()> {
    let line = line(what)?;
    to.write_all(&line).tried(|| "writing to the machine's line")
}

/// One line, which is not too long.
pub fn line(what: &impl Serialize) -> Result<Vec<u8>> {
    let mut line =
        serde_json::to_vec(what).map_err(|e| VmError::refused(format!("a request: {e}")))?;
    if line.len() >= LONGEST_LINE {
        return Err(VmError::refused(format!(
            "what is to be said to the machine has {} bytes, and at most {LONGEST_LINE} fit",
            line.len()
        )));
    }
    line.push(b'\n');
    Ok(line)
}

/// Reads one line, and not a byte more: what follows belongs to somebody else.
pub fn read_line<T: DeserializeOwned>(from: &UnixStream) -> Result<T> {
    let tried = || "reading from the machine's line";
    let mut line = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // Looked at first, since only the line is to be taken: in a guest a call for each byte takes longer than a command.
        let seen = again(|| recv(from, &mut piece[..], RecvFlags::PEEK)).tried(tried)?;
        if seen == 0 {
            return Err(VmError::refused(
                "the machine's line broke before it answered; is the machine running?",
            ));
        }
        let end = piece[..seen].iter().position(|byte| *byte == b'\n');
        let own = end.map_or(seen, |end| end + 1);
        let taken = again(|| recv(from, &mut piece[..own], RecvFlags::empty())).tried(tried)?;
        line.extend_from_slice(&piece[..taken]);
        if line.last() == Some(&b'\n') {
            line.pop();
            break;
        }
        if line.len() >= LONGEST_LINE {
            return Err(VmError::refused("a line that is too long came over the machine's line"));
        }
    }
    serde_json::from_slice(&line).map_err(|e| {
        VmError::refused(format!("what came over the machine's line is not understood: {e}"))
    })
}

/// How many bytes a call gave, which is made again while signals interrupt it.
fn again(
    mut call: impl FnMut() -> rustix::io::Result<(usize, usize)>,
) -> rustix::io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done.map(|(_, count)| count),
        }
    }
}
