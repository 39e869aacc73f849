//! What is to be done so that machines are as a stead file declares them.
//!
//! [`plan`] is a pure function of the file, the records and what engines see; it does nothing. What cannot be seen is
//! [`Action::Unknown`], and nothing is done to it. Drift is shown; it is repaired by whoever applies the plan that shows it.

mod common;
mod decide;
mod keys;
mod show;
mod system;
mod words;

pub use common::Common;
pub(crate) use decide::before;
pub use decide::{plan, plan_one};
pub use keys::KeyChange;
pub use system::{System, SystemAction};
pub use words::{limits, size};

use crate::engine::{Engine, EngineError};
use crate::model::{Observed, Remark, Wanted};
use crate::operation::Operation;
use crate::records::{Claim, Listing};
use crate::system::Rendered;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use stead_file::declared::Declaration;

/// What a plan is made from.
pub struct Input<'a> {
    /// The stead file.
    pub declared: &'a Declaration,
    /// The stead file's mark in records, as [`owner`] writes it.
    pub owner: &'a str,
    /// The records.
    pub records: &'a Listing,
    /// What each engine sees, or why it cannot be asked.
    pub observed: &'a BTreeMap<String, Result<Vec<Observed>, EngineError>>,
    /// What engines have to say of declared machines, by name.
    pub remarks: &'a BTreeMap<String, Vec<Remark>>,
    /// The systems of declared machines as they were rendered, by machine. Nothing is said of one that is not here.
    pub systems: &'a BTreeMap<String, Rendered>,
    /// Operations that were cut short.
    pub interrupted: &'a [Operation],
    /// Which changed keys need a restart: the engine's name, before, after.
    pub needs_restart: &'a dyn Fn(&str, &Wanted, &Wanted) -> Vec<&'static str>,
}

/// The mark of a stead file in the records of its machines: its name and where it lies.
pub fn owner(declared: &Declaration, file: &Path) -> String {
    format!("{} ({})", declared.name, file.display())
}

/// Which keys need a restart, by asking the engine.
pub fn ask_engines(
    engines: &BTreeMap<String, std::sync::Arc<dyn Engine>>,
) -> impl Fn(&str, &Wanted, &Wanted) -> Vec<&'static str> + '_ {
    |engine, before, after| {
        engines.get(engine).map(|e| e.needs_restart(before, after)).unwrap_or_default()
    }
}

/// What is to be done, machine by machine, in order of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The stead file's mark in records.
    pub owner: String,
    /// How many of each.
    pub counts: Counts,
    /// One entry a machine that is declared, was made from this file, or cannot be told.
    pub machines: Vec<Entry>,
    /// Declared sessions that are not there and are started once their machines run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionStart>,
}

/// A session that is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStart {
    /// The session.
    pub name: String,
    /// The machine it is started on.
    pub machine: String,
}

/// What is to be done to one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The machine.
    pub name: String,
    /// Its engine; empty if even that cannot be told.
    pub engine: String,
    /// What is to be done.
    #[serde(flatten)]
    pub action: Action,
    /// What is to become of its declared system; absent if it has none or nothing is done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// Where what is seen differs from what was last applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// What the engine has to say of the declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// What a person should know: an operation that was cut short, what the engine notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What it is to become; absent where it is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Becomes>,
}

impl Entry {
    /// Whether its system is to be switched once it runs.
    pub fn switches(&self) -> bool {
        matches!(&self.system, Some(System { action: SystemAction::Switch { .. }, .. }))
    }

    /// Whether there is nothing to be done, its system included.
    pub fn is_as_declared(&self) -> bool {
        self.action == Action::Nothing
            && matches!(
                &self.system,
                None | Some(System { action: SystemAction::Nothing { .. }, .. })
            )
    }
}

/// What a machine is to become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Becomes {
    /// The declaration.
    pub declared: stead_file::declared::Machine,
    /// The network it is on, if it shares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<stead_file::declared::Network>,
}

impl Becomes {
    pub(crate) fn claim(&self, owner: &str) -> Claim {
        Claim {
            owner: Some(owner.into()),
            declared: self.declared.clone(),
            network: self.network.clone(),
        }
    }
}

