//! What the steward puts down of systems. The command line switches them: it has the file, and the person's secrets.

use super::{Machines, api, problem};
use crate::StewardError;

impl Machines {
    /// A switch of a machine's system begins; what it is known by. `None` where Stead keeps no record of the machine: this
    /// host, where nobody declared it.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be written down.
    pub async fn system_begins(
        &self,
        machine: &str,
        ask: api::Switch,
    ) -> Result<Option<String>, StewardError> {
        match self.manager.system_begins(machine, &ask.name, ask.parts).await {
            Ok(switch) => Ok(Some(switch)),
            Err(stead_machine::Error::Host) => Ok(None),
            Err(e) => Err(problem(e)),
        }
    }

    /// A switch came to its end. `false` if the machine is no longer the one that it began on.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be written down.
    pub async fn system_is_brought(
        &self,
        machine: &str,
        switch: &str,
    ) -> Result<bool, StewardError> {
        self.manager.system_is_brought(machine, switch).await.map_err(problem)
    }
}
