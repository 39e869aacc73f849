//! One operation, from taking its machines to its end.

use super::Manager;
use crate::Error;
use crate::engine::Engine;
use crate::model::NewSnapshot;
use crate::operation::{Kind, Listener, Operation, OperationStatus, Recorder};
use crate::plan::Entry;
use crate::records::{Held, Record};
use crate::steps::Steps;
use std::collections::BTreeSet;
use std::sync::Arc;
use stead_file::declared::Machine;

/// What is to be done.
pub(super) enum Task {
    Up,
    Down,
    Restart,
    Destroy,
    Scratch(Box<Machine>),
    Snapshot(NewSnapshot),
    Restore { snapshot: String },
    RemoveSnapshot { snapshot: String },
    Clone { from: String, snapshot: Option<String> },
    Move { from: String },
    Apply { entry: Box<Entry>, owner: String },
}

/// An operation that runs. Its first name is the machine that it is about.
pub(super) struct Work {
    pub(super) manager: Manager,
    pub(super) recorder: Recorder,
    names: Vec<String>,
    /// Given back after the operation has ended.
    _held: Held,
}

impl Work {
    /// Runs an operation on a task of its own.
    pub(super) async fn run(
        manager: Manager,
        kind: Kind,
        names: Vec<String>,
        owner: Option<String>,
        task: Task,
        listener: Option<Listener>,
    ) -> Result<Operation, Error> {
        let name = names[0].clone();
        let running = tokio::spawn(async move {
            let held = manager.hold(&names).await?;
            let owner = owner.or_else(|| {
                let record = manager.records().get(&names[0]).ok().flatten();
                record.and_then(|record| record.owner)
            });
            let recorder =
                manager.operations().begin_heard(kind, &names[0], owner.as_deref(), listener)?;
            Box::pin(Work { manager, recorder, names, _held: held }.finish(task)).await
        });
        running.await.unwrap_or_else(|gone| {
            let why = if gone.is_panic() { "a defect of Stead ended it" } else { "Stead ends" };
            Err(Error::refused(&name, format!("cut short: {why}; ask again to finish it")))
        })
    }

    async fn finish(self, task: Task) -> Result<Operation, Error> {
        let destroys = matches!(task, Task::Destroy)
            || matches!(&task, Task::Apply { entry, .. } if entry.action.word() == "destroy");
        let result = Box::pin(self.perform(task, destroys)).await;
        let Work { manager, recorder, names, _held } = self;
        match result {
            Ok(()) => {
                let settled =
                    if destroys { OperationStatus::Undone } else { OperationStatus::Done };
                manager.operations().settle(&names[0], None, &settled);
                let ended = recorder.end(OperationStatus::Done);
                // Not before: what is written meanwhile would wait for the disk with it.
                for name in &names {
                    manager.records().sync_soon(name);
                }
                Ok(ended)
            }
            Err(e) => {
                recorder.end(OperationStatus::Failed(e.to_string()));
                Err(e)
            }
        }
    }

    async fn perform(&self, task: Task, destroys: bool) -> Result<(), Error> {
        // What other programs left meanwhile.
        self.manager.operations().refresh()?;
        for name in &self.names {
            if let Some(record) = self.manager.records().get(name)? {
                // Nothing is done to a machine that cannot be looked at.
                self.manager.look_at(&record).await?;
                Box::pin(self.settle(name, destroys)).await?;
            }
        }
        let name = self.names[0].as_str();
        match task {
            Task::Up => self.up(name).await,
            Task::Down => self.down(name).await,
            Task::Restart => self.restart(name).await,
            Task::Destroy => self.destroy(self.record(name)?).await,
            Task::Scratch(declared) => self.scratch(name, *declared).await,
            Task::Snapshot(asked) => self.snapshot(name, &asked).await,
            Task::Restore { snapshot } => Box::pin(self.restore(name, &snapshot)).await,
            Task::RemoveSnapshot { snapshot } => self.remove_snapshot(name, &snapshot).await,
            Task::Clone { from, snapshot } => self.copy(&from, snapshot.as_deref(), name).await,
            Task::Move { from } => Box::pin(self.move_state(&from, name)).await,
            Task::Apply { entry, owner } => self.apply(&entry, &owner).await,
        }
    }

    /// The machine that it is about.
    pub(super) fn about(&self) -> &str {
        &self.names[0]
    }

    pub(super) fn steps(&self) -> Steps {
        self.recorder.steps()
    }

    pub(super) fn record(&self, name: &str) -> Result<Record, Error> {
        self.manager.records().find(name)
    }

    pub(super) fn write(&self, record: &Record) -> Result<(), Error> {
        self.manager.records().write(record)
    }

    pub(super) fn engine(&self, record: &Record) -> Result<Arc<dyn Engine>, Error> {
        self.manager.engine_of(record)
    }
}

impl Manager {
    /// Takes machines, and those that something cut short on them leads to.
    pub(super) async fn hold(&self, names: &[String]) -> Result<Held, Error> {
        let mut all: BTreeSet<String> = names.iter().cloned().collect();
        loop {
            all.extend(self.partners(&all)?);
            let held =
                self.0.records.hold(&all.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            if self.partners(&all)?.is_subset(&all) {
                return Ok(held);
            }
        }
    }

    fn partners(&self, names: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let mut partners = BTreeSet::new();
        for name in names {
            let record = self.0.records.get(name)?;
            let partner = record.as_ref().and_then(|r| r.pending.as_ref()?.partner());
            partners.extend(partner.map(String::from));
        }
        Ok(partners)
    }
}
