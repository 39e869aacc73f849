//! Engine `host`: this computer as a machine, without any isolation. It is always there, it always runs, and Stead neither
//! makes, stops nor destroys it.

use async_trait::async_trait;
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use stead_file::declared::{Egress, Machine};
use stead_machine::engine::{Engine, EngineError, Exec, Result};
use stead_machine::model::{
    Abilities, Ability, Change, NewSnapshot, Observed, Phase, Remark, Snapshot, Wanted,
};
use stead_machine::steps::Steps;

/// The name of the engine, and of the only machine that it has.
pub const NAME: &str = "host";

/// This computer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

/// Why it cannot do something to its state.
const STATE: &str = "the state of this computer is not Stead's to keep; declare a sandbox for that";

fn cannot<T>(what: &'static str, why: &str) -> Result<T> {
    Err(EngineError::Cannot { what, why: why.into() })
}

/// That a name is this computer's.
fn here(name: &str) -> Result<()> {
    if name == NAME {
        Ok(())
    } else {
        Err(EngineError::NotFound(format!("machine {name} on engine host: its only one is {NAME}")))
    }
}

#[async_trait]
impl Engine for Host {
    fn name(&self) -> &'static str {
        NAME
    }

    fn abilities(&self) -> Abilities {
        let not = |why: &str| Ability::No(why.into());
        let open = "what runs here sees and does whatever you may on this computer";
        Abilities {
            isolation: not(open),
            limits: not("it has what this computer has"),
            disk_limit: not("it has what this computer has"),
            egress: not("it reaches whatever this computer reaches"),
            ports: not("its ports are this computer's own already"),
            shares: not("it sees every folder of this computer already"),
            snapshots: not(STATE),
            live_snapshots: not(STATE),
            memory_snapshots: not(STATE),
            clone: not(STATE),
            move_state: not(STATE),
            diff: not("this computer has no base to compare it with"),
            ephemeral: not(STATE),
            nested: not("whether containers can be made is up to this computer"),
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>> {
        let mut remarks: Vec<Remark> = unfit(&wanted.declared)
            .into_iter()
            .map(|(key, why)| Remark { refused: true, text: format!("{key}: {why}") })
            .collect();
        if wanted.name != NAME {
            let text = format!("engine host has one machine, this computer; call it {NAME}");
            remarks.push(Remark { refused: true, text });
        }
        Ok(remarks)
    }

    async fn observe(&self) -> Result<Vec<Observed>> {
        Ok(self.look(NAME).await?.into_iter().collect())
    }

    async fn look(&self, name: &str) -> Result<Option<Observed>> {
        Ok((name == NAME).then(|| Observed {
            name: NAME.into(),
            phase: Phase::Running,
            made_from: None,
            since: booted(),
            // That of this computer is not one that Stead gave.
            id: None,
            notes: Vec::new(),
        }))
    }

    async fn create(&self, wanted: &Wanted, _: &Steps) -> Result<()> {
        here(&wanted.name)
    }

    async fn start(&self, wanted: &Wanted, _: &Steps) -> Result<()> {
        here(&wanted.name)
    }

    async fn stop(&self, name: &str, _: &Steps) -> Result<()> {
        here(name)?;
        cannot("stop", "this computer is not Stead's to stop; end its sessions with `stead kill`")
    }

    fn needs_restart(&self, _: &Wanted, _: &Wanted) -> Vec<&'static str> {
        Vec::new()
    }

    async fn change(&self, _: &Wanted, after: &Wanted, _: &Steps) -> Result<()> {
        here(&after.name)?;
        match unfit(&after.declared).first() {
            Some((key, why)) => Err(EngineError::Failed(format!("{key}: {why}"))),
            None => Ok(()),
        }
    }

    async fn destroy(&self, name: &str, _: &Steps) -> Result<()> {
        if name != NAME {
            return Ok(());
        }
        cannot("destroy", "this computer is not Stead's to destroy")
    }

    async fn exec(&self, name: &str, exec: &Exec) -> Result<Command> {
        here(name)?;
        let Some((program, arguments)) = exec.command.split_first() else {
            return Err(EngineError::Failed("there is no command".into()));
        };
        let home = || std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
        let mut command = Command::new(program);
        command.args(arguments).envs(&exec.env).current_dir(exec.cwd.clone().unwrap_or_else(home));
        Ok(command)
    }

    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        here(name)?;
        // The loopback answers at once, so nobody is kept waiting.
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .or_else(|e| TcpStream::connect((Ipv6Addr::LOCALHOST, port)).map_err(|_| e))
            .map(OwnedFd::from)
            .map_err(|e| EngineError::Failed(format!("port {port} of this computer: {e}")))
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        here(name)?;
        cannot("snapshots", STATE)
    }

    async fn snapshot(&self, name: &str, _: &NewSnapshot, _: &Steps) -> Result<Snapshot> {
        here(name)?;
        cannot("snapshot", STATE)
    }

    async fn restore(&self, name: &str, _: &str, _: &Steps) -> Result<()> {
        here(name)?;
        cannot("restore", STATE)
    }

    async fn remove_snapshot(&self, name: &str, _: &str, _: &Steps) -> Result<()> {
        here(name)?;
        cannot("remove a snapshot", STATE)
    }

    async fn clone_machine(&self, _: &str, _: Option<&str>, _: &Wanted, _: &Steps) -> Result<()> {
        cannot("clone", STATE)
    }

    async fn move_state(&self, _: &str, _: &str, _: &str, _: &Steps) -> Result<()> {
        cannot("move", STATE)
    }

    async fn diff(&self, name: &str) -> Result<Vec<Change>> {
        here(name)?;
        cannot("diff", "this computer has no base to compare it with")
    }

    async fn sweep(&self, _: &Steps) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// What is declared and cannot be so here: the key, and why.
fn unfit(declared: &Machine) -> Vec<(&'static str, &'static str)> {
    let limit = "this computer is not limited; declare a sandbox for that";
    let apart = "nothing keeps this computer apart; declare a sandbox for that";
    [
        (declared.image != "host", "image", "this computer is made already"),
        (declared.memory.is_some(), "memory", limit),
        (declared.cpus.is_some(), "cpus", limit),
        (declared.disk.is_some(), "disk", limit),
        (declared.processes.is_some(), "processes", limit),
        (declared.ephemeral, "ephemeral", STATE),
        (!declared.persist.is_empty(), "persist", STATE),
        (declared.state.is_some(), "state", STATE),
        (declared.network.is_some(), "network", apart),
        (declared.egress != Egress::Open, "egress", apart),
        (!declared.ports.is_empty(), "ports", "its ports are this computer's own already"),
        (!declared.shares.is_empty(), "shares", "it sees every folder of this computer already"),
        (!declared.dns.is_empty(), "dns", "this computer asks its own name servers"),
        (!declared.running, "running", "this computer always runs"),
    ]
    .into_iter()
    .filter(|(is, ..)| *is)
    .map(|(_, key, why)| (key, why))
    .collect()
}

/// When this computer was started; milliseconds since the Unix epoch.
fn booted() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(seconds.trim().parse::<u64>().ok()? * 1000)
}

#[cfg(test)]
mod tests;
