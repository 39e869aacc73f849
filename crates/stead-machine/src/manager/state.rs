//! Keeping, restoring, copying and moving states.

use super::{Work, keep, stamp};
use crate::engine::Engine;
use crate::model::{Ability, NewSnapshot, Phase, Snapshot};
use crate::records::{Claim, Pending, Record, Status, valid_name};
use crate::{EngineError, Error};
use std::sync::Arc;

impl Work {
    pub(super) async fn snapshot(&self, name: &str, asked: &NewSnapshot) -> Result<(), Error> {
        let snapshot = asked.name.as_str();
        let mut record = self.whole(name)?;
        let engine = self.engine(&record)?;
        able(name, "snapshots", &engine.abilities().snapshots)?;
        if self.runs(&record).await? {
            able(name, "snapshot of a machine that runs", &engine.abilities().live_snapshots)?;
        }
        if asked.memory {
            able(name, "snapshot with memory", &engine.abilities().memory_snapshots)?;
        }
        if !valid_name(snapshot) {
            let why = "letters, digits, _ and -, at most 63";
            return Err(Error::Name(format!("{snapshot:?} is no name for a snapshot: {why}")));
        }
        if self.kept(&record).await?.iter().any(|s| s.name == snapshot) {
            return Err(Error::refused(name, format!("there is a snapshot {snapshot} already")));
        }
        record.pending =
            Some(Pending::Snapshot { snapshot: snapshot.into(), operation: self.id() });
        self.write(&record)?;
        let steps = self.steps();
        let making = engine.snapshot(name, asked, &steps);
        if let Err(e) = self.ask(name, making).await {
            let steps = self.recorder.steps_to_the_end();
            if engine.remove_snapshot(name, snapshot, &steps).await.is_ok() {
                self.settled(record)?;
            }
            return Err(e);
        }
        let record = self.settled(record)?;
        self.retain(&record, snapshot).await;
        Ok(())
    }

    pub(super) async fn remove_snapshot(&self, name: &str, snapshot: &str) -> Result<(), Error> {
        let mut record = self.whole(name)?;
        self.kept_one(&record, snapshot).await?;
        record.pending =
            Some(Pending::RemoveSnapshot { snapshot: snapshot.into(), operation: self.id() });
        match self.write(&record) {
            // Removing is what makes room.
            Ok(()) | Err(Error::Io { full: true, .. }) => {}
            Err(e) => return Err(e),
        }
        self.finish_removal(record, snapshot).await
    }

    pub(super) async fn finish_removal(&self, record: Record, snapshot: &str) -> Result<(), Error> {
        let name = &record.wanted.name;
        let engine = self.engine(&record)?;
        self.ask(name, engine.remove_snapshot(name, snapshot, &self.steps())).await?;
        self.settled(record).map(drop)
    }

    pub(super) async fn restore(&self, name: &str, snapshot: &str) -> Result<(), Error> {
        let mut record = self.whole(name)?;
        let engine = self.engine(&record)?;
        able(name, "snapshots", &engine.abilities().snapshots)?;
        self.kept_one(&record, snapshot).await?;
        let kept = self.automatic(&record, "before-restore").await?;
        record.pending = Some(Pending::Restore {
            snapshot: snapshot.into(),
            kept,
            kept_whole: false,
            start: self.runs(&record).await?,
            operation: self.id(),
        });
        // What lies in it is another's state from here on, brought to nobody knows what.
        record.system = None;
        self.write(&record)?;
        self.finish_restore(record).await
    }

