//! Keeping states and putting them back.

use super::core::Core;
use super::layers::Store;
use crate::common::files;
use crate::common::snapshots::Asked;
use stead_machine::Steps;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, Snapshot};

impl Core {
    pub fn snapshot(&self, name: &str, asked: Asked<'_>, steps: &Steps) -> Result<Snapshot> {
        let claim = self.claim(name)?;
        let wanted = self.made(name)?.wanted;
        self.is_free(name, asked.name)?;
        let store = Store::lock(&self.place)?;
        let (parts, consistency, how) = if self.running(name)?.is_some() {
            self.freeze_live(&store, &wanted, steps, &claim)?
        } else {
            steps.step("freeze its topmost layer")?;
            let parts = self.freeze(&store, name, self.sizes(&wanted), &claim, steps)?;
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
        steps.step("put the kept layers in place")?;
        let state = store.over(kept.parts, self.sizes(&wanted))?;
        self.put(&store, &wanted, state, &claim)?;
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
