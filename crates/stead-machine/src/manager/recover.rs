//! What a steward does first: it says what was cut short, and removes what belongs to nobody.

use super::Manager;
use super::ask::bounded;
use crate::Error;
use crate::operation::{Kind, Operation, OperationStatus};
use crate::records::{Pending, Status};
use std::time::Duration;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Machines on which something was cut short, and what; the next thing done to one settles it.
    pub cut_short: Vec<(String, String)>,
    /// What was removed because it belonged to no machine, a line each.
    pub swept: Vec<String>,
    /// What could not be looked at, and why. It is left alone.
    pub unknown: Vec<String>,
}

impl Manager {
    /// Finds what was cut short, and has every engine remove what certainly belongs to no machine. Finishes nothing by
    /// itself. An engine that does not answer within this time is left alone.
    ///
    /// # Errors
    /// If the records or operations cannot be read.
    pub async fn recover(&self, patience: Duration) -> Result<Recovered, Error> {
        self.0.operations.refresh()?;
        self.0.records.tidy()?;
        let mut found = Recovered::default();
        let listing = self.0.records.list()?;
        for (name, damaged) in &listing.damaged {
            found.unknown.push(format!(
                "{name}: its record is damaged: {}: {}",
                damaged.path.display(),
                damaged.why
            ));
        }
        for operation in self.0.operations.interrupted() {
            self.forget_what_was_not_begun(&operation);
        }
        let interrupted = self.0.operations.interrupted();
        for (name, record) in &listing.records {
            let operation = interrupted.iter().rfind(|o| o.machine == *name);
            let what = match (&record.pending, record.status, operation) {
                (Some(pending), ..) => Some(pending.words()),
                (_, Status::Making, _) => Some("create was cut short: finished".into()),
                (_, Status::Going, _) => Some("destroy was cut short: finished".into()),
                (.., Some(operation)) => Some(format!("{} was cut short", operation.kind.word())),
                _ => None,
            };
            found.cut_short.extend(what.map(|what| (name.clone(), what)));
        }
        for (name, engine) in &self.0.engines {
            if let Err(e) = bounded(patience, engine.observe()).await {
                found.unknown.push(format!("engine {name} cannot be asked: {e}"));
                continue;
            }
            let recorder = self.0.operations.begin(Kind::Sweep, "", None)?;
            match bounded(patience, engine.sweep(&recorder.steps())).await {
                // It is done at each start, and is no news.
                Ok(swept) if swept.is_empty() => recorder.end_as_nothing(),
                Ok(swept) => {
                    for line in &swept {
                        recorder.steps().note(line);
                    }
                    found.swept.extend(swept);
                    recorder.end(OperationStatus::Done);
                }
                Err(e) => {
                    found.unknown.push(format!("engine {name}: {e}"));
                    recorder.end(OperationStatus::Failed(e.to_string()));
                }
            }
        }
        Ok(found)
    }

    /// Puts an operation down as done or undone of which nothing is left to settle.
    fn forget_what_was_not_begun(&self, operation: &Operation) {
        let Ok(record) = self.0.records.get(&operation.machine) else { return };
        let pending = record.as_ref().and_then(|r| r.pending.as_ref()).map(Pending::operation);
        if pending == Some(&operation.id) {
            return;
        }
        let on_a_state = matches!(
            operation.kind,
            Kind::Snapshot | Kind::Restore | Kind::RemoveSnapshot | Kind::Clone | Kind::Move
        );
        let status = match (operation.kind, &record) {
            // The record goes last.
            (Kind::Destroy, None) => OperationStatus::Done,
            (Kind::Sweep, _) | (_, None) => OperationStatus::Undone,
            _ if on_a_state => {
                // What is pending is written before the first step, and taken away after the last.
                let steps = self.0.operations.get(&operation.id).map_or(0, |o| o.steps.len());
                if steps == 0 { OperationStatus::Undone } else { OperationStatus::Done }
            }
            _ => return,
        };
        self.0.operations.settle(&operation.machine, Some(&operation.id), &status);
    }
}
