//! Making, starting, stopping and destroying.

use super::Work;
use crate::model::{Observed, Phase};
use crate::operation::OperationStatus;
use crate::plan::{self, Action, Entry, Input};
use crate::records::HOST;
use crate::records::{Claim, Listing, Pending, Record, Status};
use crate::{Engine, EngineError, Error};
use std::collections::BTreeMap;
use stead_file::declared::{Declaration, Machine};

/// How often what is left to do is looked at again while something is finished: destroy, make, change, start.
const ROUNDS: usize = 5;

impl Work {
    pub(super) async fn up(&self, name: &str) -> Result<(), Error> {
        let record = self.record(name)?;
        if record.status == Status::Going {
            return Err(Error::refused(
                name,
                format!("it is being destroyed; `stead destroy {name}` finishes it"),
            ));
        }
        let seen = self.manager.look_at(&record).await?;
        match seen.map(|seen| seen.phase) {
            Some(Phase::Running) => self.told(record, true),
            Some(Phase::Stopped) if record.status == Status::There => self.start(record).await,
            None if record.status == Status::There => {
                let why = format!(
                    "engine {} no longer has it, and what was in it is gone; `stead apply` or `stead destroy {name}`",
                    record.wanted.declared.engine
                );
                Err(Error::refused(name, why))
            }
            _ => {
                let record = self.make(record).await?;
                self.start(record).await
            }
        }
    }

    pub(super) async fn down(&self, name: &str) -> Result<(), Error> {
        let record = self.record(name)?;
        self.stop(record).await.map(drop)
    }

    pub(super) async fn restart(&self, name: &str) -> Result<(), Error> {
        let record = self.record(name)?;
        self.engine_stop(&record).await?;
        self.up(name).await
    }

    pub(super) async fn scratch(&self, name: &str, declared: Machine) -> Result<(), Error> {
        if self.manager.records().get(name)?.is_some() {
            return self.up(name).await;
        }
        self.manager.refuses(name, &declared).await?;
        let record = self.claim(name, Claim { owner: None, declared, network: None }).await?;
        let record = self.make_first(record).await?;
        self.start(record).await
    }

    /// Has the engine make one that was claimed just now. If it never begins, the claim is given back.
    async fn make_first(&self, record: Record) -> Result<Record, Error> {
        let made = self.make(record.clone()).await;
        let not_begun = matches!(
            &made,
            Err(Error::Engine {
                source: EngineError::Cannot { .. } | EngineError::NotFound(_),
                ..
            })
        );
        if not_begun && self.manager.look_at(&record).await?.is_none() {
            self.manager.records().remove(&record)?;
        }
        made
    }

    /// Claims a name that its engine certainly has no machine of.
    pub(super) async fn claim(&self, name: &str, claim: Claim) -> Result<Record, Error> {
        self.is_free(name, &claim.declared.engine).await?;
        self.manager.records().claim(name, claim)
    }

    pub(super) async fn is_free(&self, name: &str, engine: &str) -> Result<(), Error> {
        let Some(on) = self.manager.engines().get(engine) else {
            return Err(Error::NoEngine {
                name: name.into(),
                engine: engine.into(),
                there: self.manager.engines().keys().cloned().collect::<Vec<_>>().join(", "),
            });
        };
        match self.manager.look_on(on.as_ref(), name, None).await? {
            None => Ok(()),
            // This computer is there before anybody declares it.
            Some(_) if engine == HOST => Ok(()),
            Some(_) => {
                let why = format!(
                    "engine {engine} has a machine of this name that Stead has no record of"
                );
                Err(Error::refused(name, why))
            }
        }
    }

    /// Has the engine make it, or finish it. Stopped.
    pub(super) async fn make(&self, mut record: Record) -> Result<Record, Error> {
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        self.ask(&name, engine.create(&record.wanted, &self.steps())).await?;
        record.made(false);
        self.write(&record)?;
        Ok(record)
    }

    async fn start(&self, record: Record) -> Result<(), Error> {
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        self.ask(&name, engine.start(&record.wanted, &self.steps())).await?;
        self.told(record, true)
    }

    async fn stop(&self, record: Record) -> Result<(), Error> {
        self.engine_stop(&record).await?;
        self.told(record, false)
    }

