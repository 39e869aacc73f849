//! The one place through which machines change.
//!
//! Every change is an operation: it holds its machines against everybody else, in this process and others, looks at them
//! first, settles what was cut short on them, and writes down what it does before it does it. It runs on a task of its
//! own, so that nobody who stops listening cuts it short.

mod apply;
mod ask;
mod keep;
mod life;
mod look;
mod recover;
mod settle;
mod stamp;
mod state;
mod system;
mod work;

pub use apply::{ApplyEvent, Applying, Selection, Summary};
pub use look::Seen;
pub use recover::Recovered;

use crate::engine::{Engine, Exec};
use crate::model::{Change, NewSnapshot, Snapshot};
use crate::operation::{Kind, Operation};
use crate::records::{Pending, Record};
use crate::{Error, Operations, Records};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stead_file::declared::Machine;
use work::{Task, Work};

/// How long a look at one machine may take within an operation.
const PATIENCE: Duration = Duration::from_secs(20);

/// Machines of one data folder, on these engines. Cheap to clone.
#[derive(Clone)]
pub struct Manager(Arc<Shared>);

struct Shared {
    records: Records,
    operations: Operations,
    engines: BTreeMap<String, Arc<dyn Engine>>,
    patience: Duration,
}

impl Manager {
    /// The machines of a data folder.
    ///
    /// # Errors
    /// If its folders cannot be made or read.
    pub fn open(
        data: &Path,
        engines: impl IntoIterator<Item = Arc<dyn Engine>>,
    ) -> Result<Self, Error> {
        Ok(Manager(Arc::new(Shared {
            records: Records::open(data)?,
            operations: Operations::open(data)?,
            engines: engines.into_iter().map(|e| (e.name().to_owned(), e)).collect(),
            patience: PATIENCE,
        })))
    }

