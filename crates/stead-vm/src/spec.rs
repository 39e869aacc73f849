//! What a virtual machine is made of. The engine writes it; every path is one that the keeper sees.

use crate::guest::config::Config;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use stead_file::declared::{Accel, Arch, Board, Format};

/// A virtual machine to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vm {
    /// The machine's name.
    pub name: String,
    /// QEMU's program for `arch`.
    pub qemu: PathBuf,
    /// Its processors' architecture.
    pub arch: Arch,
    /// The board that QEMU plays.
    pub board: Board,
    /// How its processors run.
    pub accel: Accel,
    /// How many processors it sees.
    pub cpus: u32,
    /// Bytes of memory that it sees.
    pub memory: u64,
    /// Bytes of memory that are left to it while this host is short of memory; `None`: all of it.
    #[serde(default)]
    pub balloon: Option<u64>,
    /// How it boots.
    pub boot: Boot,
    /// Disks in the order in which the guest sees them.
    pub disks: Vec<Disk>,
    /// Folders of the host that it shares.
    pub shares: Vec<Share>,
    /// The hardware address of its network card; `None`: it has none. The tap is in `STEAD_TAP_FD`.
    pub mac: Option<String>,
    /// Where the keeper makes its sockets (see [`crate::files`]) and what it runs makes its own.
    pub folder: PathBuf,
    /// Where what the guest says on its console is kept.
    pub console_log: PathBuf,
    /// Where the keeper writes how the machine ended.
    pub ended: PathBuf,
    /// Memory to go on from, as [`crate::control::Request::Snapshot`] wrote it.
    #[serde(default)]
    pub resume: Option<PathBuf>,
    /// What the agent inside is told about its machine; `None`: no agent is expected.
    #[serde(default)]
    pub config: Option<Config>,
    /// Whether there may be no agent nevertheless: the machine is up as soon as its processors run.
    #[serde(default)]
    pub doubtful: bool,
    /// A screen.
    #[serde(default)]
    pub screen: Option<Screen>,
    /// The `PulseAudio` server that it plays on and hears from: a socket.
    #[serde(default)]
    pub audio: Option<PathBuf>,
}

/// How a machine boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// A kernel that QEMU loads.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its first file system.
        initramfs: PathBuf,
        /// Its command line, beside what the board needs.
        line: String,
    },
    /// The firmware finds a boot loader on the first disk.
    Firmware,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What the guest reads as its serial number: at most 20 bytes.
    pub serial: String,
    /// The file.
    pub path: PathBuf,
    /// What is in it. Never guessed: a guest that writes a header into a raw disk would name files of the host.
    pub format: Format,
    /// Whether it is only read.
    pub readonly: bool,
}

/// A folder of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// By which the guest mounts it; at most 31 bytes.
    pub tag: String,
    /// Where the keeper sees it. What is only to be read is mounted so there.
    pub path: PathBuf,
    /// Whether the guest may write.
    pub writable: bool,
    /// How it goes in.
    pub by: ShareBy,
}

/// How a folder goes into a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareBy {
    /// By this program, `virtiofsd`.
    Virtiofs(PathBuf),
    /// By QEMU itself.
    NineP,
}

/// A screen that is shown over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// How a machine ended: the file [`Vm::ended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether the guest was shut down: by somebody inside, or because it was asked to.
    pub orderly: bool,
    /// "the guest shut down", "its kernel panicked: …", "QEMU was killed by signal 9".
    pub why: String,
    /// When; milliseconds since the Unix epoch.
    pub at: u64,
}
