//! The programs that are measured, behind one trait.

mod bare;
mod dtach;
mod hold;
mod shpool;
mod stead;
mod tmux;
mod zellij;

use crate::error::{Context, Error, Result};
use crate::stage::{Stage, which};
use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// All names, in the order of the tables. `bare` is a pseudo-terminal with nothing between;
/// `stead-hold`, which is Stead without its steward, is measured only when asked for.
pub const NAMES: [&str; 7] = ["stead", "stead-hold", "tmux", "shpool", "zellij", "dtach", "bare"];

/// One program that keeps sessions.
pub trait Peer {
    /// Its name in the tables.
    fn name(&self) -> &'static str;

    /// What it says of its version.
    fn version(&self) -> String;

    /// The binaries that its processes run.
    fn binaries(&self) -> Vec<PathBuf>;

    /// The binary of the process that holds a single session; that of the server if it holds all.
    fn session_binary(&self) -> Option<PathBuf> {
        self.binaries().pop()
    }

    /// Prepares it on a stage: settings, and its server if it does not start by itself.
    fn start(&mut self, _stage: &Stage) -> Result<()> {
        Ok(())
    }

    /// Lets sessions made from now on keep as much history as it sensibly can.
    fn keep_long_history(&mut self, _stage: &Stage) -> Result<()> {
        Ok(())
    }

    /// The command that makes a detached session and returns. `None` if it has no sessions.
    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command>;

    /// True if the session exists.
    fn exists(&self, stage: &Stage, session: &str) -> bool;

    /// True if the session exists and may be attached to.
    fn ready(&self, stage: &Stage, session: &str) -> bool {
        self.exists(stage, session)
    }

    /// How long to leave it alone, besides, before a client comes.
    fn settling(&self) -> Duration {
        Duration::ZERO
    }

    /// The command that attaches a terminal; for one without sessions, the program itself.
    fn attach(&self, stage: &Stage, session: &str, program: &[String]) -> Command;

    /// What a person types to leave.
    fn leave_keys(&self) -> &'static [u8];

    /// Ends a session.
    fn kill(&self, stage: &Stage, session: &str);

    /// The command that lists sessions, if there is one.
    fn list(&self, _stage: &Stage) -> Option<Command> {
        None
    }

    /// The command that searches everything that the session printed and still is known.
    fn search(&self, _stage: &Stage, _session: &str, _pattern: &str) -> Option<Command> {
        None
    }

    /// Asks it to end whatever it runs.
    fn stop(&mut self, stage: &Stage);

    /// False if it keeps no screen, so that the session's program must paint again after an attach.
    fn keeps_screen(&self) -> bool {
        true
    }

    /// True if it can hold a thousand sessions on this machine.
    fn holds_a_crowd(&self) -> bool {
        false
    }

    /// What a reader of its figures must know.
    fn remark(&self) -> &'static str;
}

/// The first argument of the stage's programs: whether they must paint again when told to.
pub fn rest(peer: &dyn Peer) -> String {
    if peer.keeps_screen() { "keep" } else { "repaint" }.to_owned()
}

/// Where peers are looked for.
pub struct Where<'a> {
    /// The folder of `stead` and `stead-hold`.
    pub stead: Option<&'a Path>,
    /// The folder into which shpool and zellij were installed.
    pub peers: &'a Path,
}

impl Where<'_> {
    fn find(&self, name: &str) -> Result<PathBuf> {
        let installed = self.peers.join(name);
        let path = if installed.exists() { Some(installed) } else { which(name) };
        let path = path.ok_or_else(|| {
            Error::new(format!("{name} is not installed: run bench/install-peers.sh"))
        })?;
        std::fs::canonicalize(&path).context(path.display())
    }
}

/// Makes one by name.
///
/// # Errors
/// If there is none of that name, or its binary is not there.
pub fn make(name: &str, places: &Where) -> Result<Box<dyn Peer>> {
    Ok(match name {
        "bare" => Box::new(bare::Bare),
        "tmux" => Box::new(tmux::Tmux::new(places.find("tmux")?)),
        "dtach" => Box::new(dtach::Dtach::new(places.find("dtach")?)),
        "shpool" => Box::new(shpool::Shpool::new(places.find("shpool")?)),
        "zellij" => Box::new(zellij::Zellij::new(places.find("zellij")?)),
        "stead" | "stead-hold" => {
            let dir = places.stead.ok_or_else(|| Error::new("stead needs --stead DIR"))?;
            let dir = std::fs::canonicalize(dir).context(dir.display())?;
            if name == "stead" {
                Box::new(stead::Stead::new(&dir)?)
            } else {
                Box::new(hold::Hold::new(&dir)?)
            }
        }
        _ => return Err(Error::new(format!("no program is called {name}"))),
    })
}

/// Runs a command to its end; what it printed on both outputs, if it succeeded. Not for a command
/// that may leave a server behind, which could keep the outputs open.
///
/// # Errors
/// If it cannot be run or fails.
pub fn ask(mut command: Command) -> Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let out = command.output().context(format!("cannot run {}", words(&command)))?;
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    if out.status.success() {
        Ok(text)
    } else {
        Err(Error::new(format!("{} {}: {}", words(&command), out.status, text.trim())))
    }
}

/// The command as it would be typed.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> =
        std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// Runs a command to its end, whatever it leaves behind.
///
/// # Errors
/// If it cannot be run or fails.
pub fn run(mut command: Command) -> Result<()> {
    // A file, which a server left behind may keep open as long as it likes.
    let mut complaints = tempfile::tempfile()?;
    command.stderr(complaints.try_clone()?);
    let status = command.status().context(format!("cannot run {}", words(&command)))?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    complaints.rewind()?;
    complaints.read_to_string(&mut text)?;
    Err(Error::new(format!("{} {status}: {}", words(&command), text.trim())))
}

/// Makes a session, untimed, and waits until it can be attached to.
///
/// # Errors
/// If it does not come to be.
pub fn create(peer: &dyn Peer, stage: &Stage, session: &str, program: &[String]) -> Result<()> {
    let Some(command) = peer.create(stage, session, program) else { return Ok(()) };
    run(command).context(format!("{} cannot make a session", peer.name()))?;
    await_ready(peer, stage, session)
}

/// Lets what was just made come to rest.
pub fn settled() {
    std::thread::sleep(Duration::from_secs(2));
}

/// Waits until a session exists.
///
/// # Errors
/// If it does not within ten seconds.
pub fn await_session(peer: &dyn Peer, stage: &Stage, session: &str) -> Result<()> {
    patiently(peer, session, || peer.exists(stage, session))
}

/// Waits until a session may be attached to: some refuse a client while they still see the last.
///
/// # Errors
/// If it may not within ten seconds.
pub fn await_ready(peer: &dyn Peer, stage: &Stage, session: &str) -> Result<()> {
    patiently(peer, session, || peer.ready(stage, session))?;
    std::thread::sleep(peer.settling());
    Ok(())
}

fn patiently(peer: &dyn Peer, session: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(Error::new(format!("{} does not list session {session}", peer.name())));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The first line of what `binary argument` prints.
pub fn first_line(binary: &Path, argument: &str) -> String {
    let mut command = Command::new(binary);
    command.arg(argument).stdin(Stdio::null());
    let text = ask(command).unwrap_or_else(|e| e.to_string());
    text.lines().next().unwrap_or_default().trim().to_owned()
}
