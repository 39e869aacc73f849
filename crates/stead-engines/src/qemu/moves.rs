//! Giving states to other machines.

use super::core::Core;
use super::layers::{State, Store};
use crate::common::claim::Claim;
use crate::common::state::Part;
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
        if made::read(&self.place, &to.name)?.is_some() {
            return Ok(());
        }
        self.fits(to)?;
        let store = Store::lock(&self.place)?;
        let parts = match snapshot {
            Some(snapshot) => self.kept(from, snapshot)?.parts,
            None if self.running(from)?.is_some() => {
                self.freeze_live(&store, &source, None, steps, &from_claim)?.0
            }
            None => {
                steps.step("freeze the topmost layer")?;
                self.freeze(&store, from, self.sizes(&source), &from_claim, steps)?
            }
        };
        steps.step("put the layers under it")?;
        let state = store.over(parts, self.sizes(to))?;
        if let Some(snapshot) = snapshot {
            // A start sees whether it fits.
            self.resume_from(&to.name, &self.place.with_snapshot(from, snapshot))?;
        }
        // Left by one that was cut short.
        let begun = self.place.state(&to.name).exists();
        self.put(&store, to, state, &to_claim)?;
        if begun {
            store.collect()?;
        }
        steps.step("write down what it was made from")?;
        // What is inside has the identity of the other until it starts.
        self.write_made(to, true)
    }

    pub fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        let (from_claim, to_claim) = self.claim_two(from, to)?;
        self.stopped(from)?;
        self.stopped(to)?;
        let (source, target) = (self.made(from)?, self.made(to)?);
        if let Some(why) = self.mismatch(&self.state(from)?, &target.wanted) {
            return Err(EngineError::NotNow(format!(
                "\"{to}\" cannot have the state of \"{from}\": {why}"
            )));
        }
        if source.wanted.declared.ephemeral != target.wanted.declared.ephemeral {
            return Err(EngineError::NotNow(format!(
                "one of \"{from}\" and \"{to}\" is ephemeral and the other is not: what lasts of the one is not what \
                 lasts of the other"
            )));
        }
        let store = Store::lock(&self.place)?;
        let take = || {
            // Whatever they were to go on from does not fit what they get.
            files::remove(&self.resume(from))?;
            files::remove(&self.resume(to))?;
            steps.step("freeze the state")?;
            let parts =
                self.freeze(&store, from, self.sizes(&source.wanted), &from_claim, steps)?;
            steps.step("put it into the other machine")?;
            let state = store.over(parts, self.sizes(&target.wanted))?;
            self.put(&store, &target.wanted, state, &to_claim)
        };
        self.hand_over(&source, &target, token, take, || {
            steps.step("leave an empty state behind")?;
            // On the same base: what it is made on by now may be another.
            let base = store.state(from)?.root.base;
            let root = store.fresh(base, Part::Root, self.sizes(&source.wanted))?;
            self.put(&store, &source.wanted, State { root, persist: None }, &from_claim)
        })?;
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        Ok(())
    }

    /// Gives a machine a state, with what survives where it has none.
    pub fn put(
        &self,
        store: &Store<'_>,
        wanted: &Wanted,
        mut state: State,
        claim: &Claim,
    ) -> Result<()> {
        if wanted.declared.ephemeral && state.persist.is_none() {
            state.persist = Some(self.fresh_persist(store, self.sizes(wanted), claim)?);
        }
        store.write(&wanted.name, &state)
    }
}
