//! How a machine is shown to whoever asks.

use super::api::Shown;
use stead_machine::Record;
use stead_machine::manager::Seen;
use stead_machine::model::{Observed, Phase};

/// What is shown of a machine of which nothing is known.
pub(super) fn nothing() -> Shown {
    Shown {
        name: String::new(),
        id: String::new(),
        engine: String::new(),
        phase: Phase::Stopped,
        since: None,
        address: None,
        owner: None,
        declared: None,
        created: 0,
        notes: Vec::new(),
    }
}

/// This host, which every steward has as a machine.
pub(super) fn this_host() -> Shown {
    Shown { name: "host".into(), engine: "host".into(), phase: Phase::Running, ..nothing() }
}

/// A machine of which nothing is known but this.
pub(super) fn unseen(name: &str, phase: Phase) -> Observed {
    Observed {
        name: name.to_owned(),
        phase,
        made_from: None,
        since: None,
        id: None,
        notes: Vec::new(),
    }
}

/// A machine as its engine sees it, if there is one of this name.
pub(super) fn shown(seen: &Seen, name: &str) -> Option<Shown> {
    let record = seen.records.records.get(name)?;
    let engine = &record.wanted.declared.engine;
    let observed = seen.observed.get(engine).and_then(|all| all.as_ref().ok());
    let one = observed.and_then(|all| all.iter().find(|one| one.name == name)).cloned();
    let mut one = one.unwrap_or_else(|| unseen(name, Phase::Stopped));
    one.phase = seen.phase(name)?;
    Some(from_record(record, &one))
}

/// A machine as it was recorded, and as it was seen.
pub(super) fn from_record(record: &Record, seen: &Observed) -> Shown {
    let wanted = &record.wanted;
    Shown {
        name: wanted.name.clone(),
        id: wanted.id.clone(),
        engine: wanted.declared.engine.clone(),
        phase: seen.phase.clone(),
        since: seen.since,
        address: Some(wanted.address),
        owner: record.owner.clone(),
        declared: Some(wanted.declared.clone()),
        created: wanted.created,
        notes: seen.notes.clone(),
    }
}
