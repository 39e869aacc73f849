//! Giving states to other machines.

use super::claim::Claim;
use super::core::Core;
use super::files::{self, Sync};
use super::identity;
use super::made::{self, disk_of};
use super::state::{Layer, Store, layer_path};
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
        let (image, mut layers) = match snapshot {
            Some(snapshot) => {
                let kept = self.kept(from, snapshot)?;
                (kept.image, kept.layers)
            }
            None if self.running(from)?.is_some() => {
                let (layers, _) = self.copy_live(&store, &source, steps, &from_claim)?;
                (store.state(from)?.image, layers)
            }
            None => {
                steps.step("freeze the topmost layer")?;
                let layers = store.freeze(from, disk_of(from, &source.declared))?;
                (store.state(from)?.image, layers)
            }
        };
        let disk = disk_of(&to.name, &to.declared);
        let copied = layers.iter().any(|layer| layer.disk.as_deref() != disk);
        if copied {
            steps.step("copy the layers to its disk")?;
            layers = self.copy_layers(&store, &layers, disk, &to_claim)?;
        }
        steps.step("give it an identity of its own")?;
        let state = store.over(&image, layers, disk)?;
        identity::seed(&self.place, &state.top, to)?;
        let keys = identity::strip(&self.place, &state.top, &state.frozen, self.root)?;
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
        if target.moved.as_deref() != Some(token) {
            self.take_state(&store, &source.wanted, &target.wanted, steps, &to_claim)?;
            let arrived = made::Made { moved: Some(token.to_owned()), ..target.clone() };
            files::write(&self.place.made(to), &arrived, Sync::Now)?;
        }
        if source.gave.as_deref() != Some(token) {
            steps.step("leave an empty state behind")?;
            let disk = disk_of(from, &source.wanted.declared);
            let empty = store.fresh(&source.wanted.declared.image, disk)?;
            identity::seed(&self.place, &empty.top, &source.wanted)?;
            store.write(from, &empty)?;
            let left = made::Made { gave: Some(token.to_owned()), ..source.clone() };
            files::write(&self.place.made(from), &left, Sync::Now)?;
        }
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
        let mut layers = store.freeze(&source.name, from_disk)?;
        if layers.iter().any(|layer| layer.disk.as_deref() != to_disk) {
            steps.step("copy the layers to the other disk")?;
            layers = self.copy_layers(store, &layers, to_disk, claim)?;
        }
        steps.step("put it into the other machine")?;
        let moved = store.over(&source.declared.image, layers, to_disk)?;
        identity::seed(&self.place, &moved.top, target)?;
        store.write(&target.name, &moved)
    }

    /// Takes two machines, in order of their names, as everybody does.
    fn claim_two(&self, one: &str, other: &str) -> Result<(Claim, Claim)> {
        if one < other {
            let first = self.claim(one)?;
            Ok((first, self.claim(other)?))
        } else {
            let second = self.claim(other)?;
            Ok((self.claim(one)?, second))
        }
    }

    /// Copies layers. They are on disk then: what they were made from may be removed next.
    fn copy_layers(
        &self,
        store: &Store,
        layers: &[Layer],
        disk: Option<&str>,
        claim: &Claim,
    ) -> Result<Vec<Layer>> {
        let mut made = Vec::new();
        let fs = |layer: &Layer| layer_path(&self.place, layer).join("fs");
        let copied = layers.iter().try_for_each(|layer| {
            let copy = store.layer(disk)?;
            made.push(copy.clone());
            self.copy(&fs(layer), &fs(&copy), claim)
        });
        copied
            .and_then(|()| files::settle(&store.pool(disk)))
            .inspect_err(|_| made.iter().for_each(|copy| store.discard(copy)))?;
        Ok(made)
    }
}
