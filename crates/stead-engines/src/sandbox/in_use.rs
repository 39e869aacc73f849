//! The disk of a machine while something is done with what lies on it.

use super::core::Core;
use super::disk;
use crate::common::claim::Claim;
use stead_machine::engine::Result;

/// A disk that is mounted for some work. It is unmounted when the work ends, also if it fails half way, unless the
/// machine runs.
#[must_use]
pub struct InUse<'a> {
    core: &'a Core,
    name: &'a str,
    claim: &'a Claim,
    ended: bool,
}

impl<'a> InUse<'a> {
    /// Of a disk that is about to be mounted.
    pub fn of(core: &'a Core, name: &'a str, claim: &'a Claim) -> Self {
        InUse { core, name, claim, ended: false }
    }

    /// The work is done.
    ///
    /// # Errors
    /// If it cannot be unmounted.
    pub fn end(mut self) -> Result<()> {
        self.release()
    }

    /// The work is done, and the machine runs, or is to be started next.
    pub fn keep(mut self) {
        self.ended = true;
    }

    fn release(&mut self) -> Result<()> {
        self.ended = true;
        // Whether it runs has to be known: what runs writes to it.
        if self.core.running(self.name)?.is_some() {
            return Ok(());
        }
        disk::release(&self.core.place, self.name, self.claim)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // What went wrong first is what is told.
            let _ = self.release();
        }
    }
}