    /// The same with another bound on looks within operations.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Manager(Arc::new(Shared {
            records: self.0.records.clone(),
            operations: self.0.operations.clone(),
            engines: self.0.engines.clone(),
            patience,
        }))
    }

    /// What Stead knows of its machines.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// What was done to them.
    pub fn operations(&self) -> &Operations {
        &self.0.operations
    }

    /// Engines by name.
    pub fn engines(&self) -> &BTreeMap<String, Arc<dyn Engine>> {
        &self.0.engines
    }

    /// The engine that a machine is on.
    ///
    /// # Errors
    /// If this program has none of that name.
    pub fn engine_of(&self, record: &Record) -> Result<Arc<dyn Engine>, Error> {
        let engine = &record.wanted.declared.engine;
        self.0.engines.get(engine).cloned().ok_or_else(|| Error::NoEngine {
            name: record.wanted.name.clone(),
            engine: engine.clone(),
            there: self.0.engines.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// Starts a machine; finishes it first if it was cut short.
    ///
    /// # Errors
    /// Why not.
    pub async fn up(&self, name: &str) -> Result<Operation, Error> {
        self.operate(Kind::Start, &[name], Task::Up).await
    }

    /// Stops a machine.
    ///
    /// # Errors
    /// Why not.
    pub async fn down(&self, name: &str) -> Result<Operation, Error> {
        self.operate(Kind::Stop, &[name], Task::Down).await
    }

    /// Stops a machine and starts it.
    ///
    /// # Errors
    /// Why not.
    pub async fn restart(&self, name: &str) -> Result<Operation, Error> {
        self.operate(Kind::Restart, &[name], Task::Restart).await
    }

    /// Removes a machine with all that [`Manager::what_goes`] names.
    ///
    /// # Errors
    /// Why not; the record stays until the engine has nothing of it.
    pub async fn destroy(&self, name: &str) -> Result<Operation, Error> {
        self.operate(Kind::Destroy, &[name], Task::Destroy).await
    }

    /// A machine of this name that runs: made from this declaration if there is none. No plan touches it.
    ///
    /// # Errors
    /// Why not.
    pub async fn scratch(&self, name: &str, declared: Machine) -> Result<Operation, Error> {
        self.operate(Kind::Create, &[name], Task::Scratch(Box::new(declared))).await
    }

    /// Keeps a machine's state, with its memory if that is asked; without a name it gets the time as one. Then those go that are not to be kept.
    ///
    /// # Errors
    /// If the name is taken, the engine cannot, or it failed; nothing is left of it then.
    pub async fn snapshot(
        &self,
        name: &str,
        snapshot: Option<&str>,
        note: &str,
        memory: bool,
    ) -> Result<Snapshot, Error> {
        let snapshot = snapshot.map_or_else(stamp::now, Into::into);
        let task = Task::Snapshot(NewSnapshot {
            name: snapshot.clone(),
            note: note.into(),
            automatic: false,
            memory,
        });
        self.operate(Kind::Snapshot, &[name], task).await?;
        let made = self.snapshots(name).await?.into_iter().find(|s| s.name == snapshot);
        made.ok_or_else(|| {
            Error::refused(name, format!("snapshot {snapshot} was made and is not listed"))
        })
    }

    /// Puts a kept state back. What it replaces is kept as an automatic snapshot first. A machine that runs is stopped for
    /// it and started again.
    ///
    /// # Errors
    /// Why not; the state is as it was before then, or the error says what is missing.
    pub async fn restore(&self, name: &str, snapshot: &str) -> Result<Operation, Error> {
        let task = Task::Restore { snapshot: snapshot.into() };
        self.operate(Kind::Restore, &[name], task).await
    }

    /// Removes a kept state.
    ///
    /// # Errors
    /// If there is none of that name, or it failed.
    pub async fn remove_snapshot(&self, name: &str, snapshot: &str) -> Result<Operation, Error> {
        let task = Task::RemoveSnapshot { snapshot: snapshot.into() };
        self.operate(Kind::RemoveSnapshot, &[name], task).await
    }

    /// Makes a machine, stopped, with a copy of another's state and an identity of its own. It is declared as the other is,
    /// without its ports on this host; no plan touches it.
    ///
    /// # Errors
    /// Why not; nothing is left of it then.
    pub async fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &str,
    ) -> Result<Operation, Error> {
        Records::check_name(to)?;
        if from == to {
            return Err(Error::Name(format!("there is a machine {to} already")));
        }
        let task = Task::Clone { from: from.into(), snapshot: snapshot.map(Into::into) };
        self.operate(Kind::Clone, &[to, from], task).await
    }

    /// Puts the state of a stopped machine into another stopped machine, whose own is kept as an automatic snapshot first.
    ///
    /// # Errors
    /// Why not. One that failed half way is finished by whatever is next done to either machine.
    pub async fn move_state(&self, from: &str, to: &str) -> Result<Operation, Error> {
        self.operate(Kind::Move, &[to, from], Task::Move { from: from.into() }).await
    }

    /// A machine's snapshots, oldest first.
    ///
    /// # Errors
    /// If there is no such machine, or they cannot be read.
    pub async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>, Error> {
        let record = self.0.records.find(name)?;
        let mut kept = self.patiently(name, self.engine_of(&record)?.snapshots(name)).await?;
        // One that was cut short is undone, and one that was to go goes, before anything else is done.
        if let Some(Pending::Snapshot { snapshot, .. } | Pending::RemoveSnapshot { snapshot, .. }) =
            &record.pending
        {
            kept.retain(|one| one.name != *snapshot);
        }
        Ok(kept)
    }

    /// What a machine changed against its base. As long as the engine needs.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn diff(&self, name: &str) -> Result<Vec<Change>, Error> {
        let record = self.0.records.find(name)?;
        let changes = self.engine_of(&record)?.diff(name).await;
        changes.map_err(|e| Error::engine(name, e))
    }

    /// The command that runs something inside.
    ///
    /// # Errors
    /// If there is no such machine, or it does not run.
    pub async fn exec(&self, name: &str, exec: &Exec) -> Result<std::process::Command, Error> {
        let record = self.0.records.find(name)?;
        self.patiently(name, self.engine_of(&record)?.exec(name, exec)).await
    }

    /// A connection to a TCP port inside.
    ///
    /// # Errors
    /// If nobody listens there, or the machine does not run.
    pub async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd, Error> {
        let record = self.0.records.find(name)?;
        self.patiently(name, self.engine_of(&record)?.connect(name, port)).await
    }

    async fn operate(&self, kind: Kind, names: &[&str], task: Task) -> Result<Operation, Error> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Work::run(self.clone(), kind, names, None, task, None).await
    }
}
