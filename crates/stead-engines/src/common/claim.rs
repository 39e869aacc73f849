//! One program at a time works on a machine.
//!
//! The lock is held by whoever has the file open, and every program that is run for the work has it, too. So when this
//! program is killed, what it ran (a copy, a check of a disk, a start) still holds the machine until it has ended,
//! and nobody starts the machine a second time over the same files meanwhile.

use super::files::{self, failed};
use super::place::Place;
use super::running::{lives, started};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use stead_machine::EngineError;

/// How long whoever works on a machine is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A machine that nobody else works on, until the last of these is dropped: the work may be given up while what it ran
/// still goes on.
#[derive(Clone)]
pub struct Claim(Arc<Held>);

struct Held {
    file: File,
    path: PathBuf,
}

/// Who has it: what is run for the work, and by whom.
#[derive(Serialize, Deserialize)]
struct Note {
    owner: i32,
    owner_start: u64,
    program: String,
    pid: i32,
    start: u64,
    /// Whether it may be killed at any time.
    killable: bool,
}

impl Claim {
    /// Waits until nobody else works on it. What a program that was killed ran, and can be run again, is killed.
    ///
    /// # Errors
    /// If somebody does for too long.
    pub fn take(place: &Place, name: &str) -> Result<Self, EngineError> {
        if let Some(claim) = Self::attempt(place, name)? {
            return Ok(claim);
        }
        end_orphan(&place.claim(name));
        let (send, receive) = mpsc::channel();
        let (at, owned) = (place.clone(), name.to_owned());
        std::thread::Builder::new()
            .name("claim".into())
            // Nobody there to take it any more: it is let go.
            .spawn(move || drop(send.send(Self::open(&at, &owned, FlockOperation::LockExclusive))))
            .map_err(failed("wait for the machine"))?;
        match receive.recv_timeout(PATIENCE) {
            Ok(claim) => {
                claim?.ok_or_else(|| EngineError::Failed("its lock is not to be had".into()))
            }
            Err(_) => Err(EngineError::NotNow(busy(&place.claim(name), name))),
        }
    }

    /// If nobody else works on it now.
    ///
    /// # Errors
    /// If its file cannot be had.
    pub fn attempt(place: &Place, name: &str) -> Result<Option<Self>, EngineError> {
        Self::open(place, name, FlockOperation::NonBlockingLockExclusive)
    }

    fn open(place: &Place, name: &str, how: FlockOperation) -> Result<Option<Self>, EngineError> {
        let path = place.claim(name);
        if let Some(folder) = path.parent() {
            files::make(folder)?;
        }
        loop {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .read(true)
                .append(true)
                .open(&path)
                .map_err(failed(format!("open {}", path.display())))?;
            match flock(&file, how) {
                Ok(()) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(failed(format!("lock {}", path.display()))(e.into())),
            }
            // Not one that was removed meanwhile.
            let same =
                |there: std::fs::Metadata| file.metadata().is_ok_and(|m| m.ino() == there.ino());
            if path.metadata().is_ok_and(same) {
                file.set_len(0).map_err(failed(path.display()))?;
                return Ok(Some(Claim(Arc::new(Held { file, path }))));
            }
        }
    }

    /// For a stream of a program that is run for the work.
    ///
    /// # Errors
    /// If no more files can be open.
    pub fn stream(&self) -> Result<Stdio, EngineError> {
        self.0.file.try_clone().map(Stdio::from).map_err(failed(self.0.path.display()))
    }

    /// What programs said since the last note.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(&self.0.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_once('\n').map_or("", |(_, said)| said.trim()).to_owned()
    }

    /// Puts down what is run now. That it cannot is no reason not to run it.
    pub fn note(&self, program: &str, pid: u32, killable: bool) {
        let (owner, pid) = (std::process::id().cast_signed(), pid.cast_signed());
        if let (Ok(Some(owner_start)), Ok(Some(start))) = (started(owner), started(pid)) {
            let program = program.to_owned();
            let note = Note { owner, owner_start, program, pid, start, killable };
            if let Ok(mut text) = serde_json::to_vec(&note) {
                text.push(b'\n');
                let mut file = &self.0.file;
                let _ = file.set_len(0);
                let _ = file.rewind().and_then(|()| file.write_all(&text));
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is still held: whoever waits for it sees that its file is gone, and opens another.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn read(path: &Path) -> Option<Note> {
    let bytes = std::fs::read(path).ok()?;
    serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next()?).ok()
}

/// Kills what a program ran that is itself gone.
pub fn end_orphan(path: &Path) {
    let Some(note) = read(path).filter(|note| note.killable) else { return };
    let owned = lives(note.owner, note.owner_start).unwrap_or(true);
    // The handle comes first: what is looked at then is the process behind it, or nobody.
    let orphan = Pid::from_raw(note.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    if let (false, Some(Ok(orphan)), Ok(true)) = (owned, orphan, lives(note.pid, note.start)) {
        let _ = pidfd_send_signal(&orphan, Signal::KILL);
    }
}

fn busy(path: &Path, name: &str) -> String {
    match read(path).filter(|note| lives(note.pid, note.start).unwrap_or(true)) {
        Some(note) => format!(
            "\"{name}\": {} (process {}) still works on it: wait for its end, or end it",
            note.program, note.pid
        ),
        None => format!("\"{name}\": another program works on it ({})", path.display()),
    }
}
