//! The decision for each machine.

use super::system::system;
use super::words::size;
use super::{Action, Becomes, Drift, Entry, Input, KeyChange, Plan, keys};
use crate::model::{Observed, Phase, Wanted};
use crate::operation::{Kind, Operation};
use crate::records::{Applied, HOST, Record, Status};
use std::collections::{BTreeSet, HashMap};
use stead_file::declared::{Machine, Network};

/// What is to be done so that machines are as declared. Touches nothing.
pub fn plan(input: &Input<'_>) -> Plan {
    let records = &input.records.records;
    let ours = records.iter().filter(|(_, r)| r.owner.as_deref() == Some(input.owner));
    let names: BTreeSet<&String> = input
        .declared
        .machines
        .keys()
        .chain(ours.map(|(name, _)| name))
        .chain(input.records.damaged.keys())
        .collect();
    let context = Context::new(input);
    Plan::of(input.owner, names.into_iter().map(|name| context.entry(name)).collect())
}

/// The same for a single machine.
pub fn plan_one(input: &Input<'_>, name: &str) -> Entry {
    Context::new(input).entry(name)
}

/// What is known, found quickly.
struct Context<'a> {
    input: &'a Input<'a>,
    seen: HashMap<(&'a str, &'a str), Seen<'a>>,
    interrupted: HashMap<&'a str, Vec<&'a Operation>>,
}

/// What an engine says of one name.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Once(&'a Observed),
    Twice,
}

