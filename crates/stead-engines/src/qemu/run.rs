//! A machine while it runs: QEMU in its sandbox, and the way in.

#![expect(clippy::unused_self, reason = "there is nothing yet that runs QEMU")]

use super::core::Core;
use super::disks::Disk;
use super::layers::{Parts, Store};
use crate::common::claim::Claim;
use stead_machine::engine::{Exec, Result};
use stead_machine::model::{Change, Consistency, Wanted};
use stead_machine::{EngineError, Steps};

/// Seconds that what is inside has to end.
const GRACE: u32 = 5;

impl Core {
    /// Starts QEMU on these disks. `reseed`: what is inside came from another machine, and has its keys and sessions yet.
    pub fn run(&self, _: &Wanted, _: &[Disk], _: bool, _: &Steps, _: &Claim) -> Result<()> {
        Err(cannot("start"))
    }

    /// Stops a machine that somebody works on.
    pub fn stop_claimed(&self, name: &str, steps: &Steps, claim: &Claim) -> Result<()> {
        self.halt(&self.programs.sandbox, name, GRACE, steps, claim)
    }

    /// Freezes the layers that a machine writes to while it runs.
    pub fn freeze_live(
        &self,
        _: &Store<'_>,
        _: &Wanted,
        _: &Steps,
        _: &Claim,
    ) -> Result<(Parts, Consistency, String)> {
        Err(cannot("snapshots of a machine that runs"))
    }

    /// Tells a running machine its environment.
    pub fn put_environment(&self, _: &Wanted) -> Result<()> {
        Err(cannot("change its environment"))
    }

    /// The command that runs something inside.
    pub fn command(&self, _: &str, _: &Exec) -> Result<std::process::Command> {
        Err(cannot("exec"))
    }

    /// What a machine changed against its base.
    pub fn diff(&self, _: &str) -> Result<Vec<Change>> {
        Err(cannot("diff"))
    }
}

fn cannot(what: &'static str) -> EngineError {
    EngineError::Cannot { what, why: "there is nothing yet that runs QEMU".into() }
}
