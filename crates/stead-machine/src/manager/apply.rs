//! Doing what a plan shows.

use super::Manager;
use super::work::{Task, Work};
use crate::Error;
use crate::operation::{self, Kind, Listener, Operation};
use crate::plan::{Action, Entry, Plan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Which machines of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Selection {
    fn has(&self, name: &str) -> bool {
        match self {
            Selection::All => true,
            Selection::Only(names) => names.contains(name),
        }
    }
}

/// What happens while a plan is applied. The events of one machine are in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "apply")]
pub enum ApplyEvent {
    /// It is a machine's turn.
    Begun {
        /// The machine.
        machine: String,
        /// The plan's word: `create`.
        action: String,
    },
    /// Its operation goes on.
    Operation {
        /// What happened.
        #[serde(rename = "happened")]
        event: operation::Event,
    },
    /// A machine is as planned, or is not because.
    Ended {
        /// The machine.
        machine: String,
        /// The plan's word.
        action: String,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Nothing was done to a machine: the plan says why not.
    Skipped {
        /// The machine.
        machine: String,
        /// Why.
        why: String,
    },
    /// The last event.
    Finished {
        /// How many of each.
        #[serde(flatten)]
        summary: Summary,
    },
}

/// How many machines of a plan that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Are as planned.
    pub done: usize,
    /// Failed.
    pub failed: usize,
    /// Were blocked or unknown.
    pub skipped: usize,
}

/// A plan that is being applied. It goes on if this is dropped.
#[derive(Debug)]
pub struct Applying {
    events: mpsc::UnboundedReceiver<ApplyEvent>,
}

impl Applying {
    /// The next event; `None` after [`ApplyEvent::Finished`].
    pub async fn next(&mut self) -> Option<ApplyEvent> {
        self.events.recv().await
    }

    /// Waits for the end: how many of each, and what failed and was skipped, `machine: why` each.
    pub async fn wait(mut self) -> (Summary, Vec<String>) {
        let mut failed = Vec::new();
        let mut all = Summary::default();
        while let Some(event) = self.next().await {
            match event {
                ApplyEvent::Ended { error: Some(error), .. } => failed.push(error),
                ApplyEvent::Skipped { machine, why } => failed.push(format!("{machine}: {why}")),
                ApplyEvent::Finished { summary } => all = summary,
                _ => {}
            }
        }
        (all, failed)
    }
}

impl Manager {
    /// Does what a plan shows, to so many machines at a time. Those that are destroyed or stopped come first, so that the
    /// others find their ports free. A machine that is no longer as the plan saw it fails with that.
    pub fn apply(&self, plan: Plan, selection: Selection, parallel: usize) -> Applying {
        let (tell, events) = mpsc::unbounded_channel();
        let manager = self.clone();
        tokio::spawn(async move {
            let mut summary = Summary::default();
            let Plan { owner, machines, .. } = plan;
            let (first, then): (Vec<Entry>, Vec<Entry>) = machines
                .into_iter()
                .filter(|entry| selection.has(&entry.name))
                .partition(|e| matches!(e.action, Action::Destroy { .. } | Action::Stop));
            for wave in [first, then] {
                manager.wave(wave, &owner, parallel, &tell, &mut summary).await;
            }
            let _ = tell.send(ApplyEvent::Finished { summary });
        });
        Applying { events }
    }

    async fn wave(
        &self,
        entries: Vec<Entry>,
        owner: &str,
        parallel: usize,
        tell: &mpsc::UnboundedSender<ApplyEvent>,
        summary: &mut Summary,
    ) {
        let places = Arc::new(Semaphore::new(parallel.max(1)));
        let mut running = JoinSet::new();
        for entry in entries {
            let why = match &entry.action {
                Action::Nothing => continue,
                Action::Blocked { why } | Action::Unknown { why } => Some(why.clone()),
                _ => None,
            };
            if let Some(why) = why {
                summary.skipped += 1;
                let _ = tell.send(ApplyEvent::Skipped { machine: entry.name, why });
                continue;
            }
            let (manager, tell) = (self.clone(), tell.clone());
            let (owner, places) = (owner.to_owned(), places.clone());
            running.spawn(async move {
                let _place = places.acquire_owned().await;
                let (machine, action) = (entry.name.clone(), entry.action.word().to_owned());
                let begun = ApplyEvent::Begun { machine: machine.clone(), action: action.clone() };
                let _ = tell.send(begun);
                let result = manager.apply_one(entry, owner, tell.clone()).await;
                let error = result.err().map(|e| e.to_string());
                let failed = error.is_some();
                let _ = tell.send(ApplyEvent::Ended { machine, action, error });
                failed
            });
        }
        while let Some(failed) = running.join_next().await {
            match failed {
                Ok(false) => summary.done += 1,
                _ => summary.failed += 1,
            }
        }
    }

    async fn apply_one(
        &self,
        entry: Entry,
        owner: String,
        tell: mpsc::UnboundedSender<ApplyEvent>,
    ) -> Result<Operation, Error> {
        let kind = match &entry.action {
            Action::Create => Kind::Create,
            Action::Change { .. } => Kind::Change,
            Action::Start => Kind::Start,
            Action::Stop => Kind::Stop,
            Action::Destroy { .. } => Kind::Destroy,
            _ => Kind::Finish,
        };
        let listener: Listener = Arc::new(move |event| {
            let _ = tell.send(ApplyEvent::Operation { event });
        });
        let names = vec![entry.name.clone()];
        let task = Task::Apply { entry: Box::new(entry), owner: owner.clone() };
        Work::run(self.clone(), kind, names, Some(owner), task, Some(listener)).await
    }
}
