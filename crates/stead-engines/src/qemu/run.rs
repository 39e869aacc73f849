//! A machine while it runs: QEMU and its keeper in a sandbox, and the ways in.

mod house;
mod live;
mod told;
pub mod vm;
mod wait;

use super::core::Core;
use super::disks::Disk;
use super::ground::OnWhat;
use super::memory::Shape;
use crate::common::claim::Claim;
use crate::common::files::{self, Sync};
use crate::common::running;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;
use stead_machine::engine::{Console, Exec, Result};
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};
use stead_vm::client;
use stead_vm::spec::{self, Vm};

/// What is said of a machine whose image is a person's own and that nobody answers from.
const NO_AGENT: &str = "no agent answers inside: its image has no cloud-init, or does not ask NoCloud; reach it by \
                        `stead console` and its ports";

/// Seconds that a guest has to shut down, and its keeper to say that it did not.
const GRACE: u32 = stead_vm::keep::GRACE.as_secs() as u32 + 5;
/// The folder in a run folder where the keeper's sockets are.
const KEEPER: &str = "vm";

/// What a keeper is told. It leaves alone what is beside the machine.
#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    vm: &'a Vm,
    shape: Shape,
}

/// The same, to be read.
#[derive(Deserialize)]
struct Running {
    #[serde(flatten)]
    vm: Vm,
    shape: Shape,
}