    pub(super) async fn engine_stop(&self, record: &Record) -> Result<(), Error> {
        let name = &record.wanted.name;
        let engine = self.engine(record)?;
        self.ask(name, engine.stop(name, &self.steps())).await
    }

    pub(super) async fn engine_start(&self, record: &Record) -> Result<(), Error> {
        let engine = self.engine(record)?;
        self.ask(&record.wanted.name, engine.start(&record.wanted, &self.steps())).await
    }

    fn told(&self, mut record: Record, running: bool) -> Result<(), Error> {
        let before = record.applied.clone();
        record.told_to_run(running);
        if record.applied == before { Ok(()) } else { self.write(&record) }
    }

    pub(super) async fn destroy(&self, mut record: Record) -> Result<(), Error> {
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        record.status = Status::Going;
        match self.write(&record) {
            // Destroying is what makes room. Cut short, it is seen half gone, and finished all the same.
            Ok(()) | Err(Error::Io { full: true, .. }) => {}
            Err(e) => return Err(e),
        }
        if engine.name() == HOST {
            // This computer is not destroyed: nothing of it is Stead's but the record.
            self.steps().note("this computer stays");
        } else {
            self.engine_destroy(engine.as_ref(), &record).await?;
        }
        self.manager.records().remove(&record)?;
        if let Some(pending) = &record.pending {
            let id = Some(pending.operation());
            self.manager.operations().settle(&name, id, &OperationStatus::Undone);
        }
        Ok(())
    }

    /// Has the engine destroy it, and looks that it did.
    async fn engine_destroy(&self, engine: &dyn Engine, record: &Record) -> Result<(), Error> {
        let name = &record.wanted.name;
        self.ask(name, engine.destroy(name, &self.steps())).await?;
        if self.manager.look_at(record).await?.is_some() {
            let why = format!("engine {} says it is destroyed and still has it", engine.name());
            return Err(Error::engine(name, EngineError::Failed(why)));
        }
        Ok(())
    }

    /// Does what a plan showed for one machine, if it is still so.
    pub(super) async fn apply(&self, planned: &Entry, owner: &str) -> Result<(), Error> {
        let name = planned.name.as_str();
        let (mut now, mut seen) = self.entry(planned, owner).await?;
        // What was cut short on its state is settled already; the rest is seen to here.
        if matches!(planned.action, Action::Finish { .. }) {
            for _ in 0..ROUNDS {
                if !now.action.is_change() {
                    break;
                }
                self.act(&now, seen.as_ref(), owner).await?;
                (now, seen) = self.entry(planned, owner).await?;
            }
            if now.action.is_change() {
                let why =
                    format!("it is not as declared after {ROUNDS} rounds: {}", now.action.word());
                return Err(Error::refused(name, why));
            }
        }
        match (&now.action, &planned.action) {
            (Action::Nothing, _) => return Ok(()),
            (Action::Unknown { why }, _) => {
                return Err(Error::Unknown { name: name.into(), why: why.clone() });
            }
            (Action::Blocked { why }, _) => return Err(Error::refused(name, why.clone())),
            (Action::Change { keys: now, .. }, Action::Change { keys: planned, .. })
                if now == planned => {}
            (Action::Change { .. }, Action::Change { .. }) => {
                let why = "other keys differ than were planned".into();
                return Err(Error::Outdated { name: name.into(), why });
            }
            (now, planned) if now.word() == planned.word() => {}
            (now, planned) => {
                let why = format!("{} was planned, it is {} now", planned.word(), now.word());
                return Err(Error::Outdated { name: name.into(), why });
            }
        }
        self.act(&now, seen.as_ref(), owner).await
    }

