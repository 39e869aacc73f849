//! What a sandbox is made of. The engine writes it; every path is of this host and absolute unless said otherwise.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use stead_file::declared::{Egress, Port};

/// A sandbox to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The machine's name.
    pub name: String,
    /// Its host name inside.
    pub hostname: String,
    /// The folder for this run, made by the engine (mode 0700): `run.json`, `net.sock`, `egress.log`.
    pub run: PathBuf,
    /// A second file to say what `run.json` says: beside the data, so that whoever does not know the run folder, or finds it
    /// gone, sees that it runs. Written before `run.json`; the engine removes it.
    #[serde(default)]
    pub record: Option<PathBuf>,
    /// What the root is made of.
    pub base: Base,
    /// Frozen layers above the base, topmost first: each a folder that holds `fs`, as an upper that is written no more.
    pub layers: Vec<PathBuf>,
    /// Where changes go.
    pub upper: Upper,
    /// Who root inside is outside.
    pub ids: Ids,
    /// Folders of this host that appear inside.
    pub binds: Vec<Bind>,
    /// Limits.
    pub limits: Limits,
    /// Name of its cgroups below the engine's own group; unique on this host.
    pub cgroup: String,
    /// Its network; `None` is a namespace with nothing but a loopback and no process that serves it.
    pub net: Option<Net>,
    /// Whether containers may be made inside.
    pub nested: bool,
    /// Variables that every command inside has.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// A program that it is there for: it ends with it.
    #[serde(default)]
    pub main: Option<Main>,
}

/// The program that a sandbox is there for, such as the keeper of a virtual machine. It has the filter, the capabilities
/// and the limits of whoever enters.
///
/// Its descriptors from 3 on: first the tap device if there is one ([`Net::tap`]), then the devices in their order. Their
/// numbers are in the variables `STEAD_TAP_FD` and `STEAD_DEVICE_FDS` (with commas), which are not set where there are none.
/// What it prints is kept in [`MAIN_LOG`] in the run folder, the last few hundred kilobytes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Main {
    /// The program and its arguments; paths are of the inside.
    pub command: Vec<String>,
    /// Variables, besides those that every command inside has.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Character devices of this host that it gets opened, to read and write, with the rights of whoever starts the sandbox.
    #[serde(default)]
    pub devices: Vec<PathBuf>,
    /// How many seconds it has to end after SIGTERM, if nobody outside ends it sooner.
    pub grace: u32,
}

/// Name of the file in the run folder with what the main program printed.
pub const MAIN_LOG: &str = "main.log";

/// What a root is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// This host's own `/`, copy-on-write, without what [`crate::hide`] covers.
    Host {
        /// The layer that covers the secrets, made by [`crate::hide`].
        cover: PathBuf,
        /// Paths that are to be seen although they are hidden by default, copy-on-write.
        show: Vec<PathBuf>,
    },
    /// A root file system in a folder; never written to.
    Folder(PathBuf),
}

/// Where changes go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upper {
    /// A layer on disk; it holds the folders `fs` and `work`.
    Folder(PathBuf),
    /// Memory, at most so many bytes.
    Memory {
        /// Bytes; `None` is half of the machine's memory limit, or of this host's memory.
        size: Option<u64>,
    },
}

/// Who root inside is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ids {
    /// Ids 0 to 65535 inside are these and the following outside. Needs root.
    Range {
        /// The first.
        first: u32,
    },
    /// Root inside is the user who starts it; nobody else is inside. For an ordinary user.
    Own,
}

/// A folder, file or socket of this host that appears inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bind {
    /// What.
    pub host: PathBuf,
    /// Where inside; made if it is not there. Never through a symbolic link.
    pub inside: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether ids are shifted, so that files of this host's user belong to root inside (and what root inside makes
    /// belongs to that user). Without, and where the kernel cannot: as they are.
    pub shifted: bool,
}

/// Limits; `None` is none. One that cannot be set, or does not hold, is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory, swap included.
    pub memory: Option<u64>,
    /// Processors, in thousandths.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// The network of a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Net {
    /// Where it may connect to.
    pub egress: Egress,
    /// Ports of this host that lead into it.
    pub ports: Vec<Port>,
    /// Ports of this host's loopback that it may use as its own.
    pub host_ports: Vec<u16>,
    /// Name servers; empty: those of this host's `/etc/resolv.conf`.
    pub dns: Vec<IpAddr>,
    /// Its own address, as other machines on its network see it.
    pub address: Ipv4Addr,
    /// Machines that it may reach by name.
    pub peers: BTreeMap<String, Peer>,
    /// A virtual machine has the address, and all that comes from its interface is judged; not processes inside. For the
    /// main program.
    #[serde(default)]
    pub tap: Option<Tap>,
    /// A unix socket of this host by which a port of the virtual machine is reached when nothing listens there on its own
    /// address: its agent connects to its loopback.
    #[serde(default)]
    pub agent: Option<PathBuf>,
    /// A unix socket of this host by which the screen of a virtual machine is seen: ports that lead to 0 inside lead there. It
    /// is asked as the agent is.
    #[serde(default)]
    pub screen: Option<PathBuf>,
}

/// A tap device, `vm0`, in the network namespace of a sandbox: one queue, with the header of virtio and no other. Its
/// descriptor is the main program's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tap {}

/// Another machine on the same network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: Ipv4Addr,
    /// The `net.sock` of its sandbox, which hands out connections into it.
    pub socket: PathBuf,
}

/// A sandbox that runs: `run.json` in its run folder, and the line that `stead-box start` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its run folder.
    #[serde(default)]
    pub run: PathBuf,
    /// The first process inside, by its number outside.
    pub init: i32,
    /// Its start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub init_start: u64,
    /// The process that serves its network, if it has one.
    pub net: Option<i32>,
    /// Its start time.
    pub net_start: u64,
    /// The kernel's boot id.
    pub boot: String,
    /// When it was started; milliseconds since the Unix epoch.
    pub started: u64,
    /// Its cgroups, which whoever enters must join: full paths of folders.
    pub cgroups: Vec<PathBuf>,
    /// Whether containers may be made inside: it decides the system call filter of whoever enters.
    pub nested: bool,
    /// Variables that whoever enters has.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What does not hold although nobody asked for it: "no cgroup could be made: …".
    pub notes: Vec<String>,
}
