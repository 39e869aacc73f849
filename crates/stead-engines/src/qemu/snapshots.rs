//! Keeping states and putting them back.

use super::core::Core;
use super::layers::Store;
use crate::common::claim::Claim;
use crate::common::files;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, NewSnapshot, Snapshot};
use stead_machine::{EngineError, Steps};

impl Core {
    pub fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        let claim = self.claim(name)?;
        self.snapshot_claimed(name, asked, steps, &claim)
    }

    /// Keeps a machine that somebody works on.
    pub fn snapshot_claimed(
        &self,
        name: &str,
        asked: &NewSnapshot,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<Snapshot> {
        let wanted = self.made(name)?.wanted;
        self.is_free(name, &asked.name)?;
        let folder = self.place.with_snapshot(name, &asked.name);
        let memory = asked.memory.then_some(folder.as_path());
        let store = Store::lock(&self.place)?;
        let (parts, consistency, how) = if self.running(name)?.is_some() {
            let frozen = self.freeze_live(&store, &wanted, memory, steps, claim);
            frozen.inspect_err(|_| drop(files::remove(&folder)))?
        } else if asked.memory {
            return Err(EngineError::NotNow(format!(
                "memory: \"{name}\" does not run, and has none: start it, or take the snapshot without memory"
            )));
        } else {
            steps.step("freeze its topmost layer")?;
            let parts = self.freeze(&store, name, self.sizes(&wanted), claim, steps)?;
            (parts, Consistency::Quiesced, "layer frozen".to_owned())
        };
        // Once it is told, it is there, even if the power fails.
        steps.step("wait until it is on disk")?;
        files::settle(&store.pool(None))?;
        steps.step("write the snapshot down")?;
        self.keep(name, asked, parts, consistency, how)
    }

    pub fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let claim = self.claim(name)?;
        self.stopped(name)?;
        let wanted = self.made(name)?.wanted;
        let store = Store::lock(&self.place)?;
        let kept = self.kept(name, snapshot)?;
        // Whatever it was to go on from does not fit what it gets.
        files::remove(&self.resume(name))?;
        steps.step("put the kept layers in place")?;
        let state = store.over(kept.parts, self.sizes(&wanted))?;
        self.put(&store, &wanted, state, &claim)?;
        if kept.snapshot.consistency == Consistency::Memory {
            steps.step("have it go on from its memory")?;
            self.resume_from(name, &self.place.with_snapshot(name, snapshot))?;
        }
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        Ok(())
    }

    pub fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let _claim = self.claim(name)?;
        let store = Store::lock(&self.place)?;
        steps.step("remove the snapshot")?;
        files::remove_file(&self.snapshot_path(name, snapshot))?;
        files::remove(&self.place.with_snapshot(name, snapshot))?;
        store.collect()?;
        Ok(())
    }
}
