//! What is put down of a machine's system by whoever switches it.

use super::Manager;
use crate::records::random_id;
use crate::system::Brought;
use crate::{Error, time};
use std::collections::BTreeMap;

impl Manager {
    /// A switch of a machine's system begins: from now on it is as nobody knows. Gives what the switch is known by.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be written down.
    pub async fn system_begins(
        &self,
        machine: &str,
        name: &str,
        parts: BTreeMap<String, String>,
    ) -> Result<String, Error> {
        let _held = self.hold(&[machine.to_owned()]).await?;
        let mut record = self.0.records.find(machine)?;
        let switch = random_id()?;
        let brought = Brought { name: name.into(), parts, switch: switch.clone(), at: None };
        record.system = Some(brought);
        self.0.records.write(&record)?;
        Ok(switch)
    }

    /// A switch came to its end, and all of it is there. `false` if the machine is not the one that it began on: its state
    /// was replaced meanwhile, or another switch has begun.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be written down.
    pub async fn system_is_brought(&self, machine: &str, switch: &str) -> Result<bool, Error> {
        let _held = self.hold(&[machine.to_owned()]).await?;
        let mut record = self.0.records.find(machine)?;
        let Some(brought) = record.system.as_mut().filter(|it| it.switch == switch) else {
            return Ok(false);
        };
        brought.at = Some(time::now_ms());
        self.0.records.write(&record)?;
        Ok(true)
    }
}
