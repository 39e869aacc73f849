//! What is done to a machine while it runs.

use super::super::core::Core;
use super::super::disks::serial;
use super::super::layers::{Disks, Parts, Store, file};
use super::super::memory::Keeping;
use super::Running;
use super::vm::SPEC;
use crate::common::claim::Claim;
use crate::common::files::{self, failed};
use crate::common::state::Part;
use crate::common::store::Kind;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, Wanted};
use stead_machine::{EngineError, Steps};
use stead_vm::control::{self, Request};
use stead_vm::spec::ShareBy;

impl Core {
    /// Freezes the layers that a machine writes to while it runs.
    ///
    /// What is written down first is how it will be: should this be cut short before QEMU has put the new layers on, what
    /// they lie on goes on being written to, and both say the same, since there is nothing yet in what is new.
    ///
    /// With `memory`, a folder, what is in its memory at that instant is put there.
    pub fn freeze_live(
        &self,
        store: &Store<'_>,
        wanted: &Wanted,
        memory: Option<&Path>,
        steps: &Steps,
        _: &Claim,
    ) -> Result<(Parts, Consistency, String)> {
        let name = &wanted.name;
        let memory = memory.map(|folder| self.begin_memory(name, folder)).transpose()?;
        // A root in memory is in no layer.
        let parts: &[Part] =
            if wanted.declared.ephemeral { &[Part::Persist] } else { &[Part::Root] };
        steps.step("put empty layers on its disks")?;
        let raised = store.raise(name, self.sizes(wanted), |part, _| Ok(parts.contains(&part)))?;
        let (mut disks, mut files) = (Vec::new(), Vec::new());
        for (part, stack) in raised.after.stacks().filter(|(part, _)| parts.contains(part)) {
            let path = file(&self.place, &stack.top);
            for write in [true, false] {
                let open = File::options().read(true).write(write).open(&path);
                files.push(open.map_err(failed(path.display()))?);
            }
            disks.push(serial(part).to_owned());
        }
        steps.step(match memory {
            None => "have QEMU write to them",
            Some(_) => "have QEMU write to them, and its memory to a file",
        })?;
        let mut open: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        open.extend(memory.as_ref().map(|(keeping, _)| keeping.file.as_fd()));
        let request = Request::Snapshot { disks, memory: memory.is_some() };
        let answer = control::ask(&self.keeper(name)?, &request, &open)
            .map_err(|e| EngineError::Failed(format!("a snapshot while it runs: {e}")))?;
        for (part, stack) in raised.before.stacks() {
            if parts.contains(&part) {
                Disks::seal(&self.place, &stack.top)?;
            }
        }
        if let Some((keeping, Running { vm, shape })) = memory {
            steps.step("wait until its memory is on disk")?;
            keeping.done(vm, shape, raised.after.under())?;
            let how = "layer frozen and memory written while it stood still".to_owned();
            return Ok((raised.after.under(), Consistency::Memory, how));
        }
        let consistency = if answer.quiesced { Consistency::Quiesced } else { Consistency::Crash };
        Ok((raised.after.under(), consistency, "layer frozen while it ran".to_owned()))
    }
    /// Where a machine's memory is put, and what it is the memory of.
    fn begin_memory(&self, name: &str, folder: &Path) -> Result<(Keeping, Running)> {
        let path = self.run_folder(name)?.join(SPEC);
        let running: Running = files::read(&path)?.ok_or_else(|| {
            EngineError::NotNow(format!("{} was removed: restart it", path.display()))
        })?;
        if let Some(why) = kept_from(&running) {
            return Err(EngineError::NotNow(why));
        }
        Ok((Keeping::begin(folder)?, running))
    }
}

/// Why a machine's memory cannot be kept, if it cannot.
fn kept_from(running: &Running) -> Option<String> {
    let by_qemu = running.vm.shares.iter().any(|share| share.by == ShareBy::NineP);
    by_qemu.then(|| {
        "memory: its shares are served by QEMU (9p), which keeps it from being written: install virtiofsd and restart \
         the machine, or take the snapshot without memory"
            .to_owned()
    })
}
