//! What a guest is to be; its keeper tells it when it boots.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// All that a guest is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Its name.
    pub hostname: String,
    /// Its id, 32 hexadecimal digits.
    pub machine_id: String,
    /// Where its root is.
    pub root: Root,
    /// What its first process is.
    pub guest: Guest,
    /// A disk whose folders outlive a root in memory.
    pub persist: Option<Persist>,
    /// Folders of the host.
    pub shares: Vec<Share>,
    /// Its network.
    pub net: Option<Net>,
    /// Variables of every command.
    pub env: BTreeMap<String, String>,
    /// Ports on 127.0.0.1 inside that lead to the same ports of the gateway.
    pub host_ports: Vec<u16>,
    /// The root was another machine's, unless it has this machine's id by now: what tells machines apart is removed from it.
    pub strip: bool,
    /// What time it is, in milliseconds since 1970.
    pub clock_ms: Option<u64>,
    /// Keys that may log in as root; nothing is changed if there are none.
    pub authorized_keys: Vec<String>,
    /// Random bytes, in hexadecimal digits, for the kernel's pool.
    pub seed: Option<String>,
    /// Root has a shell on the console: for a machine that nobody keeps.
    pub shell: bool,
}

/// What the first process of a guest is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guest {
    /// This program.
    #[default]
    Light,
    /// The root's own `/sbin/init`.
    Full,
}

/// The root of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// The device: a path in `/dev`, or `serial:` and the serial number of a disk.
    pub device: String,
    /// Its file system.
    pub fstype: String,
    /// Whether an ext4 is made as large as the device.
    pub grow: bool,
    /// The device is not written to, and what is changed is kept in memory, at most so many bytes.
    pub memory: Option<u64>,
}

impl Default for Root {
    fn default() -> Self {
        Root { device: "/dev/vda".into(), fstype: "ext4".into(), grow: false, memory: None }
    }
}

/// A disk with folders that take the place of the root's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persist {
    /// The device, as in [`Root::device`], with an ext4.
    pub device: String,
    /// Paths inside.
    pub folders: Vec<PathBuf>,
    /// Whether the file system is made as large as the device.
    #[serde(default)]
    pub grow: bool,
}

/// A folder of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What the device calls it.
    pub tag: String,
    /// Where it is put inside.
    pub at: PathBuf,
    /// How it comes in.
    pub kind: ShareKind,
    /// Whether it can be written to. The host sees to it as well.
    #[serde(default)]
    pub writable: bool,
}

/// How a folder of the host comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShareKind {
    /// A process of the host's beside QEMU.
    Virtiofs,
    /// QEMU itself.
    #[serde(rename = "9p")]
    NineP,
}

/// The network of a guest: one interface, one way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// The interface by its hardware address.
    #[serde(default)]
    pub mac: Option<String>,
    /// Or by its name.
    #[serde(default)]
    pub interface: Option<String>,
    /// Its address.
    pub address: Ipv4Addr,
    /// Bits of the address that are the network's.
    pub prefix: u8,
    /// Where everything goes; it is reached directly, whatever the address.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Whom to ask for names.
    #[serde(default)]
    pub name_servers: Vec<Ipv4Addr>,
}
