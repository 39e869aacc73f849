//! Keeping states and putting them back.

use super::claim::Claim;
use super::core::Core;
use super::files::{self, Sync};
use super::in_use::InUse;
use super::made::disk_of;
use super::state::{Kept, Layer, Store, kept, layer_path};
use super::still::{self, Still};
use super::{copy, disk, identity, running};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, Snapshot, Wanted};
use stead_machine::{EngineError, Steps};

impl Core {
    pub fn snapshot(
        &self,
        name: &str,
        snapshot: &str,
        note: &str,
        automatic: bool,
        steps: &Steps,
    ) -> Result<Snapshot> {
        let claim = self.claim(name)?;
        let wanted = self.made(name)?.wanted;
        let path = self.snapshot_path(name, snapshot);
        if path.exists() {
            return Err(EngineError::NotNow(format!(
                "\"{name}\" has a snapshot \"{snapshot}\" already: choose another name"
            )));
        }
        let disk = self.ensure_disk(&wanted, steps, &claim)?;
        let store = Store::lock(&self.place)?;
        let (layers, consistency, how) = if wanted.declared.ephemeral {
            return Err(EngineError::Cannot {
                what: "snapshots",
                why: "what an ephemeral machine writes lies in memory only".into(),
            });
        } else if self.running(name)?.is_some() {
            let (layers, how) = self.copy_live(&store, &wanted, steps, &claim)?;
            (layers, Consistency::Crash, how)
        } else {
            steps.step("freeze its topmost layer")?;
            let layers = store.freeze(name, disk_of(name, &wanted.declared))?;
            (layers, Consistency::Quiesced, "layer frozen".to_owned())
        };
        let image = store.state(name)?.image;
        let snapshot = Snapshot {
            name: snapshot.to_owned(),
            // Two within one instant, or with the clock set back meanwhile, keep their order.
            at: self.all_kept(name)?.last().map_or(0, |last| last.at + 1).max(now()),
            note: note.to_owned(),
            consistency,
            automatic,
            how,
        };
        // Once it is told, it is there, even if the power fails.
        steps.step("wait until it is on disk")?;
        files::settle(&store.pool(disk_of(name, &wanted.declared)))?;
        steps.step("write the snapshot down")?;
        files::write(&path, &Kept { snapshot: snapshot.clone(), image, layers }, Sync::Now)?;
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
    ) -> Result<(Vec<Layer>, String)> {
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
        steps.step("copy its topmost layer")?;
        let copy = store.layer(state.top.disk.as_deref())?;
        let from = layer_path(&self.place, &state.top).join("fs");
        let to = layer_path(&self.place, &copy).join("fs");
        let still = Still::hold(&run, &running);
        let copied = still.and_then(|still| {
            let copied = self.copy(&from, &to, claim);
            still.end().and(copied)
        });
        copied.inspect_err(|_| store.discard(&copy))?;
        let how = format!("{} copied", copy::size(&to));
        steps.note(&how);
        let mut layers = vec![copy];
        layers.extend(state.frozen);
        Ok((layers, how))
    }

    pub fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let claim = self.claim(name)?;
        self.stopped(name)?;
        let wanted = self.made(name)?.wanted;
        let disk = self.ensure_disk(&wanted, steps, &claim)?;
        let store = Store::lock(&self.place)?;
        let kept = self.kept(name, snapshot)?;
        steps.step("put the kept layers in place")?;
        let state = store.over(&kept.image, kept.layers, disk_of(name, &wanted.declared))?;
        identity::seed(&self.place, &state.top, &wanted)?;
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

    pub fn kept(&self, name: &str, snapshot: &str) -> Result<Kept> {
        files::read(&self.snapshot_path(name, snapshot))?
            .ok_or_else(|| EngineError::NotFound(format!("snapshot \"{snapshot}\" of \"{name}\"")))
    }

    pub fn all_kept(&self, name: &str) -> Result<Vec<Snapshot>> {
        Ok(kept(&self.place, name)?.into_iter().map(|kept| kept.snapshot).collect())
    }

    fn snapshot_path(&self, name: &str, snapshot: &str) -> PathBuf {
        self.place.snapshots(name).join(format!("{snapshot}.json"))
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
