//! Removing what belongs to no machine.

use super::core::Core;
use super::layers::Store;
use crate::common::claim::Claim;
use crate::common::files;
use crate::common::state::{HIDDEN, machines_and_hidden};
use stead_machine::Steps;
use stead_machine::engine::Result;

impl Core {
    pub fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        steps.step("look for leftovers")?;
        self.end_orphans()?;
        let mut swept = self.sweep_sandboxes()?;
        for name in machines_and_hidden(&self.place)? {
            // Whoever works on it may be keeping its memory right now.
            if let Some(claim) = Claim::attempt(&self.place, &name)? {
                swept.extend(self.sweep_snapshots(&name)?);
                swept.extend(self.sweep_resume(&name)?);
                if name.starts_with(HIDDEN) {
                    swept.extend(self.sweep_template(&name, &claim)?);
                }
            }
        }
        swept.extend(Store::lock(&self.place)?.collect()?);
        Ok(swept)
    }

    /// Removes what a machine that runs went on from, should whoever started it not have come to that. It is for no other start.
    fn sweep_resume(&self, name: &str) -> Result<Option<String>> {
        let resume = self.resume(name);
        if !resume.exists() || self.running(name)?.is_none() {
            return Ok(None);
        }
        files::remove(&resume)?;
        Ok(Some(format!("the memory that \"{name}\" went on from")))
    }

    /// Removes what belongs to snapshots of a machine that were not finished, or are half gone.
    fn sweep_snapshots(&self, name: &str) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        let folder = self.place.snapshots(name);
        for entry in files::names(&folder)? {
            let path = folder.join(&entry);
            if path.is_dir() && !self.snapshot_path(name, &entry).exists() {
                files::remove(&path)?;
                swept.push(format!("the memory of the snapshot {entry} of \"{name}\""));
            }
        }
        Ok(swept)
    }
}
