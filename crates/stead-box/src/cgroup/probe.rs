//! Whether limits really hold on this host: small processes that run into them.
//!
//! There are hosts that take a limit, show it when it is read, and do not enforce it.

use super::usage::field;
use super::{Group, Result, verify};
use crate::guard_sys::{Outcome, Task, Worker};
use crate::spec::Limits;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What was found; `Err` says what happened instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whether a process that uses more memory than it may is ended.
    pub memory: Result<(), String>,
    /// Whether a process that computes without end is held back.
    pub cpus: Result<(), String>,
    /// Whether a process that may not have a child has none.
    pub processes: Result<(), String>,
}

impl Probe {
    /// The first limit that was asked for and does not hold here.
    ///
    /// # Errors
    /// What happened instead, as one line.
    pub fn covers(&self, limits: &Limits) -> Result<(), String> {
        let asked = [
            (limits.memory.is_some(), &self.memory, "memory"),
            (limits.cpus.is_some(), &self.cpus, "processors"),
            (limits.processes.is_some(), &self.processes, "processes"),
        ];
        for (asked, holds, what) in asked {
            if let (true, Err(why)) = (asked, holds) {
                return Err(format!(
                    "a limit of {what} does not hold on this host: {why}; remove the limit"
                ));
            }
        }
        Ok(())
    }
}

/// Tries each kind of limit; about 0.3 seconds. The answer holds until the next boot.
pub fn probe() -> Probe {
    std::thread::scope(|scope| {
        let memory = scope.spawn(memory);
        let cpus = scope.spawn(cpus);
        let processes = processes();
        let gone = || Err("the probe itself failed".into());
        Probe {
            memory: memory.join().unwrap_or_else(|_| gone()),
            cpus: cpus.join().unwrap_or_else(|_| gone()),
            processes,
        }
    })
}

fn memory() -> Result<(), String> {
    let limits = Limits { memory: Some(8 * MIB), ..Limits::default() };
    within("memory", &limits, Task::Touch(32 * MIB as usize), |outcome, _| match outcome {
        Outcome::Killed => Ok(()),
        other => Err(format!("32 MiB were used under a limit of 8 MiB ({other:?})")),
    })
}

fn processes() -> Result<(), String> {
    let limits = Limits { processes: Some(1), ..Limits::default() };
    within("processes", &limits, Task::Fork, |outcome, _| match outcome {
        Outcome::Refused => Ok(()),
        other => Err(format!("a process had a child under a limit of 1 ({other:?})")),
    })
}

fn cpus() -> Result<(), String> {
    // So little that it is too much also on a host with a hundred busy processes a processor.
    let limits = Limits { cpus: Some(10), ..Limits::default() };
    within("cpus", &limits, Task::Burn(Duration::from_millis(200)), |outcome, group| {
        let held = group
            .folders()
            .iter()
            .filter_map(|folder| field(folder, "cpu.stat", "nr_throttled"))
            .max();
        match (outcome, held) {
            (Outcome::Done, Some(1..)) => Ok(()),
            (outcome, held) => Err(format!(
                "a hundredth of a processor was not held to ({outcome:?}, {held:?} times)"
            )),
        }
    })
}

fn within(
    what: &str,
    limits: &Limits,
    task: Task,
    judge: impl FnOnce(Outcome, &Group) -> Result<(), String>,
) -> Result<(), String> {
    let group = Group::make(&format!("probe-{}-{what}", std::process::id()), limits)
        .map_err(|e| e.to_string())?;
    let answer = Worker::start(task)
        .map_err(|error| format!("no process for the probe: {error}"))
        .and_then(|worker| {
            worker
                .enter(group.folders())
                .map_err(|error| format!("the probe cannot join: {error}"))?;
            verify(worker.pid(), &group).map_err(|error| error.to_string())?;
            let outcome =
                worker.run().map_err(|error| format!("the probe cannot be waited for: {error}"))?;
            judge(outcome, &group)
        });
    group.remove().map_err(|error| error.to_string())?;
    answer
}
