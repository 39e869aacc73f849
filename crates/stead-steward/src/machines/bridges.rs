//! The way to the sessions of machines: a bridge that runs inside.

use crate::remote::{BridgeError, Machines};
use async_trait::async_trait;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use stead_machine::engine::Exec;
use stead_machine::model::Phase;
use stead_machine::{EngineError, Error, Manager};

/// Bytes of a bridge's standard error that are kept.
const WORDS: usize = 4096;

/// Bridges into the machines of a manager.
pub struct Bridges {
    manager: Manager,
    /// The bridge's program inside, with its arguments.
    command: Vec<String>,
    /// What the latest bridge into each machine writes to its standard error.
    words: Mutex<HashMap<String, File>>,
}

impl Bridges {
    /// With this command inside.
    pub fn new(manager: Manager, command: Vec<String>) -> Self {
        Bridges { manager, command, words: Mutex::default() }
    }
}

#[async_trait]
impl Machines for Bridges {
    async fn bridge(&self, machine: &str) -> Result<UnixStream, BridgeError> {
        let unreachable = |e: &dyn std::fmt::Display| BridgeError::Unreachable(e.to_string());
        let record = match self.manager.records().get(machine) {
            Ok(Some(record)) => record,
            Ok(None) => return Err(BridgeError::NoSuchMachine),
            Err(e) => return Err(unreachable(&e)),
        };
        let engine = self.manager.engine_of(&record).map_err(|e| unreachable(&e))?;
        match engine.look(machine).await {
            Ok(Some(seen)) => match seen.phase {
                Phase::Running => {}
                Phase::Stopped => return Err(BridgeError::NotRunning),
                Phase::Partial(why) | Phase::Unknown(why) => {
                    return Err(BridgeError::Unreachable(why));
                }
            },
            Ok(None) => return Err(BridgeError::NotRunning),
            Err(e) => return Err(unreachable(&e)),
        }
        let exec = Exec { command: self.command.clone(), ..Exec::default() };
        let mut command = self.manager.exec(machine, &exec).await.map_err(|e| match e {
            Error::Engine { source: EngineError::NotNow(_), .. } => BridgeError::NotRunning,
            e => unreachable(&e),
        })?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| unreachable(&e))?;
        let theirs = OwnedFd::from(theirs);
        let input = theirs.try_clone().map_err(|e| unreachable(&e))?;
        let words = words().map_err(|e| unreachable(&e))?;
        let error = words.try_clone().map_err(|e| unreachable(&e))?;
        self.words.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.to_owned(), words);
        let child = command
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::from(error))
            .spawn()
            .map_err(|e| unreachable(&e))?;
        // It ends when the stream is closed, and is then waited for.
        std::thread::Builder::new()
            .name("bridge".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                let mut child = child;
                let _ = child.wait();
            })
            .map_err(|e| unreachable(&e))?;
        Ok(ours)
    }

    fn last_words(&self, machine: &str) -> Option<String> {
        let all = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = [0; WORDS];
        let n = all.get(machine)?.read_at(&mut words, 0).ok()?;
        let words = String::from_utf8_lossy(&words[..n]).into_owned();
        let line = words.trim_end_matches('\0').trim_end().lines().next_back()?;
        (!line.is_empty()).then(|| line.to_owned())
    }

    fn exists(&self, machine: &str) -> bool {
        !matches!(self.manager.records().get(machine), Ok(None))
    }

    fn default_cwd(&self, machine: &str) -> Option<PathBuf> {
        let record = self.manager.records().get(machine).ok()??;
        Some(record.wanted.declared.shares.first()?.inside.clone())
    }

    fn env(&self, machine: &str) -> BTreeMap<String, String> {
        let record = self.manager.records().get(machine).ok().flatten();
        record.map(|record| record.wanted.declared.env).unwrap_or_default()
    }
}

/// Memory of a fixed size for what a bridge says: what runs inside cannot make it grow.
fn words() -> io::Result<File> {
    let file = memfd_create("bridge", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, WORDS as u64)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(File::from(file))
}