impl<'a> Context<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let mut seen: HashMap<(&str, &str), Seen<'_>> = HashMap::new();
        for (engine, observed) in input.observed {
            for one in observed.iter().flatten() {
                seen.entry((engine, &one.name))
                    .and_modify(|seen| *seen = Seen::Twice)
                    .or_insert(Seen::Once(one));
            }
        }
        let mut interrupted: HashMap<&str, Vec<&Operation>> = HashMap::new();
        for operation in input.interrupted {
            interrupted.entry(&operation.machine).or_default().push(operation);
        }
        Context { input, seen, interrupted }
    }

    /// What an engine sees of a name; `Err` is why that cannot be told.
    fn look(&self, engine: &str, name: &str) -> Result<Option<&'a Observed>, String> {
        match self.input.observed.get(engine) {
            None => return Err(crate::error::no_engine(engine, self.input.observed.keys())),
            Some(Err(e)) => return Err(format!("engine {engine} cannot be asked: {e}")),
            Some(Ok(_)) => {}
        }
        match self.seen.get(&(engine, name)) {
            None => Ok(None),
            Some(Seen::Twice) => Err(format!("engine {engine} lists it twice")),
            Some(Seen::Once(Observed { phase: Phase::Unknown(why), .. })) => Err(why.clone()),
            Some(Seen::Once(one)) => Ok(Some(one)),
        }
    }

    fn entry(&self, name: &str) -> Entry {
        let declared = self.input.declared.machines.get(name);
        let record = self.input.records.records.get(name);
        let mut entry = Entry {
            name: name.into(),
            engine: record.map_or_else(
                || declared.map(|d| d.engine.clone()).unwrap_or_default(),
                |r| r.wanted.declared.engine.clone(),
            ),
            action: Action::Nothing,
            system: None,
            drift: Vec::new(),
            remarks: self.input.remarks.get(name).cloned().unwrap_or_default(),
            notes: Vec::new(),
            becomes: declared.map(|d| Becomes { declared: d.clone(), network: self.network(d) }),
        };
        if let Some(damaged) = self.input.records.damaged.get(name) {
            let why = format!("its record is damaged: {}: {}", damaged.path.display(), damaged.why);
            entry.action = Action::Unknown { why };
            return entry;
        }
        for operation in self.interrupted.get(name).into_iter().flatten() {
            entry.notes.push(format!("{} was cut short ({})", operation.kind.word(), operation.id));
        }
        let seen = match self.look(&entry.engine, name) {
            Ok(seen) => seen,
            Err(why) => {
                entry.action = Action::Unknown { why };
                return entry;
            }
        };
        if let (Some(record), Some(seen)) = (record, seen)
            && seen.id.as_ref().is_some_and(|id| *id != record.wanted.id)
        {
            let why =
                "the engine has another machine of this name: its identity is not the recorded one";
            entry.action = Action::Unknown { why: why.into() };
            return entry;
        }
        entry.notes.extend(seen.into_iter().flat_map(|seen| seen.notes.clone()));
        match (declared, record) {
            (Some(declared), Some(record)) => self.both(&mut entry, declared, record, seen),
            (Some(_), None) => {
                entry.action = match seen {
                    Some(_) if entry.engine != HOST => Action::Blocked {
                        why: format!(
                            "engine {} has a machine of this name that Stead has no record of; it is left alone",
                            entry.engine
                        ),
                    },
                    // This computer is there before anybody declares it.
                    _ => Action::Create,
                };
                refuse(&mut entry);
            }
            (None, Some(record)) if record.owner.as_deref() == Some(self.input.owner) => {
                entry.action = Action::Destroy { goes: goes(record, seen) };
                entry.notes.extend(record.pending.iter().map(crate::records::Pending::words));
            }
            (None, _) => {}
        }
        entry.system = system(self.input, &entry, seen);
        entry
    }

    /// A machine that is declared and recorded.
    fn both(
        &self,
        entry: &mut Entry,
        declared: &Machine,
        record: &Record,
        seen: Option<&Observed>,
    ) {
        let mut adopted = None;
        match record.owner.as_deref() {
            Some(owner) if owner == self.input.owner => {}
            Some(owner) => {
                let why = format!("it belongs to another stead file: {owner}");
                entry.action = Action::Blocked { why };
                return;
            }
            None => {
                adopted = Some(KeyChange {
                    key: "owner".into(),
                    before: "none".into(),
                    after: self.input.owner.into(),
                });
            }
        }
        let applied = record.applied.as_ref();
        if let Some(why) = impossible(declared, record) {
            entry.action = Action::Blocked { why };
            return;
        }
        let cut = match (&record.pending, record.status, seen.map(|s| &s.phase)) {
            (Some(pending), ..) => Some(pending.words()),
            (_, Status::Going, _) => {
                Some("destroy was cut short: finished, then made again".into())
            }
            (_, Status::Making, _) => Some("create was cut short: finished".into()),
            (.., Some(Phase::Partial(why))) => Some(why.clone()),
            _ => None,
        };
        if let Some(what) = cut {
            entry.action = Action::Finish { what };
            refuse(entry);
            return;
        }
        let Some((seen, applied)) = seen.zip(applied) else {
            entry.drift.push(Drift {
                what: "phase".into(),
                applied: "there".into(),
                seen: "not there".into(),
            });
            entry.notes.push("what was in it is gone; it is made afresh".into());
            entry.action = Action::Create;
            refuse(entry);
            return;
        };

        let runs = seen.phase == Phase::Running;
        if runs != applied.declared.running {
            entry.drift.push(Drift {
                what: "phase".into(),
                applied: phase(applied.declared.running).into(),
                seen: phase(runs).into(),
            });
        }
        let before = before(applied, seen);
        let drifted = keys::machine(&applied.declared, &before);
        entry.drift.extend(drifted.into_iter().map(|k| Drift {
            what: k.key,
            applied: k.before,
            seen: k.after,
        }));
        let network = self.network(declared);
        let mut keys = keys::machine(&before, declared);
        keys.extend(keys::network(applied.network.as_ref(), network.as_ref()));
        keys.extend(adopted);
        let then_run = (runs != declared.running).then_some(declared.running);
        entry.action = match then_run {
            _ if !keys.is_empty() => {
                let wanted = |declared: Machine, network| Wanted {
                    declared,
                    network,
                    ..record.wanted.clone()
                };
                let restart = if runs {
                    (self.input.needs_restart)(
                        &entry.engine,
                        &wanted(before, applied.network.clone()),
                        &wanted(declared.clone(), network),
                    )
                } else {
                    Vec::new()
                };
                let restart = restart.into_iter().map(String::from).collect();
                Action::Change { keys, restart, then_run }
            }
            Some(true) => Action::Start,
            Some(false) => Action::Stop,
            None => match self.cut_short(&entry.name) {
                Some(what) => Action::Finish { what },
                None => Action::Nothing,
            },
        };
        if entry.action != Action::Stop {
            refuse(entry);
        }
    }

    /// An operation that another look at the machine settles.
    fn cut_short(&self, name: &str) -> Option<String> {
        let operations = self.interrupted.get(name)?;
        let last = operations.iter().rfind(|o| o.kind != Kind::Sweep)?;
        Some(format!("{} was cut short", last.kind.word()))
    }

    fn network(&self, declared: &Machine) -> Option<Network> {
        let name = declared.network.as_ref()?;
        self.input.declared.networks.get(name).cloned()
    }
}

