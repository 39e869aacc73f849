//! A machine while it runs: QEMU and its keeper in a sandbox, and the ways in.

mod house;
mod live;
mod told;
mod vm;
mod wait;

use super::core::Core;
use super::disks::Disk;
use crate::common::claim::Claim;
use crate::common::files::{self, Sync};
use crate::common::running;
use std::path::PathBuf;
use std::process::Command;
use stead_machine::engine::{Exec, Result};
use stead_machine::model::{Change, Wanted};
use stead_machine::{EngineError, Steps};
use stead_vm::client;

/// Seconds that a guest has to shut down, and its keeper to say that it did not.
const GRACE: u32 = stead_vm::keep::GRACE.as_secs() as u32 + 5;
/// The folder in a run folder where the keeper's sockets are.
const KEEPER: &str = "vm";

impl Core {
    /// Starts QEMU on these disks. `reseed`: what is inside came from another machine, and has its keys and sessions yet.
    pub fn run(
        &self,
        wanted: &Wanted,
        disks: &[Disk],
        reseed: bool,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<()> {
        let name = &wanted.name;
        let folder = self.place.run(name).join(KEEPER);
        files::make(&folder)?;
        files::make(&self.console(name))?;
        steps.step("see what it runs on")?;
        let ground = self.on_what(wanted, steps)?;
        for note in &ground.notes {
            steps.note(note);
        }
        let vm = vm::describe(self, wanted, disks, &ground, reseed)?;
        files::write(&self.place.run(name).join(vm::SPEC), &vm, Sync::Later)?;
        steps.step("hide what is secret")?;
        let spec = house::spec(self, wanted, &vm, disks, &ground)?;
        let door = wait::Door::open(&folder)?;
        steps.step("start it")?;
        let started = running::start(&self.programs.sandbox, &spec, claim)?;
        for note in &started.notes {
            steps.note(note);
        }
        let ready = door.wait(self, name, steps);
        if ready.is_err() {
            // It did not come up: nothing of it stays.
            let _ = running::stop(&self.programs.sandbox, &self.place.run(name), 0, claim);
        }
        ready
    }

    /// Stops a machine that somebody works on.
    pub fn stop_claimed(&self, name: &str, steps: &Steps, claim: &Claim) -> Result<()> {
        let ran = self.running(name)?.is_some();
        self.halt(&self.programs.sandbox, name, GRACE, steps, claim)?;
        if let Some(why) = self.ended(name).filter(|_| ran) {
            steps.note(&why);
        }
        Ok(())
    }

    /// Whoever enters from now on has the environment that is declared: see [`Core::command`].
    pub fn put_environment(&self, wanted: &Wanted) -> Result<()> {
        self.runs(&wanted.name)
    }

    /// The command that runs something inside.
    pub fn command(&self, name: &str, exec: &Exec) -> Result<Command> {
        let mut command = Command::new(&self.programs.vm);
        command.arg("exec").arg(self.keeper(name)?.join(stead_vm::files::AGENT));
        if let Some(cwd) = &exec.cwd {
            command.arg("--cwd").arg(cwd);
        }
        let declared = self.made(name)?.wanted.declared.env;
        for (key, value) in declared.iter().chain(&exec.env) {
            command.arg("--env").arg(format!("{key}={value}"));
        }
        command.arg("--").args(&exec.command);
        Ok(command)
    }

    /// A connection to a TCP port inside.
    pub fn reach(&self, name: &str, port: u16) -> Result<std::os::fd::OwnedFd> {
        self.runs(name)?;
        let socket = self.keeper(name)?.join(stead_vm::files::AGENT);
        client::connect(&socket, port)
            .map_err(|e| EngineError::Failed(format!("port {port} of \"{name}\": {e}")))
    }

    /// The folder with the sockets of a running machine's keeper.
    pub fn keeper(&self, name: &str) -> Result<PathBuf> {
        Ok(self.run_folder(name)?.join(KEEPER))
    }

    /// The folder with what a machine said on its console.
    pub fn console(&self, name: &str) -> PathBuf {
        self.place.machine(name).join("console")
    }

    /// What a machine changed against its base.
    pub fn diff(&self, _: &str) -> Result<Vec<Change>> {
        Err(EngineError::Cannot { what: "diff", why: super::NO_DIFF.into() })
    }
}