    async fn act(&self, entry: &Entry, seen: Option<&Observed>, owner: &str) -> Result<(), Error> {
        let name = entry.name.as_str();
        let record = self.manager.records().get(name)?;
        let claim = entry.becomes.as_ref().map(|becomes| becomes.claim(owner));
        match (&entry.action, record, claim) {
            (Action::Create, None, Some(claim)) => {
                let running = claim.declared.running;
                let record = self.claim(name, claim).await?;
                let record = self.make_first(record).await?;
                if running { self.start(record).await } else { Ok(()) }
            }
            (Action::Finish { .. }, Some(record), Some(claim))
                if record.status == Status::Going =>
            {
                let running = claim.declared.running;
                self.destroy(record).await?;
                let record = self.claim(name, claim).await?;
                self.make_and_run(record, running).await
            }
            (Action::Create | Action::Finish { .. }, Some(record), Some(claim)) => {
                // Nothing but an operation that had done its work already.
                let whole = record.status == Status::There
                    && matches!(seen.map(|s| &s.phase), Some(Phase::Stopped | Phase::Running));
                if whole {
                    self.manager.operations().settle(name, None, &OperationStatus::Done);
                    return Ok(());
                }
                let running = claim.declared.running;
                let record = Record { system: None, ..becoming(record, claim) };
                self.write(&record)?;
                self.make_and_run(record, running).await
            }
            (Action::Change { then_run, .. }, Some(record), Some(claim)) => {
                self.change(record, claim, seen, *then_run).await
            }
            (Action::Start, Some(record), _) => self.start(record).await,
            (Action::Stop, Some(record), _) => self.stop(record).await,
            (Action::Destroy { .. }, Some(record), _) => self.destroy(record).await,
            _ => Ok(()),
        }
    }

    async fn make_and_run(&self, record: Record, running: bool) -> Result<(), Error> {
        let record = self.make(record).await?;
        if running { self.start(record).await } else { Ok(()) }
    }

    async fn change(
        &self,
        record: Record,
        claim: Claim,
        seen: Option<&Observed>,
        then_run: Option<bool>,
    ) -> Result<(), Error> {
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        let Some((mut before, seen)) = record.before().zip(seen) else {
            return Err(Error::refused(&name, "it was never finished; plan again"));
        };
        if let Some(applied) = &record.applied {
            before.declared = plan::before(applied, seen);
        }
        let told = before.declared.running;
        let mut record = becoming(record, claim);
        self.write(&record)?;
        self.ask(&name, engine.change(&before, &record.wanted, &self.steps())).await?;
        record.made(told);
        self.write(&record)?;
        match then_run {
            Some(true) => self.start(record).await,
            Some(false) => self.stop(record).await,
            None => self.told(record, seen.phase == Phase::Running),
        }
    }

    /// What a plan would say of one machine now, and what its engine sees.
    async fn entry(
        &self,
        planned: &Entry,
        owner: &str,
    ) -> Result<(Entry, Option<Observed>), Error> {
        let name = planned.name.as_str();
        let mut declared = Declaration::default();
        if let Some(becomes) = &planned.becomes {
            if let (Some(name), Some(network)) = (&becomes.declared.network, &becomes.network) {
                declared.networks.insert(name.clone(), network.clone());
            }
            declared.machines.insert(name.into(), becomes.declared.clone());
        }
        let mut records = Listing::default();
        let engine = match self.manager.records().get(name)? {
            Some(record) => {
                let engine = record.wanted.declared.engine.clone();
                records.records.insert(name.into(), record);
                engine
            }
            None => planned.engine.clone(),
        };
        let mut observed = BTreeMap::new();
        let mut seen = None;
        if let Some(on) = self.manager.engines().get(&engine) {
            seen = self.manager.look_on(on.as_ref(), name, None).await?;
            observed.insert(engine, Ok(seen.iter().cloned().collect()));
        }
        let interrupted: Vec<_> = self
            .manager
            .operations()
            .interrupted()
            .into_iter()
            .filter(|o| o.machine == name)
            .collect();
        let input = Input {
            declared: &declared,
            owner,
            records: &records,
            observed: &observed,
            remarks: &BTreeMap::new(),
            systems: &BTreeMap::new(),
            interrupted: &interrupted,
            needs_restart: &plan::ask_engines(self.manager.engines()),
        };
        Ok((plan::plan_one(&input, name), seen))
    }
}

/// A record that wants something else, with the identity that it has.
fn becoming(mut record: Record, claim: Claim) -> Record {
    record.wanted.declared = claim.declared;
    record.wanted.network = claim.network;
    record.owner = claim.owner;
    record
}

impl Pending {
    /// Whether a machine can be destroyed before this is settled: what it would save is in the machine itself.
    pub(super) fn goes_with_it(&self) -> bool {
        !matches!(self, Pending::MoveTo { .. })
    }
}
