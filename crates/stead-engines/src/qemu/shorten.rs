//! Stacks that have become deep are made shorter: QEMU opens every file of a stack.

use super::core::Core;
use super::layers::{Disks, Parts, Sizes, Stack, Store, backing, file, layer_size, verify};
use crate::common::bounded::Run;
use crate::common::claim::Claim;
use crate::common::files;
use crate::common::state::{Frozen, Layer, Part};
use crate::common::store::Kind;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use stead_file::declared::Format;
use stead_machine::engine::Result;
use stead_machine::{EngineError, Steps};

/// More frozen layers than this are too many.
pub const DEEP: usize = 64;

impl Core {
    /// Freezes what was written to, and makes one layer of several where there are too many. That this fails is told and
    /// borne: it is tried again the next time.
    ///
    /// # Errors
    /// As [`Store::freeze`].
    pub fn freeze(
        &self,
        store: &Store<'_>,
        name: &str,
        sizes: Sizes,
        claim: &Claim,
        steps: &Steps,
    ) -> Result<Parts> {
        store.freeze(name, sizes)?;
        let mut state = store.state(name)?;
        let mut shorter = false;
        for (part, stack) in state.stacks_mut() {
            if stack.frozen.len() <= DEEP {
                continue;
            }
            steps.step("make one layer of several")?;
            match self.shortened(store, part, stack, claim) {
                Ok(short) => {
                    *stack = short;
                    shorter = true;
                }
                Err(e) => {
                    steps.note(&format!("{e}; it goes on with {} layers", stack.frozen.len()));
                }
            }
        }
        if shorter {
            store.write(name, &state)?;
        }
        Ok(state.under())
    }

    /// The same stack with fewer layers. Its topmost is empty. Nothing that is there is written to.
    fn shortened(
        &self,
        store: &Store<'_>,
        part: Part,
        stack: &Stack,
        claim: &Claim,
    ) -> Result<Stack> {
        verify(&self.place, stack)?;
        let bytes =
            |layer: &Layer| file(&self.place, layer).metadata().map_or(0, |meta| meta.blocks());
        let count = cheapest(&stack.frozen.iter().map(bytes).collect::<Vec<_>>());
        let rest = Frozen { base: stack.base.clone(), layers: stack.frozen[count..].to_vec() };
        let merged = store.layer(&stack.under(), part, Sizes::default())?;
        let put =
            self.put_on(&merged, &rest, claim).and_then(|()| Disks::seal(&self.place, &merged));
        put.inspect_err(|_| store.discard(&merged))?;
        let mut under = rest;
        under.layers.insert(0, merged);
        let mut sizes = Sizes::default();
        let size = layer_size(&self.place, &stack.top)?;
        match part {
            Part::Root => sizes.root = size,
            Part::Persist => sizes.persist = size,
        }
        store.on(under, part, sizes)
    }

    /// Has a layer hold itself what it saw through those between it and these.
    fn put_on(&self, layer: &Layer, rest: &Frozen<super::base::Base>, claim: &Claim) -> Result<()> {
        let path = file(&self.place, layer);
        let (backing, format) = backing(&self.place, rest);
        let mut command = Command::new("qemu-img");
        command.args(["rebase", "-q", "-f", Format::Qcow2.name(), "-F", format.name(), "-b"]);
        command.arg(&backing).arg(&path).env("LC_ALL", "C");
        let run = Run {
            what: "make one layer of several",
            claim: Some(claim),
            input: None,
            limit: None,
            // It belongs to nothing yet.
            killable: true,
            package: Some("qemu-utils"),
        };
        let output = run.output(&mut command)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("qemu-img failed");
            return Err(EngineError::Failed(format!("make one layer of several: {said}")));
        }
        std::fs::File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(files::failed(path.display()))
    }
}

/// How many of these layers, from the top, to make one of: those that cost the least for each that is saved. What has been
/// made so before is large, and left alone until the others have grown as large.
fn cheapest(bytes: &[u64]) -> usize {
    let mut sum = 0_u64;
    let mut best = (u64::MAX, bytes.len());
    for (index, bytes) in bytes.iter().enumerate() {
        // A file of no blocks costs something all the same.
        sum = sum.saturating_add(*bytes).saturating_add(8);
        let saved = index as u64;
        if saved >= 1 && sum / saved <= best.0 {
            best = (sum / saved, index + 1);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_left_alone() {
        assert_eq!(cheapest(&[1000; 65]), 65);
        let mut layers = vec![1000; 64];
        layers.push(1_000_000);
        assert_eq!(cheapest(&layers), 64);
        assert_eq!(cheapest(&[1000, 1_000_000]), 2);
    }

    #[test]
    fn each_byte_is_copied_a_few_times_only_however_many_snapshots_there_are() {
        let (mut layers, mut copied) = (Vec::new(), 0);
        for _ in 0..10_000 {
            layers.insert(0, 1000_u64);
            if layers.len() > DEEP {
                let count = cheapest(&layers);
                let merged = layers.drain(..count).sum();
                copied += merged;
                layers.insert(0, merged);
            }
            assert!(layers.len() <= DEEP);
        }
        assert!(copied <= 4 * 10_000 * 1000, "{copied}");
    }
}