    /// Brings a restore to its end, from wherever it is.
    pub(super) async fn finish_restore(&self, record: Record) -> Result<(), Error> {
        let Some(Pending::Restore { snapshot, kept, start, operation, .. }) =
            record.pending.clone()
        else {
            return Ok(());
        };
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        let note = format!("before the restore of {snapshot}");
        let record = self.keep_first(record, &kept, &note).await?;
        if let Err(e) = self.ask(&name, engine.restore(&name, &snapshot, &self.steps())).await {
            if matches!(e, Error::Unknown { .. }) || snapshot == kept {
                return Err(e);
            }
            let mut record = record;
            // From here on, whoever finishes it puts the old state back.
            record.pending = Some(Pending::Restore {
                snapshot: kept.clone(),
                kept: kept.clone(),
                kept_whole: true,
                start,
                operation,
            });
            self.write(&record)?;
            let steps = self.recorder.steps_to_the_end();
            engine.restore(&name, &kept, &steps).await.map_err(|again| {
                let why = format!("{e}; its state from before is in snapshot {kept}, and could not be put back: {again}");
                Error::refused(&name, why)
            })?;
            let record = self.settled(record)?;
            if start {
                engine.start(&record.wanted, &steps).await.map_err(|e| Error::engine(&name, e))?;
            }
            return Err(e);
        }
        let record = self.settled(Record { system: None, ..record })?;
        if start {
            self.engine_start(&record).await?;
        }
        self.retain(&record, &kept).await;
        Ok(())
    }

    pub(super) async fn copy(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &str,
    ) -> Result<(), Error> {
        let record = self.whole(from)?;
        let engine = self.engine(&record)?;
        able(from, "clone", &engine.abilities().clone)?;
        match snapshot {
            Some(snapshot) => drop(self.kept_one(&record, snapshot).await?),
            None if self.runs(&record).await? => {
                able(from, "clone of a machine that runs", &engine.abilities().live_snapshots)?;
            }
            None => {}
        }
        let mut declared =
            record.applied.map_or(record.wanted.declared, |applied| applied.declared);
        declared.state = None;
        // A port of this host leads into one machine only.
        declared.ports = Vec::new();
        if let Some(desktop) = &mut declared.qemu.desktop {
            (desktop.vnc, desktop.rdp) = (None, None);
        }
        self.is_free(to, &declared.engine).await?;
        let claim = Claim { owner: None, declared, network: record.wanted.network };
        let pending = Pending::Clone { from: from.into(), operation: self.id() };
        let mut record = self.manager.records().claim_pending(to, claim, Some(pending))?;
        let steps = self.steps();
        let making = engine.clone_machine(from, snapshot, &record.wanted, &steps);
        if let Err(e) = self.ask(to, making).await {
            return match self.undo_clone(record).await {
                Ok(()) => Err(e),
                Err(left) => {
                    Err(Error::refused(to, format!("{e}; and what is left of it: {left}")))
                }
            };
        }
        record.made(false);
        self.settled(record).map(drop)
    }

    pub(super) async fn move_state(&self, from: &str, to: &str) -> Result<(), Error> {
        if from == to {
            return Err(Error::refused(to, "its state is in it already"));
        }
        let (mut source, mut target) = (self.whole(from)?, self.whole(to)?);
        let engine = self.engine(&target)?;
        able(to, "move", &engine.abilities().move_state)?;
        if source.wanted.declared.engine != target.wanted.declared.engine {
            let why =
                format!("{from} is on another engine; states go between machines of one engine");
            return Err(Error::refused(to, why));
        }
        for record in [&source, &target] {
            if self.runs(record).await? {
                let name = &record.wanted.name;
                return Err(Error::refused(name, format!("it runs; `stead down {name}` first")));
            }
        }
        let kept = self.automatic(&target, "before-move").await?;
        target.pending = Some(Pending::MoveFrom {
            from: from.into(),
            kept,
            kept_whole: false,
            operation: self.id(),
        });
        (target.system, source.system) = (None, None);
        // The target first: whoever finds only one of the two finds the one that says how far it is.
        self.write(&target)?;
        source.pending = Some(Pending::MoveTo { to: to.into(), operation: self.id() });
        self.write(&source)?;
        self.finish_move(target).await
    }

