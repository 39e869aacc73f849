//! What is done to a machine while it runs.

use super::super::core::Core;
use super::super::disks::serial;
use super::super::layers::{Disks, Parts, Store, file};
use crate::common::claim::Claim;
use crate::common::files::failed;
use crate::common::state::Part;
use crate::common::store::Kind;
use std::fs::File;
use std::os::fd::AsFd;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, Wanted};
use stead_machine::{EngineError, Steps};
use stead_vm::control::{self, Request};

impl Core {
    /// Freezes the layers that a machine writes to while it runs.
    ///
    /// What is written down first is how it will be: should this be cut short before QEMU has put the new layers on, what
    /// they lie on goes on being written to, and both say the same, since there is nothing yet in what is new.
    pub fn freeze_live(
        &self,
        store: &Store<'_>,
        wanted: &Wanted,
        steps: &Steps,
        _: &Claim,
    ) -> Result<(Parts, Consistency, String)> {
        let name = &wanted.name;
        // A root in memory is in no layer.
        let parts: &[Part] =
            if wanted.declared.ephemeral { &[Part::Persist] } else { &[Part::Root] };
        steps.step("put empty layers on its disks")?;
        let raised = store.raise(name, self.sizes(wanted), |part, _| Ok(parts.contains(&part)))?;
        let (mut disks, mut files) = (Vec::new(), Vec::new());
        for (part, stack) in raised.after.stacks().filter(|(part, _)| parts.contains(part)) {
            let path = file(&self.place, &stack.top);
            let open = File::options().read(true).write(true).open(&path);
            files.push(open.map_err(failed(path.display()))?);
            disks.push(serial(part).to_owned());
        }
        steps.step("have QEMU write to them")?;
        let open: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let request = Request::Snapshot { disks, memory: false };
        let answer = control::ask(&self.keeper(name)?, &request, &open)
            .map_err(|e| EngineError::Failed(format!("a snapshot while it runs: {e}")))?;
        for (part, stack) in raised.before.stacks() {
            if parts.contains(&part) {
                Disks::seal(&self.place, &stack.top)?;
            }
        }
        let consistency = if answer.quiesced { Consistency::Quiesced } else { Consistency::Crash };
        Ok((raised.after.under(), consistency, "layer frozen while it ran".to_owned()))
    }
}
