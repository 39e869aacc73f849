//! Keeping states and putting them back.

use super::core::Core;
use super::in_use::InUse;
use super::layers::{Image, Store};
use super::made::disk_of;
use super::{copy, disk, identity};
use crate::common::claim::Claim;
use crate::common::state::{Part, Parts};
use crate::common::still::{self, Still};
use crate::common::{files, running};
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, NewSnapshot, Snapshot, Wanted};
use stead_machine::{EngineError, Steps};

impl Core {
    pub fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        let claim = self.claim(name)?;
        let wanted = self.made(name)?.wanted;
        self.is_free(name, &asked.name)?;
        let disk = self.ensure_disk(&wanted, steps, &claim)?;
        let store = Store::lock(&self.place)?;
        let (parts, consistency, how) = if wanted.declared.ephemeral {
            return Err(EngineError::Cannot {
                what: "snapshots",
                why: "what an ephemeral machine writes lies in memory only".into(),
            });
        } else if self.running(name)?.is_some() {
            let (parts, how) = self.copy_live(&store, &wanted, steps, &claim)?;
            (parts, Consistency::Crash, how)
        } else {
            steps.step("freeze its topmost layer")?;
            let parts = store.freeze(name, disk_of(name, &wanted.declared))?;
            (parts, Consistency::Quiesced, "layer frozen".to_owned())
        };
        // Once it is told, it is there, even if the power fails.
        steps.step("wait until it is on disk")?;
        files::settle(&store.pool(disk_of(name, &wanted.declared)))?;
        steps.step("write the snapshot down")?;
        let snapshot = self.keep(name, asked, parts, consistency, how)?;
        drop(store);
        disk.end()?;
        Ok(snapshot)
    }

    /// Copies the layer that a running machine writes to while its processes stand still.
    pub fn copy_live(
        &self,
        store: &Store,
        wanted: &Wanted,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<(Parts<Image>, String)> {
        let Some((run, running)) = running::find(&self.place, &wanted.name)? else {
            return Err(EngineError::NotNow("it has just stopped: ask again".into()));
        };
        if running.cgroups.is_empty() {
            return Err(EngineError::Cannot {
                what: "snapshots of a machine that runs",
                why: still::cannot("it was started without a control group"),
            });
        }
        let state = store.state(&wanted.name)?;
        let mut parts = state.under();
        steps.step("copy its topmost layer")?;
        let top = &state.root.top;
        let copy = store.layer(&parts.root, Part::Root, top.disk.as_deref())?;
        let from = self.place.layer(top).join("fs");
        let to = self.place.layer(&copy).join("fs");
        let still = Still::hold(&run, &running);
        let copied = still.and_then(|still| {
            let copied = self.copy(&from, &to, claim);
            still.end().and(copied)
        });
        copied.inspect_err(|_| store.discard(&copy))?;
        let how = format!("{} copied", copy::size(&to));
        steps.note(&how);
        parts.root.layers.insert(0, copy);
        Ok((parts, how))
    }

    pub fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let claim = self.claim(name)?;
        self.stopped(name)?;
        let wanted = self.made(name)?.wanted;
        let disk = self.ensure_disk(&wanted, steps, &claim)?;
        let store = Store::lock(&self.place)?;
        let kept = self.kept(name, snapshot)?;
        steps.step("put the kept layers in place")?;
        let state = store.over(kept.parts, disk_of(name, &wanted.declared))?;
        identity::seed(&self.place, &state.root.top, &wanted)?;
        store.write(name, &state)?;
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        drop(store);
        disk.end()
    }

    pub fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let claim = self.claim(name)?;
        let disk = InUse::of(self, name, &claim);
        disk::mount(&self.place, name, &claim)?;
        let store = Store::lock(&self.place)?;
        steps.step("remove the snapshot")?;
        files::remove_file(&self.snapshot_path(name, snapshot))?;
        store.collect()?;
        drop(store);
        disk.end()
    }
}
