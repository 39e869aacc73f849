//! Making, changing and removing machines. All of it blocks.

use super::base::Base;
use super::images::Images;
use super::layers::{Disks, Sizes, Stack, State, Store, layer_size};
use super::{Programs, persist};
use crate::common::claim::Claim;
use crate::common::files;
use crate::common::state::{Frozen, Part, read_state};
use crate::common::{Ground, made, stopping};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use stead_box::RUN_FILE;
use stead_file::size::Size;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps, vm};

/// The engine, without its trait.
pub struct Core {
    ground: Ground<Disks>,
    pub programs: Programs,
    pub images: Arc<dyn Images>,
}

impl Deref for Core {
    type Target = Ground<Disks>;

    fn deref(&self) -> &Self::Target {
        &self.ground
    }
}

impl Core {
    pub fn new(data: &Path, runtime: &Path, programs: Programs, images: Arc<dyn Images>) -> Self {
        Core { ground: Ground::new(data, runtime), programs, images }
    }

    /// What it has in common with other engines.
    pub fn ground(&self) -> &Ground<Disks> {
        &self.ground
    }

    pub fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&wanted.name)?;
        if self.is_made(&wanted.name)? {
            return Ok(());
        }
        self.fits(wanted)?;
        let base = self.base(wanted, steps)?;
        let template = match &base {
            Some(base) => self.template(wanted, base, steps)?,
            None => None,
        };
        steps.step("make its state")?;
        if let Some(template) = &template {
            self.resume_from_template(&wanted.name, template)?;
        }
        let store = Store::lock(&self.place)?;
        let under = template.as_ref().map(|template| template.parts.root.clone());
        let under = under.or(base.map(|base| Frozen { base, layers: Vec::new() }));
        self.ensure_state(&store, wanted, under, &claim)?;
        // Layers that are there already are another machine's: its identity is in them.
        let reseed = !store.state(&wanted.name)?.root.frozen.is_empty();
        drop(store);
        steps.step("write down what it was made from")?;
        self.write_made(wanted, reseed)
    }

    /// How large a machine's disks are to be. A root that lies in memory has no layers that are written to.
    pub fn sizes(&self, wanted: &Wanted) -> Sizes {
        let declared = &wanted.declared;
        let disk = declared.disk.map_or_else(|| self.images.root_size(wanted), Size::bytes);
        Sizes {
            root: if declared.ephemeral { 0 } else { disk.next_multiple_of(1 << 16) },
            persist: if declared.ephemeral { self.images.persist_size(wanted) } else { 0 },
        }
    }

    /// What a machine's root is made on, if its state is not there yet: made first where it can be.
    pub fn base(&self, wanted: &Wanted, steps: &Steps) -> Result<Option<Base>> {
        if read_state::<Base>(&self.place, &wanted.name)?.is_some() {
            return Ok(None);
        }
        self.base_of(wanted, steps).map(Some)
    }

    /// What a machine's root is made on.
    pub fn base_of(&self, wanted: &Wanted, steps: &Steps) -> Result<Base> {
        let image = &wanted.declared.image;
        let guest = self.guest(wanted);
        if Path::new(image).is_absolute() {
            return Base::of(&self.place, image, &guest, Path::new(image))
                .map_err(|why| EngineError::NotNow(format!("image: {why}")));
        }
        steps.step("make its image")?;
        let file = self.images.ensure(wanted, steps)?;
        Base::of(&self.place, image, &guest, &file).map_err(EngineError::Failed)
    }

    /// Which guest a machine has; a person's own image is what it is.
    pub fn guest(&self, wanted: &Wanted) -> String {
        if Path::new(&wanted.declared.image).is_absolute() {
            return String::new();
        }
        self.images.guest(wanted)
    }

    /// Why a machine cannot have this state, if it cannot.
    pub fn mismatch(&self, state: &State, wanted: &Wanted) -> Option<String> {
        let (base, declared) = (&state.root.base, &wanted.declared);
        let what = |image: &str, guest: &str| {
            if guest.is_empty() { image.to_owned() } else { format!("{image} ({guest})") }
        };
        let guest = self.guest(wanted);
        (base.image != declared.image || base.guest != guest).then(|| {
            format!(
                "its state is made on {}, not on {}: move the state elsewhere, or destroy it first",
                what(&base.image, &base.guest),
                what(&declared.image, &guest)
            )
        })
    }

    /// A state for a machine, made on this if it is not there, and as large as it is to be.
    pub fn ensure_state(
        &self,
        store: &Store<'_>,
        wanted: &Wanted,
        under: Option<Frozen<Base>>,
        claim: &Claim,
    ) -> Result<()> {
        let sizes = self.sizes(wanted);
        let found = read_state::<Base>(&self.place, &wanted.name)?;
        let before = found.clone();
        let mut state = match (found, under) {
            (Some(state), _) => {
                if let Some(why) = self.mismatch(&state, wanted) {
                    return Err(EngineError::NotNow(why));
                }
                state
            }
            (None, Some(under)) => {
                State { root: store.on(under, Part::Root, sizes)?, persist: None }
            }
            (None, None) => {
                return Err(EngineError::NotNow("its state has just gone: ask again".into()));
            }
        };
        if wanted.declared.ephemeral && state.persist.is_none() {
            state.persist = Some(self.fresh_persist(store, sizes, claim)?);
        }
        if before.as_ref() != Some(&state) {
            store.write(&wanted.name, &state)?;
        }
        self.grow(store, &wanted.name, sizes)
    }

    /// An empty disk for what survives.
    pub fn fresh_persist(&self, store: &Store<'_>, sizes: Sizes, claim: &Claim) -> Result<Stack> {
        let base = persist::base(&self.place, sizes.persist, claim)?;
        store.fresh(base, Part::Persist, sizes)
    }

    /// Puts larger layers on those that are too small. Nobody may be writing to them.
    fn grow(&self, store: &Store<'_>, name: &str, sizes: Sizes) -> Result<()> {
        let small = |part: Part, stack: &Stack| -> Result<bool> {
            Ok(layer_size(&self.place, &stack.top)? < sizes.of(part))
        };
        let mut any = false;
        for (part, stack) in store.state(name)?.stacks() {
            any |= small(part, stack)?;
        }
        if !any {
            return Ok(());
        }
        store.freeze(name, sizes)?;
        // What nothing was written to was not frozen, and is as small as it was.
        let mut state = store.state(name)?;
        let mut changed = false;
        for (part, stack) in state.stacks_mut() {
            if small(part, stack)? {
                *stack = store.on(stack.under(), part, sizes)?;
                changed = true;
            }
        }
        if changed {
            store.write(name, &state)?;
            store.collect()?;
        }
        Ok(())
    }

    pub fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&after.name)?;
        let runs = self.running(&after.name)?.is_some();
        let run = self.run_folder(&after.name)?;
        // One that has been told to end will, whatever is changed.
        let ends = stopping::was_begun(&run);
        let keys = vm::restart_keys(&before.declared, &after.declared);
        let restart = runs && (ends || !keys.is_empty());
        if runs && !restart && !run.join(RUN_FILE).exists() {
            // There is nothing by which it could be told of a change.
            let gone = format!("its run folder {} was removed: restart it", run.display());
            return Err(EngineError::NotNow(gone));
        }
        if let Some(why) = self.shrinks(after)? {
            return Err(EngineError::NotNow(why));
        }
        if restart {
            self.stop_claimed(&after.name, steps, &claim)?;
        }
        if restart || !runs {
            let base = self.base(after, steps)?;
            steps.step("see to its state")?;
            let store = Store::lock(&self.place)?;
            let under = base.map(|base| Frozen { base, layers: Vec::new() });
            self.ensure_state(&store, after, under, &claim)?;
        }
        steps.step("write down what it was made from")?;
        let reseed = made::read(&self.place, &after.name)?.is_some_and(|made| made.reseed);
        self.write_made(after, reseed)?;
        if restart {
            self.start_claimed(after, steps, &claim)?;
        } else if runs {
            self.change_running(before, after, steps)?;
        }
        // Those who are its neighbours no more.
        self.tell_peers(before);
        Ok(())
    }

    /// Why a machine cannot have disks of these sizes, if they would have to shrink since it was made.
    pub fn shrinks(&self, after: &Wanted) -> Result<Option<String>> {
        let Some(made) = made::read(&self.place, &after.name)? else { return Ok(None) };
        let (was, is) = (self.sizes(&made.wanted), self.sizes(after));
        if was == is {
            return Ok(None);
        }
        let Some(state) = read_state::<Base>(&self.place, &after.name)? else { return Ok(None) };
        for (part, stack) in state.stacks() {
            let wanted = is.of(part);
            let has = layer_size(&self.place, &stack.top)?;
            if wanted != 0 && wanted < was.of(part) && wanted < has {
                return Ok(Some(format!(
                    "disk: it has {} and cannot shrink to {}: copy what you need into a machine of its own",
                    Size(has),
                    Size(wanted)
                )));
            }
        }
        Ok(None)
    }

    pub fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        if self.anothers(name)?.is_some() {
            return Ok(());
        }
        let claim = self.claim(name)?;
        let made = made::read(&self.place, name)?;
        self.stop_claimed(name, steps, &claim)?;
        steps.step("remove its state and snapshots")?;
        let store = Store::lock(&self.place)?;
        self.forget_state(name)?;
        files::remove(&self.place.own_folder(name))?;
        files::remove(&self.console(name))?;
        self.forget(name)?;
        store.collect()?;
        drop(store);
        if let Some(made) = made {
            self.tell_peers(&made.wanted);
        }
        Ok(())
    }
}
