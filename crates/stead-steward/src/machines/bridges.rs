//! The way to the sessions of machines: a bridge that runs inside.

use crate::remote::{BridgeError, Machines};
use async_trait::async_trait;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use stead_machine::engine::Exec;
use stead_machine::model::Phase;
use stead_machine::{EngineError, Error, Manager};

/// Bridges into the machines of a manager.
pub struct Bridges {
    manager: Manager,
    /// The bridge's program inside, with its arguments.
    command: Vec<String>,
}

impl Bridges {
    /// With this command inside.
    pub fn new(manager: Manager, command: Vec<String>) -> Self {
        Bridges { manager, command }
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
        let child = command
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::null())
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

    fn exists(&self, machine: &str) -> bool {
        !matches!(self.manager.records().get(machine), Ok(None))
    }

    fn default_cwd(&self, machine: &str) -> Option<PathBuf> {
        let record = self.manager.records().get(machine).ok()??;
        Some(record.wanted.declared.shares.first()?.inside.clone())
    }
}
