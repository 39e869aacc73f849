//! Looking at all machines, and planning from it.

use super::Manager;
use super::ask::bounded;
use crate::Error;
use crate::engine::EngineError;
use crate::error::no_engine;
use crate::model::{Observed, Phase, Remark};
use crate::plan::{self, Action, Input, Plan};
use crate::records::{HOST, Listing, Status, valid_name};
use crate::system::Rendered;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stead_file::declared::Declaration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What is known of all machines.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What Stead knows.
    pub records: Listing,
    /// What each engine sees, or why it cannot be asked.
    pub observed: BTreeMap<String, Result<Vec<Observed>, EngineError>>,
}

impl Seen {
    /// What a recorded machine does. One that its engine does not have is [`Phase::Partial`]; `None` if there is no record.
    pub fn phase(&self, name: &str) -> Option<Phase> {
        let record = self.records.records.get(name)?;
        let engine = &record.wanted.declared.engine;
        Some(match self.observed.get(engine) {
            None => Phase::Unknown(no_engine(engine, self.observed.keys())),
            Some(Err(e)) => Phase::Unknown(e.to_string()),
            Some(Ok(seen)) => {
                let mut of_this_name = seen.iter().filter(|seen| seen.name == name);
                match (of_this_name.next(), of_this_name.next()) {
                    (None, _) => Phase::Partial("its engine does not have it".into()),
                    (Some(one), None) => one.phase.clone(),
                    (Some(_), Some(_)) => Phase::Unknown("its engine lists it twice".into()),
                }
            }
        })
    }
}