    /// Brings a move to its end, from wherever it is. Both machines are held.
    pub(super) async fn finish_move(&self, target: Record) -> Result<(), Error> {
        let Some(Pending::MoveFrom { from, kept, kept_whole, operation }) = target.pending.clone()
        else {
            return Ok(());
        };
        let to = target.wanted.name.clone();
        let engine = self.engine(&target)?;
        let Some(mut source) = self.manager.records().get(&from)? else {
            if !kept_whole {
                return self.settled(target).map(drop);
            }
            let why = format!(
                "{from} is gone before its state was moved; snapshot {kept} has what was here"
            );
            return Err(Error::refused(&to, why));
        };
        self.manager.look_at(&source).await?;
        let marked = |record: &Record| {
            record
                .pending
                .as_ref()
                .is_some_and(|p| matches!(p, Pending::MoveTo { .. }) && p.operation() == operation)
        };
        if !marked(&source) {
            source.pending = Some(Pending::MoveTo { to: to.clone(), operation: operation.clone() });
            self.write(&source)?;
        }
        // Somebody may have started one since it was cut short.
        let mut ran = Vec::new();
        for record in [&source, &target] {
            let seen = self.manager.look_at(record).await?;
            if seen.is_some_and(|seen| seen.phase == Phase::Running) {
                ran.push(record.wanted.name.clone());
            }
        }
        let note = format!("before the state of {from} came");
        let mut target = self.keep_first(target, &kept, &note).await?;
        if let Err(e) =
            self.ask(&to, engine.move_state(&from, &to, &operation, &self.steps())).await
        {
            let begun = !matches!(
                &e,
                Error::Engine {
                    source: EngineError::Cannot { .. }
                        | EngineError::NotFound(_)
                        | EngineError::NotNow(_),
                    ..
                }
            );
            if !begun {
                self.settled(source)?;
                self.settled(target)?;
            }
            return Err(e);
        }
        target.wanted.state.clone_from(&source.wanted.state);
        target.system = None;
        let target = self.settled(target)?;
        self.gave_its_state(source)?;
        for name in ran {
            self.engine_start(&self.record(&name)?).await?;
        }
        self.retain(&target, &kept).await;
        Ok(())
    }

    /// Stops a machine and keeps the state that is about to be replaced, whole, under this name. If it cannot, nothing is
    /// pending any more: what was said to have failed is not finished later.
    async fn keep_first(&self, record: Record, kept: &str, note: &str) -> Result<Record, Error> {
        let name = record.wanted.name.clone();
        match self.stop_and_keep(record, kept, note).await {
            Ok(record) => Ok(record),
            Err(e) => {
                if let Ok(record) = self.record(&name) {
                    self.nothing_replaced(record).await;
                }
                Err(e)
            }
        }
    }

    async fn stop_and_keep(
        &self,
        mut record: Record,
        kept: &str,
        note: &str,
    ) -> Result<Record, Error> {
        if let Some(Pending::MoveFrom { from, .. }) = &record.pending {
            self.bring_down(&self.record(from)?).await?;
        }
        self.bring_down(&record).await?;
        let Some(Pending::Restore { kept_whole, .. } | Pending::MoveFrom { kept_whole, .. }) =
            &mut record.pending
        else {
            return Ok(record);
        };
        if !std::mem::replace(kept_whole, true) {
            let name = record.wanted.name.clone();
            let engine = self.engine(&record)?;
            let steps = self.steps();
            // What a kill left of it is not whole; nothing was replaced yet.
            self.ask(&name, engine.remove_snapshot(&name, kept, &steps)).await?;
            let asked = NewSnapshot {
                name: kept.to_owned(),
                note: note.to_owned(),
                automatic: true,
                memory: false,
            };
            self.ask(&name, engine.snapshot(&name, &asked, &steps)).await?;
            self.write(&record)?;
        }
        Ok(record)
    }

    /// It failed before anything was replaced, so nothing is finished later that was said to have failed.
    async fn nothing_replaced(&self, mut record: Record) {
        let (kept, from, start, operation) = match record.pending.take() {
            Some(Pending::Restore { kept, kept_whole: false, start, operation, .. }) => {
                (kept, None, start, operation)
            }
            Some(Pending::MoveFrom { kept, kept_whole: false, from, operation }) => {
                (kept, Some(from), false, operation)
            }
            _ => return,
        };
        let name = record.wanted.name.clone();
        let Ok(engine) = self.engine(&record) else { return };
        if let Some(Ok(Some(source))) = from.map(|from| self.manager.records().get(&from))
            && self.settled(source).is_err()
        {
            return;
        }
        // What there is of the snapshot goes, now or with the next thing done to the machine.
        record.pending = Some(Pending::RemoveSnapshot { snapshot: kept.clone(), operation });
        if self.write(&record).is_err() {
            return;
        }
        let steps = self.recorder.steps_to_the_end();
        if engine.remove_snapshot(&name, &kept, &steps).await.is_ok() {
            let _ = self.settled(record.clone());
        }
        if start {
            let _ = engine.start(&record.wanted, &steps).await;
        }
    }

