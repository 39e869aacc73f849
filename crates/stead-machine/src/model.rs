//! Machines as they are wanted, as they are recorded, and as an engine sees them.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use stead_file::declared::{Machine, Network};

/// A machine that somebody wants, with the identity that Stead gave it: `machine.json` in its folder, written before an
/// engine makes anything, and again once the engine has what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name, unique on this host.
    pub name: String,
    /// Its identity: 32 lower-case hexadecimal digits, as in `/etc/machine-id`.
    pub id: String,
    /// Its number on this host, from 1: addresses and ids follow from it. Free again once it is destroyed.
    pub number: u32,
    /// Its address on Stead's networks.
    pub address: Ipv4Addr,
    /// What was declared of it.
    pub declared: Machine,
    /// The network it is on, if it shares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The state that lies in it.
    pub state: String,
    /// When it was first asked for; milliseconds since the Unix epoch.
    pub created: u64,
}

/// What an engine sees of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Its name.
    pub name: String,
    /// What it does.
    pub phase: Phase,
    /// What it was made from, as the engine knows it; `None` if the engine cannot tell.
    pub made_from: Option<Machine>,
    /// Since when it runs; milliseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Its identity inside, where the engine can tell.
    pub id: Option<String>,
    /// What a person should know: a limit that nobody asked for and that does not hold, a network process that died.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a machine does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase", content = "why")]
pub enum Phase {
    /// It is there and does not run.
    Stopped,
    /// It runs.
    Running,
    /// It was begun and not finished, or half of it is gone; what is there and what is not.
    Partial(String),
    /// It could not be looked at. Not a reason to do anything to it.
    Unknown(String),
}

/// Something about a declaration that its engine has to say before anything is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Whether it stands in the way.
    pub refused: bool,
    /// What, and what to do: "memory: 200 GiB of 23 GiB".
    pub text: String,
}

/// A state kept as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name, unique in its machine.
    pub name: String,
    /// When; milliseconds since the Unix epoch.
    pub at: u64,
    /// What somebody wrote beside it.
    #[serde(default)]
    pub note: String,
    /// What it is worth.
    pub consistency: Consistency,
    /// Whether Stead made it by itself (before a restore), so that it is not counted as one of the person's.
    #[serde(default)]
    pub automatic: bool,
    /// How it was made: "layer frozen", "18 MiB copied". For people.
    #[serde(default)]
    pub how: String,
}

/// A snapshot that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name.
    pub name: String,
    /// What is written beside it.
    pub note: String,
    /// Whether Stead makes it by itself.
    pub automatic: bool,
    /// Whether what is in the machine's memory is kept, too, so that what runs goes on from there.
    pub memory: bool,
}

impl NewSnapshot {
    /// One of the disks, of this name.
    pub fn named(name: &str) -> Self {
        NewSnapshot { name: name.into(), ..NewSnapshot::default() }
    }
}

/// What a snapshot is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// As after a power cut: programs were at work.
    Crash,
    /// The machine was stopped, or everything in it stood still and was on disk.
    Quiesced,
    /// With memory: what ran goes on from here.
    Memory,
}

/// What a machine changed against its base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Path inside.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is there and was not.
    Added,
    /// It is another.
    Changed,
    /// It was there and is not.
    Deleted,
}

/// What an engine can do. `Err` says why it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// Processes inside see nothing of the host that was not given to them.
    pub isolation: Ability,
    /// Memory, processors and processes are limited.
    pub limits: Ability,
    /// What it writes is limited.
    pub disk_limit: Ability,
    /// Egress rules hold.
    pub egress: Ability,
    /// Ports of the host lead in.
    pub ports: Ability,
    /// Folders of the host are shared.
    pub shares: Ability,
    /// States are kept, restored and removed.
    pub snapshots: Ability,
    /// Snapshots of a machine that runs.
    pub live_snapshots: Ability,
    /// Snapshots with memory.
    pub memory_snapshots: Ability,
    /// A machine is made from another's state.
    pub clone: Ability,
    /// States go from machine to machine.
    pub move_state: Ability,
    /// What was changed can be told.
    pub diff: Ability,
    /// A state in memory only.
    pub ephemeral: Ability,
    /// Containers inside.
    pub nested: Ability,
}

/// One thing that an engine can do, or why it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "can", content = "why")]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot, because.
    No(String),
}