impl Manager {
    /// Looks at all machines, at most so long. An engine that does not answer cannot be asked; the others can.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn look(&self, patience: Duration) -> Result<Seen, Error> {
        let end = Instant::now() + patience;
        let records = self.0.records.list()?;
        let mut asked = JoinSet::new();
        for (name, engine) in &self.0.engines {
            let (name, engine) = (name.clone(), engine.clone());
            asked.spawn(async move { (name, bounded(patience, engine.observe()).await) });
        }
        let mut observed = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            if let Ok((name, answer)) = answer {
                observed.insert(name, answer);
            }
        }
        for name in self.0.engines.keys() {
            let silent = || Err(EngineError::Unreachable("its answer was cut short".into()));
            observed.entry(name.clone()).or_insert_with(silent);
        }
        self.look_for_missing(&records, &mut observed, end).await;
        Ok(Seen { records, observed })
    }

    /// A machine that is recorded and not listed is looked for by itself: only if both answers agree is it gone.
    async fn look_for_missing(
        &self,
        records: &Listing,
        observed: &mut BTreeMap<String, Result<Vec<Observed>, EngineError>>,
        end: Instant,
    ) {
        for (engine, observed) in observed {
            let Ok(listed) = observed else { continue };
            let names: BTreeSet<&str> = listed.iter().map(|seen| seen.name.as_str()).collect();
            let missing: Vec<String> = records
                .records
                .iter()
                .filter(|(name, r)| {
                    r.wanted.declared.engine == *engine
                        && r.status != Status::Making
                        && !names.contains(name.as_str())
                })
                .map(|(name, _)| name.clone())
                .collect();
            let mut asked = JoinSet::new();
            for name in missing {
                let engine = self.0.engines[engine].clone();
                asked.spawn(async move {
                    let left = end.saturating_duration_since(Instant::now());
                    let seen = bounded(left, engine.look(&name)).await;
                    (name, seen)
                });
            }
            while let Some(answer) = asked.join_next().await {
                let Ok((name, seen)) = answer else { continue };
                let why = match seen {
                    Ok(None) => continue,
                    Ok(Some(_)) => "its engine has it and does not list it".to_owned(),
                    Err(e) => format!("its engine does not list it, and: {e}"),
                };
                listed.push(Observed {
                    name,
                    phase: Phase::Unknown(why),
                    made_from: None,
                    since: None,
                    id: None,
                    notes: Vec::new(),
                });
            }
        }
    }

    /// What is to be done so that machines are as declared. `owner` is [`plan::owner`] of the stead file. Looks at most so
    /// long, and changes nothing. Nothing is said of systems.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn plan(
        &self,
        declared: &Declaration,
        owner: &str,
        patience: Duration,
    ) -> Result<Plan, Error> {
        self.plan_with(declared, &BTreeMap::new(), owner, patience).await
    }

    /// As [`Manager::plan`], with the systems of machines as they were rendered.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn plan_with(
        &self,
        declared: &Declaration,
        systems: &BTreeMap<String, Rendered>,
        owner: &str,
        patience: Duration,
    ) -> Result<Plan, Error> {
        self.0.operations.refresh()?;
        let declared = &self.with_consent(declared);
        let (seen, remarks) = tokio::join!(self.look(patience), self.check(declared, patience));
        let Seen { records, observed } = seen?;
        let mut plan = plan::plan(&Input {
            declared,
            owner,
            records: &records,
            observed: &observed,
            remarks: &remarks,
            systems,
            interrupted: &self.0.operations.interrupted(),
            needs_restart: &plan::ask_engines(&self.0.engines),
        });
        for entry in &mut plan.machines {
            if let Action::Destroy { goes } = &mut entry.action
                && let Some(record) = records.records.get(&entry.name)
                && let Ok(engine) = self.engine_of(record)
            {
                goes.extend(snapshots_that_go(
                    bounded(patience, engine.snapshots(&entry.name)).await,
                ));
            }
        }
        Ok(plan)
    }

    /// What is declared, with the sensitive folders that somebody allowed earlier.
    fn with_consent(&self, declared: &Declaration) -> Declaration {
        let mut declared = declared.clone();
        let vms = declared.machines.iter_mut().filter(|(_, machine)| machine.engine == "qemu");
        for (name, machine) in vms {
            if let Ok(Some(record)) = self.0.records.get(name) {
                crate::vm::carry_consent(machine, &record);
            }
        }
        declared
    }

    /// What engines have to say of what is declared.
    async fn check(
        &self,
        declared: &Declaration,
        patience: Duration,
    ) -> BTreeMap<String, Vec<Remark>> {
        let mut asked = JoinSet::new();
        for (engine_name, engine) in &self.0.engines {
            let theirs: Vec<_> = declared
                .machines
                .iter()
                .filter(|(name, d)| d.engine == *engine_name && valid_name(name))
                .map(|(name, d)| self.would_be(name, d, declared))
                .collect();
            let engine = engine.clone();
            asked.spawn(async move {
                let end = Instant::now() + patience;
                let mut remarks = Vec::new();
                for wanted in theirs {
                    let left = end.saturating_duration_since(Instant::now());
                    let said = bounded(left, engine.check(&wanted)).await.unwrap_or_else(|e| {
                        vec![Remark { refused: true, text: format!("it cannot be checked: {e}") }]
                    });
                    remarks.push((wanted.name, said));
                }
                remarks
            });
        }
        let mut remarks = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            remarks.extend(answer.unwrap_or_default());
        }
        remarks
    }

    /// Fails if the engine refuses a machine before it is made.
    pub(super) async fn refuses(
        &self,
        name: &str,
        declared: &stead_file::declared::Machine,
    ) -> Result<(), Error> {
        let Some(engine) = self.0.engines.get(&declared.engine) else { return Ok(()) };
        let wanted = self.would_be(name, declared, &Declaration::default());
        let remarks = self.patiently(name, engine.check(&wanted)).await?;
        match remarks.into_iter().find(|remark| remark.refused) {
            Some(remark) => Err(Error::refused(name, remark.text)),
            None => Ok(()),
        }
    }

    fn would_be(
        &self,
        name: &str,
        declared: &stead_file::declared::Machine,
        all: &Declaration,
    ) -> crate::model::Wanted {
        let network = declared.network.as_ref().and_then(|n| all.networks.get(n)).cloned();
        match self.0.records.get(name) {
            Ok(Some(record)) => {
                crate::model::Wanted { declared: declared.clone(), network, ..record.wanted }
            }
            // One that has no identity yet.
            _ => crate::model::Wanted {
                name: name.into(),
                id: "0".repeat(32),
                number: 0,
                address: std::net::Ipv4Addr::UNSPECIFIED,
                declared: declared.clone(),
                network,
                state: declared.state.clone().unwrap_or_else(|| name.into()),
                created: 0,
            },
        }
    }

    /// What goes when a machine is destroyed, a line each.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be looked at: it cannot be destroyed then.
    pub async fn what_goes(&self, name: &str) -> Result<Vec<String>, Error> {
        let record = self.0.records.find(name)?;
        let seen = self.look_at(&record).await?;
        if record.wanted.declared.engine == HOST {
            return Ok(vec!["its record; this computer stays".into()]);
        }
        let mut goes = vec![format!("machine {name} on {}", record.wanted.declared.engine)];
        match seen.map(|seen| seen.phase) {
            None => goes.push("its record; the engine has nothing of it".into()),
            Some(phase) => {
                if phase == Phase::Running {
                    goes.push("what runs in it".into());
                }
                goes.push(format!("state {}", record.wanted.state));
                let engine = self.engine_of(&record)?;
                let snapshots = bounded(self.0.patience, engine.snapshots(name)).await;
                goes.extend(snapshots_that_go(snapshots));
            }
        }
        Ok(goes)
    }
}

fn snapshots_that_go(
    snapshots: Result<Vec<crate::model::Snapshot>, EngineError>,
) -> Option<String> {
    match snapshots {
        Ok(snapshots) if snapshots.is_empty() => None,
        Ok(snapshots) => {
            let names: Vec<&str> = snapshots.iter().map(|s| s.name.as_str()).collect();
            let plural = if names.len() == 1 { "" } else { "s" };
            Some(format!("{} snapshot{plural} ({})", names.len(), names.join(" ")))
        }
        Err(EngineError::Cannot { .. }) => None,
        Err(e) => Some(format!("its snapshots, which cannot be listed: {e}")),
    }
}
