//! Starting and stopping machines: what is not QEMU's.

use super::core::Core;
use crate::common::claim::Claim;
use crate::common::{Standing, files, made};
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};

impl Core {
    pub fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&wanted.name)?;
        self.start_claimed(wanted, steps, &claim)
    }

    /// Starts a machine that somebody works on: looks at what it is to run on, and has [`Core::run`] do the rest.
    pub fn start_claimed(&self, wanted: &Wanted, steps: &Steps, claim: &Claim) -> Result<()> {
        let name = &wanted.name;
        match self.standing(name)? {
            Standing::Up => {
                // Whoever started it may have been cut short: what it went on from is for no other start.
                files::remove(&self.resume(name))?;
                return self.is_itself(name);
            }
            Standing::Ending => self.stop_claimed(name, steps, claim)?,
            Standing::Left => self.clear_sandbox(name)?,
            Standing::Down => {}
        }
        let made = self.made(name)?;
        self.fits(wanted)?;
        steps.step("look at its disks")?;
        let disks = self.disks(name)?;
        if let Err(e) = self.run(wanted, &disks, made.reseed, steps, claim) {
            // Stopped, with nothing left over; what went wrong first is what is told.
            let _ = self.clear_sandbox(name);
            return Err(e);
        }
        if made.reseed {
            self.write_made(&made.wanted, false)?;
        }
        self.tell_peers(wanted);
        Ok(())
    }

    /// Notes that a machine that runs is nobody else any more, should whoever started it not have come to do so: the next
    /// time, what is there is its own.
    pub fn is_itself(&self, name: &str) -> Result<()> {
        let made = self.made(name)?;
        if made.reseed && self.met(name)? { self.write_made(&made.wanted, false) } else { Ok(()) }
    }

    pub fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        if self.anothers(name)?.is_some() {
            return Ok(());
        }
        let claim = self.claim(name)?;
        self.stop_claimed(name, steps, &claim)
    }

    /// What a machine that runs takes up without being started again.
    pub fn change_running(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        if made::rules_differ(before, after) {
            steps.step("change its network rules")?;
            self.put_rules(after)?;
        }
        if before.declared.env != after.declared.env {
            steps.step("change its environment")?;
            self.put_environment(after)?;
        }
        Ok(())
    }

    /// Refuses to enter a machine that does not run.
    pub fn runs(&self, name: &str) -> Result<()> {
        self.made(name)?;
        match self.running(name)? {
            Some(_) => Ok(()),
            None => Err(EngineError::NotNow(format!("\"{name}\" does not run"))),
        }
    }
}
