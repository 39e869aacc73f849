//! The order in which a state goes from one machine to another.

use super::files::{self, Sync};
use super::ground::Ground;
use super::made::Made;
use super::store::Kind;
use stead_machine::engine::Result;

impl<K: Kind> Ground<K> {
    /// Has a state taken and something left behind, each once for a move of this name: what has been done is put down with
    /// each machine. Both are stopped and nobody else works on them. `take` may be asked again after a crash, while the
    /// first still has the state; so may `leave`, once the second has it.
    ///
    /// # Errors
    /// What those say, or if it cannot be put down.
    pub fn hand_over(
        &self,
        source: &Made,
        target: &Made,
        token: &str,
        take: impl FnOnce() -> Result<()>,
        leave: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let token = Some(token.to_owned());
        if target.moved != token {
            take()?;
            // What the state has yet of another machine goes with it.
            let arrived = Made { moved: token.clone(), reseed: source.reseed, ..target.clone() };
            files::write(&self.place.made(&target.wanted.name), &arrived, Sync::Now)?;
        }
        if source.gave != token {
            leave()?;
            let left = Made { gave: token, reseed: false, ..source.clone() };
            files::write(&self.place.made(&source.wanted.name), &left, Sync::Now)?;
        }
        Ok(())
    }
}
