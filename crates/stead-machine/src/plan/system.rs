//! Whether a machine's system would be switched.

use super::{Action, Entry, Input};
use crate::model::Observed;
use crate::records::{Record, Status};
use crate::system::{By, Rendered};
use serde::{Deserialize, Serialize};

/// What is to become of a machine's declared system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// What the stead file calls it.
    pub name: String,
    /// What is to be done.
    #[serde(flatten)]
    pub action: SystemAction,
}

/// What is to be done so that a machine is as its system says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum SystemAction {
    /// Nothing: it was brought.
    Nothing {
        /// When; milliseconds since the Unix epoch.
        at: u64,
    },
    /// It is brought, once the machine runs.
    Switch {
        /// Why.
        why: String,
        /// The parts that are declared otherwise than they were brought.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<String>,
    },
    /// It would be brought, but not by applying this plan.
    Waits {
        /// For what.
        why: String,
    },
    /// It cannot be brought.
    Blocked {
        /// Why, and what to do.
        why: String,
    },
}

impl System {
    /// What is switched and why, for people.
    pub(super) fn switch(&self) -> Option<String> {
        match &self.action {
            SystemAction::Switch { why, .. } => Some(format!("system {}: {why}", self.name)),
            _ => None,
        }
    }

    /// What keeps it from being brought, for people.
    pub(super) fn obstacle(&self) -> Option<String> {
        match &self.action {
            SystemAction::Waits { why } => Some(format!("system {} waits {why}", self.name)),
            SystemAction::Blocked { why } => {
                Some(format!("system {} is blocked: {why}", self.name))
            }
            SystemAction::Nothing { .. } | SystemAction::Switch { .. } => None,
        }
    }
}

/// What is to become of the system of a machine about which everything else is decided.
pub(super) fn system(input: &Input<'_>, entry: &Entry, seen: Option<&Observed>) -> Option<System> {
    if matches!(entry.action, Action::Blocked { .. } | Action::Unknown { .. }) {
        return None;
    }
    let declared = &entry.becomes.as_ref()?.declared;
    declared.system.as_ref()?;
    let rendered = input.systems.get(&entry.name)?;
    let record = input.records.records.get(&entry.name);
    let action = match needed(rendered, entry, record, seen) {
        Err(at) => SystemAction::Nothing { at },
        Ok(_) if !declared.running => {
            SystemAction::Waits { why: "until the machine runs: it is declared stopped".into() }
        }
        Ok((why, parts)) => match &rendered.by {
            By::Apply => SystemAction::Switch { why, parts },
            By::Hand { why } => SystemAction::Waits { why: why.clone() },
            By::Nobody { why } => SystemAction::Blocked { why: why.clone() },
        },
    };
    Some(System { name: rendered.name.clone(), action })
}

/// Why it has to be brought, and which parts differ; `Err` is since when it is there.
fn needed(
    rendered: &Rendered,
    entry: &Entry,
    record: Option<&Record>,
    seen: Option<&Observed>,
) -> Result<(String, Vec<String>), u64> {
    let why = |why: &str| Ok((why.to_owned(), Vec::new()));
    // What is made has nothing yet, whatever was there before it.
    let kept = record
        .filter(|record| entry.action != Action::Create && record.status != Status::Going)
        .and_then(|record| Some((record, record.system.as_ref()?)));
    let Some((record, brought)) = kept else { return why("it was never brought") };
    let Some(at) = brought.at else { return why("the last switch failed or was cut short") };
    let parts = rendered.differing(brought);
    if !parts.is_empty() {
        return Ok((format!("otherwise than brought: {}", parts.join(", ")), parts));
    }
    let began = seen.and_then(|seen| seen.since);
    if record.wanted.declared.ephemeral && began.is_none_or(|began| began > at) {
        return why("an ephemeral machine forgets it when it stops");
    }
    Err(at)
}
