//! One record.

use crate::model::Wanted;
use crate::system::Brought;
use serde::{Deserialize, Serialize};
use stead_file::declared::{Machine, Network};

/// What Stead knows of one machine: `machine.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What is wanted, with its identity.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// The stead file that it was made from, as [`crate::plan::owner`] writes it; `None` if it was made by hand
    /// (`stead run -m`, `stead clone`): no plan touches it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What the engine has; `None` until it has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Where it is in its life.
    pub status: Status,
    /// What was begun on its state and must be finished or undone before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The system that its state was brought to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Brought>,
}

/// What an engine has been brought to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The declaration. `running` is whether it was last told to run.
    pub declared: Machine,
    /// The network it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was begun.
    Making,
    /// It is there.
    There,
    /// It is being destroyed.
    Going,
}

/// What was begun on a machine's state. Written before the first step, taken away after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pending")]
pub enum Pending {
    /// A snapshot; undone.
    Snapshot {
        /// Its name.
        snapshot: String,
        /// The operation.
        operation: String,
    },
    /// A snapshot that is removed; finished.
    RemoveSnapshot {
        /// Its name.
        snapshot: String,
        /// The operation.
        operation: String,
    },
    /// A machine made from another's state; undone.
    Clone {
        /// The other.
        from: String,
        /// The operation.
        operation: String,
    },
    /// A state put back; finished.
    Restore {
        /// The snapshot that is put back.
        snapshot: String,
        /// The automatic snapshot of what it replaces.
        kept: String,
        /// Whether that is whole.
        kept_whole: bool,
        /// Whether the machine is to run afterwards.
        start: bool,
        /// The operation.
        operation: String,
    },
    /// Another machine's state put into this one; finished.
    MoveFrom {
        /// The other machine.
        from: String,
        /// The automatic snapshot of what it replaces.
        kept: String,
        /// Whether that is whole.
        kept_whole: bool,
        /// The operation; also what the engine knows this move by.
        operation: String,
    },
    /// Its state is put into another machine; finished.
    MoveTo {
        /// The other machine.
        to: String,
        /// The operation.
        operation: String,
    },
}

impl Pending {
    /// The operation that began it.
    pub fn operation(&self) -> &str {
        match self {
            Pending::Snapshot { operation, .. }
            | Pending::RemoveSnapshot { operation, .. }
            | Pending::Clone { operation, .. }
            | Pending::Restore { operation, .. }
            | Pending::MoveFrom { operation, .. }
            | Pending::MoveTo { operation, .. } => operation,
        }
    }

    /// The other machine that must be held to finish it.
    pub fn partner(&self) -> Option<&str> {
        match self {
            Pending::MoveFrom { from: other, .. } | Pending::MoveTo { to: other, .. } => {
                Some(other)
            }
            _ => None,
        }
    }

    /// For people: what was begun, and whether it will be finished or undone.
    pub fn words(&self) -> String {
        match self {
            Pending::Snapshot { snapshot, .. } => {
                format!("snapshot {snapshot} was cut short: undone")
            }
            Pending::RemoveSnapshot { snapshot, .. } => {
                format!("removal of snapshot {snapshot} was cut short: finished")
            }
            Pending::Clone { from, .. } => format!("clone of {from} was cut short: undone"),
            Pending::Restore { snapshot, .. } => {
                format!("restore of {snapshot} was cut short: finished")
            }
            Pending::MoveFrom { from, .. } => {
                format!("move of the state of {from} was cut short: finished")
            }
            Pending::MoveTo { to, .. } => {
                format!("move of its state to {to} was cut short: finished")
            }
        }
    }
}

impl Record {
    /// What the engine has, with the identity: what a change starts from.
    pub fn before(&self) -> Option<Wanted> {
        let applied = self.applied.as_ref()?;
        Some(Wanted {
            declared: applied.declared.clone(),
            network: applied.network.clone(),
            ..self.wanted.clone()
        })
    }

    /// Puts down that the engine has what is wanted.
    pub(crate) fn made(&mut self, running: bool) {
        let declared = Machine { running, ..self.wanted.declared.clone() };
        self.applied = Some(Applied { declared, network: self.wanted.network.clone() });
        self.status = Status::There;
    }

    /// Puts down whether it was told to run.
    pub(crate) fn told_to_run(&mut self, running: bool) {
        if let Some(applied) = &mut self.applied {
            applied.declared.running = running;
        }
    }
}
