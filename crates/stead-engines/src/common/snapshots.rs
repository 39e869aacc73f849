//! Snapshots as they are written down.

use super::files::{self, Sync};
use super::ground::Ground;
use super::state::{Kept, Parts, kept};
use super::store::Kind;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use stead_machine::EngineError;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, NewSnapshot, Snapshot};

impl<K: Kind> Ground<K> {
    /// Refuses a name that another snapshot has.
    ///
    /// # Errors
    /// That it has.
    pub fn is_free(&self, machine: &str, snapshot: &str) -> Result<()> {
        if self.snapshot_path(machine, snapshot).exists() {
            return Err(EngineError::NotNow(format!(
                "\"{machine}\" has a snapshot \"{snapshot}\" already: choose another name"
            )));
        }
        Ok(())
    }

    /// Writes a snapshot down: from now on it is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(
        &self,
        machine: &str,
        asked: &NewSnapshot,
        parts: Parts<K::Base>,
        consistency: Consistency,
        how: String,
    ) -> Result<Snapshot> {
        let snapshot = Snapshot {
            name: asked.name.clone(),
            // Two within one instant, or with the clock set back meanwhile, keep their order.
            at: self.all_kept(machine)?.last().map_or(0, |last| last.at + 1).max(now()),
            note: asked.note.clone(),
            consistency,
            automatic: asked.automatic,
            how,
        };
        let path = self.snapshot_path(machine, &asked.name);
        files::write(&path, &Kept { snapshot: snapshot.clone(), parts }, Sync::Now)?;
        Ok(snapshot)
    }

    /// A snapshot.
    ///
    /// # Errors
    /// If there is none of this name, or it cannot be read.
    pub fn kept(&self, machine: &str, snapshot: &str) -> Result<Kept<K::Base>> {
        files::read(&self.snapshot_path(machine, snapshot))?.ok_or_else(|| {
            EngineError::NotFound(format!("snapshot \"{snapshot}\" of \"{machine}\""))
        })
    }

    /// What people see of all snapshots of a machine, oldest first.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn all_kept(&self, machine: &str) -> Result<Vec<Snapshot>> {
        let all = kept::<K::Base>(&self.place, machine)?;
        Ok(all.into_iter().map(|kept| kept.snapshot).collect())
    }

    /// The file that says that a snapshot is there.
    pub fn snapshot_path(&self, machine: &str, snapshot: &str) -> PathBuf {
        self.place.snapshots(machine).join(format!("{snapshot}.json"))
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
