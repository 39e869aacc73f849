//! What a stead file declares, checked and with defaults filled in. Also the JSON of the API and of a machine's record.

mod qemu;
mod system;

pub use qemu::{Accel, Arch, Board, Desktop, Format, Guest, Qemu};
pub use system::{
    Agents, Alerts, CodeServer, Containers, Debian, Firewall, GitIdentity, Llm, Logs, Metadata,
    Nixos, Os, Overlay, OverlayKind, ReverseProxy, RootFs, Service, ServiceKind, Ssh, Sudo, System,
    SystemDesktop, SystemDisk, Transport, Updates, User,
};

use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// A whole stead file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Declaration {
    /// The name of the whole: part of the names of what engines make.
    pub name: String,
    /// Machines by name.
    pub machines: BTreeMap<String, Machine>,
    /// Networks by name.
    pub networks: BTreeMap<String, Network>,
    /// Operating systems by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub systems: BTreeMap<String, System>,
    /// Sessions by name.
    pub sessions: BTreeMap<String, Session>,
}

/// One machine: an identity and what it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The engine's name: `host`, `sandbox`, `qemu`.
    pub engine: String,
    /// What its root is made of: `host` (a copy-on-write view of this computer), `debian/12`, or the absolute path of a
    /// virtual machine's image.
    pub image: String,
    /// Processors, in thousandths (1500 is one and a half). `None`: as many as there are.
    pub cpus: Option<u32>,
    /// Memory limit.
    pub memory: Option<Size>,
    /// Limit of what it may write.
    pub disk: Option<Size>,
    /// Most processes and threads at a time.
    pub processes: Option<u32>,
    /// What it writes lies in memory and is gone when it stops.
    pub ephemeral: bool,
    /// Folders inside that survive although it is ephemeral.
    pub persist: Vec<PathBuf>,
    /// The state that lies in it, by name. `None`: one of its own, called like the machine.
    pub state: Option<String>,
    /// The network it is on. `None`: one of its own, with `egress`.
    pub network: Option<String>,
    /// Where it may connect to. On a declared network: what that network allows.
    pub egress: Egress,
    /// Ports of this host that lead into it.
    pub ports: Vec<Port>,
    /// Ports on this host's loopback that it may use as its own (a model server, a proxy).
    pub host_ports: Vec<u16>,
    /// Name servers to ask instead of this host's.
    pub dns: Vec<IpAddr>,
    /// Folders of this host that it shares.
    pub shares: Vec<Share>,
    /// Paths of this host, hidden otherwise, that it sees copy-on-write (`~/.cargo`).
    pub show: Vec<PathBuf>,
    /// Containers may be made inside.
    pub nested: bool,
    /// Environment of all its sessions.
    pub env: BTreeMap<String, String>,
    /// Snapshots that are kept.
    pub keep: Keep,
    /// Whether it is to run.
    pub running: bool,
    /// What it is as a virtual machine of the engine `qemu`.
    #[serde(skip_serializing_if = "Qemu::is_default")]
    pub qemu: Box<Qemu>,
    /// Its operating system as declared, by name. `None`: as its image has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Agents whose login on this host is copied into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub share_agent_auth: Vec<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            engine: "sandbox".into(),
            image: "host".into(),
            cpus: None,
            memory: None,
            disk: None,
            processes: None,
            ephemeral: false,
            persist: Vec::new(),
            state: None,
            network: None,
            egress: Egress::Open,
            ports: Vec::new(),
            host_ports: Vec::new(),
            dns: Vec::new(),
            shares: Vec::new(),
            show: Vec::new(),
            nested: false,
            env: BTreeMap::new(),
            keep: Keep::default(),
            running: true,
            qemu: Box::default(),
            system: None,
            share_agent_auth: Vec::new(),
        }
    }
}

/// Where a machine may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// Anywhere but this host, other machines and metadata services.
    #[default]
    Open,
    /// Ports 80 and 443 of public addresses.
    WebOnly,
    /// Only these: `github.com`, `*.githubusercontent.com`, `github.com:22`, `10.1.0.0/16`. Without a port, 80 and 443.
    Allow(Vec<String>),
    /// Nowhere.
    None,
}

/// A port of this host that leads into a machine: `"8080:80"`, `"127.0.0.1:8080:80"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Address on this host; the loopback unless said otherwise.
    pub address: IpAddr,
    /// Port on this host.
    pub host: u16,
    /// Port inside.
    pub inside: u16,
    /// Nobody wrote it: it is left out where something else has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Default for Port {
    fn default() -> Self {
        Port { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host: 0, inside: 0, optional: false }
    }
}

/// A folder of this host that a machine shares: `"~/src"`, `"~/src:/src"`, `"~/src:/src:ro"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Folder on this host; absolute once read.
    pub host: PathBuf,
    /// Where it is inside.
    pub inside: PathBuf,
    /// Whether the machine may write.
    pub writable: bool,
}

/// Snapshots that are kept; older ones go when another is made. Both bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Keep {
    /// At most so many.
    pub count: Option<u32>,
    /// None older than this, in seconds.
    pub age: Option<u64>,
}

/// A network that machines can share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Where machines on it may connect to.
    pub egress: Egress,
    /// Whether machines on it reach each other, by name.
    pub peers: bool,
}

/// A session that is there once its machine is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The machine it runs on; `host` is there without being declared.
    pub machine: String,
    /// The agent's profile.
    pub agent: Option<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The folder it starts in, inside the machine.
    pub cwd: Option<PathBuf>,
    /// When it is started again: `never`, `resume`, `always`.
    pub restart: String,
    /// More environment.
    pub env: BTreeMap<String, String>,
}
