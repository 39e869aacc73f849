//! Removing what belongs to no machine, and putting right what a killed program left.

use super::core::Core;
use super::disk;
use super::layers::Store;
use crate::common::claim::Claim;
use crate::common::state::machines;
use stead_machine::Steps;
use stead_machine::engine::Result;

impl Core {
    pub fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        steps.step("look for leftovers")?;
        self.end_orphans()?;
        let mut swept = Vec::new();
        for name in machines(&self.place)? {
            swept.extend(self.unmount_left(&name)?);
        }
        swept.extend(self.sweep_sandboxes()?);
        swept.extend(Store::lock(&self.place)?.collect()?);
        Ok(swept)
    }

    /// Unmounts the disk of a machine that does not run.
    fn unmount_left(&self, name: &str) -> Result<Option<String>> {
        if !disk::is_mounted(&self.place, name)? {
            return Ok(None);
        }
        let Some(claim) = Claim::attempt(&self.place, name)? else { return Ok(None) };
        if self.running(name)?.is_some() {
            return Ok(None);
        }
        disk::release(&self.place, name, &claim)?;
        Ok(Some(format!("the disk of \"{name}\" was still mounted")))
    }
}
