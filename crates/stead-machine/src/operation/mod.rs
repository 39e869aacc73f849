//! What was done to machines: on disk before it is done, so that what was cut short is found again.
//!
//! `operations/ID.json` says what and how it ended, `operations/ID.log` a line for each step, written before the step.
//! Whoever works on an operation holds a lock on its log: one that is `running` without that lock was cut short.

mod recorder;
mod store;

pub(crate) use recorder::Listener;
pub use recorder::Recorder;
pub use store::Operations;

use serde::{Deserialize, Serialize};

/// One change to the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// In order of time.
    pub id: String,
    /// What is done.
    pub kind: Kind,
    /// The machine it is done to; empty for all of an engine's.
    pub machine: String,
    /// The stead file that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub started: u64,
    /// Milliseconds since the Unix epoch; `None` while it runs, and if it was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// How far it is.
    #[serde(flatten)]
    pub status: OperationStatus,
    /// Its steps; only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A machine is made, and started if it is to run.
    Create,
    /// It is brought to another declaration.
    Change,
    /// It is started.
    Start,
    /// It is stopped.
    Stop,
    /// It is stopped and started.
    Restart,
    /// What was cut short is finished or undone.
    Finish,
    /// It is removed with all that belongs to it.
    Destroy,
    /// Its state is kept.
    Snapshot,
    /// A kept state is put back.
    Restore,
    /// A kept state is removed.
    RemoveSnapshot,
    /// A machine is made from another's state.
    Clone,
    /// Another machine's state is put into it.
    Move,
    /// What belongs to no machine is removed.
    Sweep,
}

impl Kind {
    /// As people and JSON write it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Change => "change",
            Kind::Start => "start",
            Kind::Stop => "stop",
            Kind::Restart => "restart",
            Kind::Finish => "finish",
            Kind::Destroy => "destroy",
            Kind::Snapshot => "snapshot",
            Kind::Restore => "restore",
            Kind::RemoveSnapshot => "remove-snapshot",
            Kind::Clone => "clone",
            Kind::Move => "move",
            Kind::Sweep => "sweep",
        }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "status", content = "why")]
pub enum OperationStatus {
    /// Somebody works on it.
    Running,
    /// It was done.
    Done,
    /// It was not, because.
    Failed(String),
    /// Whoever worked on it is gone.
    Interrupted,
    /// What it had begun was taken back.
    Undone,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// When it began; milliseconds since the Unix epoch.
    pub at: u64,
    /// What.
    pub what: String,
    /// What happened in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What listeners are told while operations run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The operation.
    pub operation: String,
    /// The machine.
    pub machine: String,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventKind {
    /// It begins.
    Begun {
        /// What is done.
        kind: Kind,
    },
    /// A step begins.
    Step {
        /// What.
        what: String,
    },
    /// Something happened.
    Note {
        /// What.
        text: String,
    },
    /// How far a long step is.
    Progress {
        /// So much of it.
        done: u64,
        /// All of it; 0 if that cannot be told.
        total: u64,
    },
    /// It ended.
    Ended {
        /// How.
        #[serde(flatten)]
        status: OperationStatus,
    },
}

#[cfg(test)]
mod tests;
