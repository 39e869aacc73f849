//! Giving states to other machines.

use super::core::Core;
use super::identity;
use super::layers::{Image, Store};
use super::made::disk_of;
use crate::common::claim::Claim;
use crate::common::state::{Frozen, Layer, Part};
use crate::common::{files, made};
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};

impl Core {
    pub fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()> {
        let (from_claim, to_claim) = self.claim_two(from, &to.name)?;
        let source = self.made(from)?.wanted;
        if source.declared.ephemeral && snapshot.is_none() {
            return Err(EngineError::Cannot {
                what: "clone",
                why: "what an ephemeral machine writes lies in memory only".into(),
            });
        }
        if made::read(&self.place, &to.name)?.is_some() {
            return Ok(());
        }
        self.fits(to)?;
        let from_disk = self.ensure_disk(&source, steps, &from_claim)?;
        let to_disk = self.ensure_disk(to, steps, &to_claim)?;
        let store = Store::lock(&self.place)?;
        let mut parts = match snapshot {
            Some(snapshot) => self.kept(from, snapshot)?.parts,
            None if self.running(from)?.is_some() => {
                self.copy_live(&store, &source, steps, &from_claim)?.0
            }
            None => {
                steps.step("freeze the topmost layer")?;
                store.freeze(from, disk_of(from, &source.declared))?
            }
        };
        let disk = disk_of(&to.name, &to.declared);
        let copied = lies_elsewhere(&parts.root, disk);
        if copied {
            steps.step("copy the layers to its disk")?;
            parts.root.layers = self.copy_layers(&store, &parts.root, disk, &to_claim)?;
        }
        steps.step("give it an identity of its own")?;
        let state = store.over(parts, disk)?;
        identity::seed(&self.place, &state.root.top, to)?;
        let keys = identity::strip(&self.place, &state.root.top, &state.root.frozen, self.root)?;
        store.write(&to.name, &state)?;
        steps.step("write down what it was made from")?;
        self.write_made(to, keys)?;
        if copied {
            // The copy that was copied.
            store.collect()?;
        }
        drop(store);
        from_disk.end().and(to_disk.end())
    }

    pub fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        let (from_claim, to_claim) = self.claim_two(from, to)?;
        self.stopped(from)?;
        self.stopped(to)?;
        let (source, target) = (self.made(from)?, self.made(to)?);
        for wanted in [&source.wanted, &target.wanted] {
            if wanted.declared.ephemeral {
                return Err(EngineError::Cannot {
                    what: "move",
                    why: format!("\"{}\" is ephemeral and has no state that lasts", wanted.name),
                });
            }
        }
        let (source_image, target_image) =
            (&source.wanted.declared.image, &target.wanted.declared.image);
        if source_image != target_image {
            return Err(EngineError::NotNow(format!(
                "\"{from}\" is made on {source_image}, \"{to}\" on {target_image}: a state keeps its image"
            )));
        }
        let from_disk = self.ensure_disk(&source.wanted, steps, &from_claim)?;
        let to_disk = self.ensure_disk(&target.wanted, steps, &to_claim)?;
        let store = Store::lock(&self.place)?;
        let take = || self.take_state(&store, &source.wanted, &target.wanted, steps, &to_claim);
        self.hand_over(&source, &target, token, take, || {
            steps.step("leave an empty state behind")?;
            let disk = disk_of(from, &source.wanted.declared);
            let empty = Self::fresh(&store, &source.wanted.declared.image, disk)?;
            identity::seed(&self.place, &empty.root.top, &source.wanted)?;
            store.write(from, &empty)
        })?;
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        drop(store);
        from_disk.end().and(to_disk.end())
    }

    /// Puts the state of one machine into another. Asked again, it does the same again: the first still has it.
    fn take_state(
        &self,
        store: &Store,
        source: &Wanted,
        target: &Wanted,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<()> {
        steps.step("freeze the state")?;
        let from_disk = disk_of(&source.name, &source.declared);
        let to_disk = disk_of(&target.name, &target.declared);
        let mut parts = store.freeze(&source.name, from_disk)?;
        if lies_elsewhere(&parts.root, to_disk) {
            steps.step("copy the layers to the other disk")?;
            parts.root.layers = self.copy_layers(store, &parts.root, to_disk, claim)?;
        }
        steps.step("put it into the other machine")?;
        let moved = store.over(parts, to_disk)?;
        identity::seed(&self.place, &moved.root.top, target)?;
        store.write(&target.name, &moved)
    }

    /// Copies layers. They are on disk then: what they were made from may be removed next.
    fn copy_layers(
        &self,
        store: &Store,
        from: &Frozen<Image>,
        disk: Option<&str>,
        claim: &Claim,
    ) -> Result<Vec<Layer>> {
        let mut made = Vec::new();
        let fs = |layer: &Layer| self.place.layer(layer).join("fs");
        let copied = from.layers.iter().try_for_each(|layer| {
            let copy = store.layer(from, Part::Root, disk)?;
            made.push(copy.clone());
            self.copy(&fs(layer), &fs(&copy), claim)
        });
        copied
            .and_then(|()| files::settle(&store.pool(disk)))
            .inspect_err(|_| made.iter().for_each(|copy| store.discard(copy)))?;
        Ok(made)
    }
}

/// Whether not all of these layers lie on this machine's own file system, or in the common folder.
fn lies_elsewhere(layers: &Frozen<Image>, disk: Option<&str>) -> bool {
    layers.layers.iter().any(|layer| layer.disk.as_deref() != disk)
}