/// What the engine has, and where it has no say, what was applied.
pub(crate) fn before(applied: &Applied, seen: &Observed) -> Machine {
    seen.made_from.as_ref().map_or_else(
        || applied.declared.clone(),
        |made_from| Machine {
            running: applied.declared.running,
            keep: applied.declared.keep,
            state: applied.declared.state.clone(),
            ..made_from.clone()
        },
    )
}

/// What stands in the way of a change.
fn refuse(entry: &mut Entry) {
    let refused = entry.remarks.iter().find(|remark| remark.refused);
    if let Some(remark) = refused.filter(|_| entry.action.is_change()) {
        entry.action = Action::Blocked { why: remark.text.clone() };
    }
}

/// The engine whose machines have disks of their own.
const VM: &str = "qemu";

/// A change that no engine can make of a machine that is there.
fn impossible(declared: &Machine, record: &Record) -> Option<String> {
    let has = record.applied.as_ref().map_or(&record.wanted.declared, |a| &a.declared);
    let name = &record.wanted.name;
    let fixed = [("engine", &has.engine, &declared.engine), ("image", &has.image, &declared.image)];
    for (key, has, wanted) in fixed {
        // One that was never finished can still become anything but another engine's.
        if has != wanted && (key == "engine" || record.applied.is_some()) {
            return Some(format!(
                "{key}: {has} cannot become {wanted} in place; `stead destroy {name}` first, or declare another machine"
            ));
        }
    }
    if let (VM, Some(applied)) = (&*declared.engine, &record.applied)
        && declared.vm_disk() < applied.declared.vm_disk()
    {
        let (has, wanted) = (applied.declared.vm_disk(), declared.vm_disk());
        return Some(format!(
            "disk: {} cannot become {}: the disk of a virtual machine only grows",
            size(has.bytes()),
            size(wanted.bytes())
        ));
    }
    let state = declared.state.as_ref().filter(|state| **state != record.wanted.state)?;
    record.applied.as_ref()?;
    Some(format!(
        "state: {} lies in it and {state} is declared; `stead move` brings a state from machine to machine",
        record.wanted.state
    ))
}

/// What goes with a machine, as far as records tell.
fn goes(record: &Record, seen: Option<&Observed>) -> Vec<String> {
    if record.wanted.declared.engine == HOST {
        return vec!["its record; this computer stays".into()];
    }
    let mut goes = vec![format!("state {}", record.wanted.state)];
    match seen.map(|seen| &seen.phase) {
        Some(Phase::Running) => goes.push("what runs in it".into()),
        Some(_) => {}
        None => goes = vec!["its record; the engine has nothing of it".into()],
    }
    goes
}

fn phase(running: bool) -> &'static str {
    if running { "running" } else { "stopped" }
}
