//! What is put down of a switch: before it, that nobody knows what the machine is like; after it, what it was brought to.
//! Cut short anywhere between, the next plan shows that it is to be done again.

use super::super::machine::path;
use crate::failure::Failure;
use crate::steward::Steward;
use std::collections::BTreeMap;
use stead_steward::machines::api;

/// A switch that has begun.
pub struct Mark {
    machine: String,
    /// What it is known by; nothing is put down of this host, where nobody declared it.
    switch: Option<String>,
}

impl Mark {
    /// A machine is about to be changed.
    ///
    /// # Errors
    /// If that cannot be put down: nothing must be done then.
    pub fn begin(
        machine: &str,
        name: &str,
        parts: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let ask = api::Switch { name: name.to_owned(), parts };
        let switch = Steward::of_user()?.post(&format!("{}/system", path(machine)), &ask)?;
        Ok(Mark { machine: machine.to_owned(), switch })
    }

    /// All of it is there. `false` if the machine is no longer the one that it began on.
    ///
    /// # Errors
    /// If that cannot be put down.
    pub fn end(self) -> Result<bool, Failure> {
        let Some(switch) = &self.switch else { return Ok(true) };
        // Asked anew: the steward may be another one since.
        let path = format!("{}/system/{switch}", path(&self.machine));
        Steward::of_user()?.post(&path, &()).map_err(|failure| {
            let machine = &self.machine;
            let why = format!("{machine}: it is as declared, and that was not put down: {failure}");
            failure.saying(why).help("the next switch finds nothing to do")
        })
    }
}