    /// Removes the snapshots that are not to be kept. That it cannot is no reason to call the snapshot failed.
    async fn retain(&self, record: &Record, made: &str) {
        let name = &record.wanted.name;
        let keep = record.wanted.declared.keep;
        let (Ok(engine), Ok(snapshots)) = (self.engine(record), self.kept(record).await) else {
            return;
        };
        for old in keep::too_many(&snapshots, keep, made, crate::time::now_ms()) {
            let steps = self.recorder.steps_to_the_end();
            match engine.remove_snapshot(name, &old, &steps).await {
                Ok(()) => self.steps().note(&format!("snapshot {old} removed: not to be kept")),
                Err(e) => self.steps().note(&format!("snapshot {old} could not be removed: {e}")),
            }
        }
    }

    /// A machine that was finished, and is not being destroyed.
    fn whole(&self, name: &str) -> Result<Record, Error> {
        let record = self.record(name)?;
        match record.status {
            Status::There => Ok(record),
            Status::Making => Err(Error::refused(
                name,
                "it was never finished; `stead up` or `stead apply` first",
            )),
            Status::Going => Err(Error::refused(name, "it is being destroyed")),
        }
    }

    /// Stops a machine, also one that a cut left half changed.
    async fn bring_down(&self, record: &Record) -> Result<(), Error> {
        match self.manager.look_at(record).await?.map(|seen| seen.phase) {
            Some(Phase::Stopped) => Ok(()),
            Some(_) => self.engine_stop(record).await,
            None => Err(Error::refused(&record.wanted.name, "its engine no longer has it")),
        }
    }

    async fn runs(&self, record: &Record) -> Result<bool, Error> {
        let name = &record.wanted.name;
        match self.manager.look_at(record).await?.map(|seen| seen.phase) {
            Some(Phase::Running) => Ok(true),
            Some(Phase::Stopped) => Ok(false),
            Some(Phase::Partial(why)) => {
                Err(Error::refused(name, format!("{why}; `stead up {name}` finishes it")))
            }
            Some(Phase::Unknown(why)) => Err(Error::Unknown { name: name.clone(), why }),
            None => Err(Error::refused(name, "its engine no longer has it")),
        }
    }

    async fn kept(&self, record: &Record) -> Result<Vec<Snapshot>, Error> {
        let name = &record.wanted.name;
        let engine: Arc<dyn Engine> = self.engine(record)?;
        self.manager.patiently(name, engine.snapshots(name)).await
    }

    async fn kept_one(&self, record: &Record, snapshot: &str) -> Result<Snapshot, Error> {
        let kept = self.kept(record).await?;
        let names: Vec<&str> = kept.iter().map(|s| s.name.as_str()).collect();
        let there = match &names[..] {
            [] => "it has none".into(),
            names => format!("there are: {}", names.join(", ")),
        };
        let why = format!("there is no snapshot {snapshot}; {there}");
        let found = kept.iter().find(|s| s.name == snapshot).cloned();
        found.ok_or_else(|| Error::refused(&record.wanted.name, why))
    }

    /// A free name for an automatic snapshot.
    async fn automatic(&self, record: &Record, why: &str) -> Result<String, Error> {
        let kept = self.kept(record).await?;
        let base = format!("{why}-{}", stamp::now());
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let free = std::iter::once(base.clone())
            .chain(numbered)
            .find(|name| kept.iter().all(|s| s.name != *name));
        Ok(free.unwrap_or(base))
    }

    fn id(&self) -> String {
        self.recorder.id().into()
    }
}

fn able(name: &str, what: &'static str, ability: &Ability) -> Result<(), Error> {
    match ability {
        Ability::Yes => Ok(()),
        Ability::No(why) => {
            Err(Error::engine(name, EngineError::Cannot { what, why: why.clone() }))
        }
    }
}
