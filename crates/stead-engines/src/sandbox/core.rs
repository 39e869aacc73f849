//! Making, changing and removing machines. All of it blocks.

use super::in_use::InUse;
use super::layers::{Folders, Image, State, Store};
use super::made::{disk_of, restart_keys};
use super::{Programs, disk, identity, image};
use crate::common::claim::Claim;
use crate::common::state::{Part, read_state};
use crate::common::{Ground, files, made, stopping};
use std::ops::Deref;
use std::path::PathBuf;
use stead_box::RUN_FILE;
use stead_box::enter;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};

/// The engine, without its trait.
pub struct Core {
    ground: Ground<Folders>,
    pub programs: Programs,
}

impl Deref for Core {
    type Target = Ground<Folders>;

    fn deref(&self) -> &Self::Target {
        &self.ground
    }
}

impl Core {
    pub fn new(data: &std::path::Path, runtime: &std::path::Path, programs: Programs) -> Self {
        Core { ground: Ground::new(data, runtime), programs }
    }

    pub fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&wanted.name)?;
        if self.is_made(&wanted.name)? {
            return Ok(());
        }
        self.fits(wanted)?;
        self.ensure_image(wanted, steps)?;
        let disk = self.ensure_disk(wanted, steps, &claim)?;
        steps.step("make its state")?;
        let store = Store::lock(&self.place)?;
        self.ensure_state(&store, wanted)?;
        drop(store);
        steps.step("write down what it was made from")?;
        self.write_made(wanted, false)?;
        if wanted.declared.running {
            disk.keep();
            return Ok(());
        }
        disk.end()
    }

    /// A state for a machine, made if it is not there, and written to where the machine's disk is.
    pub fn ensure_state(&self, store: &Store, wanted: &Wanted) -> Result<()> {
        let disk = disk_of(&wanted.name, &wanted.declared);
        match read_state::<Image>(&self.place, &wanted.name)? {
            Some(state) if state.root.base.image != wanted.declared.image => {
                Err(EngineError::NotNow(format!(
                    "its state is made on the image {}, not on {}: move the state elsewhere, or destroy it",
                    state.root.base.image, wanted.declared.image
                )))
            }
            Some(_) => Self::put_on(store, &wanted.name, disk),
            None => {
                let state = Self::fresh(store, &wanted.declared.image, disk)?;
                identity::seed(&self.place, &state.root.top, wanted)?;
                store.write(&wanted.name, &state)
            }
        }
    }

    /// An empty state over an image, its topmost layer on this machine's own file system or in the common folder.
    pub fn fresh(store: &Store, image: &str, disk: Option<&str>) -> Result<State> {
        let image = Image { image: image.to_owned() };
        Ok(State { root: store.fresh(image, Part::Root, disk)?, persist: None })
    }

    /// Has a state written to the file system that its machine has now. Nobody may be writing to it.
    fn put_on(store: &Store, name: &str, disk: Option<&str>) -> Result<()> {
        if store.state(name)?.root.top.disk.as_deref() == disk {
            return Ok(());
        }
        store.freeze(name, disk)?;
        let mut state = store.state(name)?;
        if state.root.top.disk.as_deref() != disk {
            state.root.top = store.layer(&state.root.under(), Part::Root, disk)?;
            store.write(name, &state)?;
        }
        Ok(())
    }

    pub fn ensure_image(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        if wanted.declared.image != "host" {
            steps.step("make its image")?;
            self.image(&wanted.declared.image, steps)?;
        }
        Ok(())
    }

    /// The disk of a machine as it is wanted; one that it does not want any more is mounted, since layers lie on it.
    pub fn ensure_disk<'a>(
        &'a self,
        wanted: &'a Wanted,
        steps: &Steps,
        claim: &'a Claim,
    ) -> Result<InUse<'a>> {
        let name = &wanted.name;
        let used = InUse::of(self, name, claim);
        let size = wanted.declared.disk.filter(|_| disk_of(name, &wanted.declared).is_some());
        match size {
            Some(size) if self.running(name)?.is_none() => {
                steps.step("mount its disk")?;
                disk::ensure(&self.place, name, size.bytes(), claim)?;
            }
            _ => disk::mount(&self.place, name, claim)?,
        }
        Ok(used)
    }

    pub fn image(&self, name: &str, steps: &Steps) -> Result<PathBuf> {
        image::ensure(&self.place.images(), name, &|text| steps.note(text))
            .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&after.name)?;
        let runs = self.running(&after.name)?.is_some();
        // One that has been told to end will, whatever is changed.
        let ends = stopping::was_begun(&self.run_folder(&after.name)?);
        let restart = runs && (ends || !restart_keys(before, after).is_empty());
        let run = self.run_folder(&after.name)?;
        if runs && !restart && !run.join(RUN_FILE).exists() {
            // There is nothing by which it could be told of a change.
            let gone = format!("its run folder {} was removed: restart it", run.display());
            return Err(EngineError::NotNow(gone));
        }
        if restart {
            self.stop_claimed(&after.name, steps, &claim)?;
        }
        self.ensure_image(after, steps)?;
        let disk = self.ensure_disk(after, steps, &claim)?;
        if restart || !runs {
            steps.step("see to its state")?;
            let store = Store::lock(&self.place)?;
            self.ensure_state(&store, after)?;
        }
        steps.step("write down what it was made from")?;
        let reseed = made::read(&self.place, &after.name)?.is_some_and(|made| made.reseed);
        self.write_made(after, reseed)?;
        if restart {
            self.start_claimed(after, steps, &claim)?;
        } else if runs {
            if made::rules_differ(before, after) {
                steps.step("change its network rules")?;
                self.put_rules(after)?;
            }
            if before.declared.env != after.declared.env {
                steps.step("change its environment")?;
                enter::set_environment(&self.run_folder(&after.name)?, &after.declared.env)
                    .map_err(|e| EngineError::Failed(e.to_string()))?;
            }
        }
        // Those who are its neighbours no more.
        self.tell_peers(before);
        disk.end()
    }

    pub fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        if self.anothers(name)?.is_some() {
            return Ok(());
        }
        let claim = self.claim(name)?;
        let made = made::read(&self.place, name)?;
        self.stop_claimed(name, steps, &claim)?;
        steps.step("remove its state and snapshots")?;
        disk::release(&self.place, name, &claim)?;
        let store = Store::lock(&self.place)?;
        self.forget_state(name)?;
        files::remove(&self.place.persist(name))?;
        disk::remove(&self.place, name)?;
        self.forget(name)?;
        store.collect()?;
        drop(store);
        if let Some(made) = made {
            self.tell_peers(&made.wanted);
        }
        Ok(())
    }
}
