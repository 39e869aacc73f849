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

    /// Gives an image of a person's own what it gets its agent from; one that is known to take none is not waited for.
    fn bring_agent(&self, wanted: &Wanted, vm: &mut Vm, steps: &Steps) -> Result<()> {
        if self.agentless(&wanted.name).exists() {
            vm.config = None;
            return Ok(());
        }
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

    /// The file that is there if a machine's image takes no agent.
    fn agentless(&self, name: &str) -> PathBuf {
        self.place.own_folder(name).join("no-agent.json")
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
        if self.agentless(name).exists() {
            return Err(EngineError::NotNow(NO_AGENT.into()));
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