fn shape(vm: &Vm, on: &OnWhat, disks: &[Disk]) -> Shape {
    Shape::of(vm, on, &disks.iter().map(|disk| disk.size).collect::<Vec<_>>())
}

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
        let mut ground = self.on_what(wanted, steps)?;
        for note in &ground.notes {
            steps.note(note);
        }
        let mut vm = vm::describe(self, wanted, disks, &ground, reseed);
        if ground.guest.is_none() {
            self.bring_agent(wanted, &mut vm, steps)?;
        }
        match self.fitting(name, &shape(&vm, &ground, disks))? {
            Ok(resume) => ground.resume = resume,
            Err(why) => steps.note(&format!("it does not go on from its memory, and boots: {why}")),
        }
        if ground.resume.is_some() {
            let vm = Vm { resume: ground.resume.clone(), ..vm.clone() };
            match self.run_vm(wanted, &vm, disks, &ground, steps, claim) {
                Err(EngineError::Failed(why)) => {
                    steps.note(&format!("it cannot go on from its memory, and boots: {why}"));
                    ground.resume = None;
                    self.clear_sandbox(name)?;
                }
                done => {
                    done?;
                    return files::remove(&self.resume(name));
                }
            }
        }
        // Its disks are written to from now on.
        files::remove(&self.resume(name))?;
        self.run_vm(wanted, &vm, disks, &ground, steps, claim)
    }

    fn run_vm(
        &self,
        wanted: &Wanted,
        vm: &Vm,
        disks: &[Disk],
        ground: &OnWhat,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<()> {
        let name = &wanted.name;
        let folder = self.place.run(name).join(KEEPER);
        files::make(&folder)?;
        let about = Described { vm, shape: shape(vm, ground, disks) };
        files::write(&self.place.run(name).join(vm::SPEC), &about, Sync::Later)?;
        steps.step("hide what is secret")?;
        let mut spec = house::spec(self, wanted, vm, disks, ground)?;
        let door = wait::Door::open(&folder)?;
        steps.step("start it")?;
        let lock = self.lock_ports()?;
        if let Some(net) = &mut spec.net {
            net.ports = self.take_ports(wanted, &lock, steps)?;
        }
        let started = running::start(&self.programs.sandbox, &spec, claim)?;
        drop(lock);
        for note in &started.notes {
            steps.note(note);
        }
        let patience = if ground.guest.is_some() { wait::PATIENCE } else { wait::DOUBT };
        let mut ready = door.wait(self, name, patience, steps);
        if ground.guest.is_none() && matches!(ready, Err(EngineError::NotNow(_))) {
            // It runs, and can be reached by its console and its ports.
            steps.note(NO_AGENT);
            ready = files::write(&self.agentless(name), &true, Sync::Later);
        }
        if ready.is_err() {
            // It did not come up: nothing of it stays.
            let _ = running::stop(&self.programs.sandbox, &self.place.run(name), 0, claim);
        }
        ready
    }

    /// Gives an image of a person's own what it gets its agent from. If it did not take that the last time, nobody waits.
    fn bring_agent(&self, wanted: &Wanted, vm: &mut Vm, steps: &Steps) -> Result<()> {
        vm.doubtful = self.agentless(&wanted.name).exists();
        let Some(config) = &vm.config else { return Ok(()) };
        steps.step("write what it gets its agent from")?;
        let path = self.place.own_folder(&wanted.name).join("seed.iso");
        self.images.seed(wanted, config, &path)?;
        vm.disks.push(spec::Disk {
            serial: "seed".into(),
            path,
            format: spec::Format::Raw,
            readonly: true,
        });
        Ok(())
    }

    /// The file that is there if no agent came of a machine's image in the time that it was waited for.
    fn agentless(&self, name: &str) -> PathBuf {
        self.place.own_folder(name).join("no-agent.json")
    }

    /// Stops a machine that somebody works on.
    pub fn stop_claimed(&self, name: &str, steps: &Steps, claim: &Claim) -> Result<()> {
        let ran = self.running(name)?.is_some();
        if ran && self.is_made(name)? {
            self.is_itself(name)?;
        }
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
        let agentless = self.agentless(name);
        if agentless.exists() {
            if !self.met(name)? {
                return Err(EngineError::NotNow(NO_AGENT.into()));
            }
            // It was only late.
            files::remove_file(&agentless)?;
        }
        let mut command = Command::new(&self.programs.vm);
        command.arg("exec").arg(self.keeper(name)?.join(stead_vm::files::AGENT));
        if let Some(cwd) = &exec.cwd {
            command.arg("--cwd").arg(cwd);
        }
        let declared = self.made(name)?.wanted.declared.env;
        for (key, value) in declared.iter().chain(&exec.env) {
            // By name: everybody on this host sees command lines, and a bridge is there as long as its machine.
            command.arg("--env").arg(key).env(key, value);
        }
        command.arg("--").args(&exec.command);
        Ok(command)
    }

    /// Whether the agent of a machine that runs is there, or was since it was started.
    pub fn met(&self, name: &str) -> Result<bool> {
        Ok(self.keeper(name)?.join(stead_vm::files::MET).symlink_metadata().is_ok())
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

    /// A machine's console, whether it runs or not.
    pub fn console_of(&self, name: &str) -> Result<Console> {
        self.made(name)?;
        let socket = self.keeper(name)?.join(stead_vm::files::CONSOLE);
        Ok(Console { socket, log: self.console(name).join(vm::CONSOLE) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Guests, Programs};
    use super::*;
    use stead_machine::model::Wanted;

    /// A machine whose keeper is somebody else's affair.
    fn machine(folder: &std::path::Path, reseed: bool) -> Core {
        let program = || folder.join("program");
        let programs = Programs { sandbox: program(), hold: program(), vm: program() };
        let images = std::sync::Arc::new(Guests::new(&folder.join("images"), &programs));
        let core = Core::new(&folder.join("data"), &folder.join("run"), programs, images);
        let wanted = Wanted {
            name: "box".into(),
            id: "0".repeat(32),
            number: 1,
            address: std::net::Ipv4Addr::new(10, 90, 0, 1),
            declared: stead_file::scratch(),
            network: None,
            state: "box".into(),
            created: 0,
        };
        files::make(&core.place.own_folder("box")).unwrap();
        files::make(&core.place.run("box").join(KEEPER)).unwrap();
        core.write_made(&wanted, reseed).unwrap();
        core
    }

    fn meet(core: &Core) {
        let met = core.place.run("box").join(KEEPER).join(stead_vm::files::MET);
        std::fs::write(met, "").unwrap();
    }

    #[test]
    fn an_agent_that_comes_late_is_used_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let core = machine(folder.path(), false);
        files::write(&core.agentless("box"), &true, Sync::Later).unwrap();
        let exec = Exec { command: vec!["true".into()], ..Exec::default() };
        let refused = core.command("box", &exec).unwrap_err().to_string();
        assert!(refused.contains("no agent answers inside"), "{refused}");
        meet(&core);
        core.command("box", &exec).unwrap();
        assert!(!core.agentless("box").exists());
    }

    #[test]
    fn a_machine_is_itself_only_once_its_agent_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let core = machine(folder.path(), true);
        core.is_itself("box").unwrap();
        assert!(core.made("box").unwrap().reseed);
        meet(&core);
        core.is_itself("box").unwrap();
        assert!(!core.made("box").unwrap().reseed);
    }
}
