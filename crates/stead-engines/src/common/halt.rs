//! Stopping sandboxes, and what is left of them.

use super::claim::Claim;
use super::files::{self, Sync};
use super::ground::Ground;
use super::store::Kind;
use super::{made, running, stopping};
use std::os::fd::OwnedFd;
use std::path::Path;
use stead_box::{RUN_FILE, cgroup, net};
use stead_machine::engine::Result;
use stead_machine::{EngineError, Steps};

impl<K: Kind> Ground<K> {
    /// Stops the sandbox of a machine by `stead-box`, which is `program`: its processes are asked to end, and killed after
    /// so many seconds. Of one that does not run, what is left is removed.
    ///
    /// # Errors
    /// If it goes on, or something cannot be removed.
    pub fn halt(
        &self,
        program: &Path,
        name: &str,
        grace: u32,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<()> {
        let found = running::find(&self.place, name)?;
        if made::read(&self.place, name)?.is_none()
            && found.is_none()
            && !self.place.run(name).exists()
        {
            return Ok(());
        }
        steps.step("stop it")?;
        let run = match found {
            Some((run, running)) => {
                // Somebody has emptied the runtime folder under it: whoever stops it must know what to stop.
                if !run.join(RUN_FILE).exists() {
                    files::write(&run.join(RUN_FILE), &running, Sync::Later)?;
                }
                stopping::mark(&run)?;
                run
            }
            None => self.place.run(name),
        };
        running::stop(program, &run, grace, claim)?;
        if run.file_name() == self.place.run(name).file_name() {
            files::remove(&run)?;
        }
        self.clear_sandbox(name)
    }

    /// Removes what is left of a sandbox that does not run: control groups of a start that was cut short, the run folder.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear_sandbox(&self, name: &str) -> Result<()> {
        if let Some(made) = made::read(&self.place, name)? {
            let group = made::cgroup(&self.place, &made.wanted);
            // What a start that was cut short has made may be about to end by itself.
            cgroup::remove(&cgroup::folders(&group))
                .map_err(|e| EngineError::Failed(e.to_string()))?;
        }
        files::remove(&self.place.run(name))?;
        files::remove_file(&self.place.started(name).with_extension("json.new"))?;
        files::remove_file(&self.place.started(name))
    }

    /// A connection to a TCP port in the sandbox of a machine.
    ///
    /// # Errors
    /// If nobody listens there, or the machine does not run.
    pub fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        let Some((run, _)) = running::find(&self.place, name)? else {
            return Err(EngineError::NotNow(format!("\"{name}\" does not run")));
        };
        let socket = run.join(net::SOCKET);
        net::client::connect(&socket, port)
            .map_err(|e| EngineError::Failed(format!("port {port} of \"{name}\": {e}")))
    }
}