/// What is to be done to a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// It is made, and started if it is to run.
    Create,
    /// It is brought to another declaration.
    Change {
        /// What differs.
        keys: Vec<KeyChange>,
        /// Those keys for which it is restarted, because it runs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restart: Vec<String>,
        /// It is started (`true`) or stopped afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then_run: Option<bool>,
    },
    /// It is started.
    Start,
    /// It is stopped.
    Stop,
    /// What was cut short is finished or undone; then it is as declared.
    Finish {
        /// What was cut short.
        what: String,
    },
    /// It is removed.
    Destroy {
        /// What goes with it, a line each.
        goes: Vec<String>,
    },
    /// Nothing.
    Nothing,
    /// It cannot be done, because.
    Blocked {
        /// Why, and what to do.
        why: String,
    },
    /// It cannot be told; nothing is done.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Action {
    /// Its word in JSON and for people.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Change { .. } => "change",
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Finish { .. } => "finish",
            Action::Destroy { .. } => "destroy",
            Action::Nothing => "nothing",
            Action::Blocked { .. } => "blocked",
            Action::Unknown { .. } => "unknown",
        }
    }

    /// Whether applying it does something.
    pub fn is_change(&self) -> bool {
        !matches!(self, Action::Nothing | Action::Blocked { .. } | Action::Unknown { .. })
    }
}

/// Where what is seen differs from what was last applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Of what: a key of the declaration, or `phase`.
    pub what: String,
    /// As it was applied.
    pub applied: String,
    /// As it is seen.
    pub seen: String,
}

/// How many machines of each action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// To be made.
    pub create: usize,
    /// To be changed.
    pub change: usize,
    /// To be started.
    pub start: usize,
    /// To be stopped.
    pub stop: usize,
    /// To be finished or undone.
    pub finish: usize,
    /// To be removed.
    pub destroy: usize,
    /// As declared.
    pub nothing: usize,
    /// That cannot be done, or whose system cannot be brought.
    pub blocked: usize,
    /// That cannot be told.
    pub unknown: usize,
    /// Whose systems are to be switched; they may be counted above, too.
    #[serde(default)]
    pub switch: usize,
    /// Whose systems wait; they may be counted above, too.
    #[serde(default)]
    pub wait: usize,
}

impl Counts {
    fn of(entries: &[Entry]) -> Self {
        let mut counts = Counts::default();
        for entry in entries {
            let system = entry.system.as_ref().map(|system| &system.action);
            match system {
                Some(SystemAction::Switch { .. }) => counts.switch += 1,
                Some(SystemAction::Waits { .. }) => counts.wait += 1,
                Some(SystemAction::Blocked { .. }) => counts.blocked += 1,
                Some(SystemAction::Nothing { .. }) | None => {}
            }
            *match entry.action {
                // Its system is counted.
                Action::Nothing if !entry.is_as_declared() => continue,
                Action::Create => &mut counts.create,
                Action::Change { .. } => &mut counts.change,
                Action::Start => &mut counts.start,
                Action::Stop => &mut counts.stop,
                Action::Finish { .. } => &mut counts.finish,
                Action::Destroy { .. } => &mut counts.destroy,
                Action::Nothing => &mut counts.nothing,
                Action::Blocked { .. } => &mut counts.blocked,
                Action::Unknown { .. } => &mut counts.unknown,
            } += 1;
        }
        counts
    }
}

impl Plan {
    pub(crate) fn of(owner: &str, machines: Vec<Entry>) -> Self {
        Plan { owner: owner.into(), counts: Counts::of(&machines), machines, sessions: Vec::new() }
    }

    /// What it says of these machines only.
    #[must_use]
    pub fn only(self, names: &[String]) -> Self {
        let machines = self.machines.into_iter().filter(|entry| names.contains(&entry.name));
        let sessions = self.sessions.into_iter().filter(|start| names.contains(&start.machine));
        Plan { sessions: sessions.collect(), ..Plan::of(&self.owner, machines.collect()) }
    }

    /// Whether applying it does something.
    pub fn has_changes(&self) -> bool {
        let changes = |entry: &Entry| entry.action.is_change() || entry.switches();
        !self.sessions.is_empty() || self.machines.iter().any(changes)
    }

    /// 0 if all is as declared, 1 if a machine cannot be told or what is declared cannot be done, 3 if there are changes.
    pub fn exit_status(&self) -> i32 {
        if self.has_changes() {
            3
        } else {
            i32::from(self.counts.blocked + self.counts.unknown > 0)
        }
    }
}

#[cfg(test)]
mod tests;
