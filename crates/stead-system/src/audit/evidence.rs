//! What was found on a machine: everything that checks judge, gathered once.

use super::rules::Ruleset;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// Something, or why it could not be looked at.
pub type Seen<T> = Result<T, String>;

/// All that was found.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// `ID` of `/etc/os-release`.
    pub os: Seen<String>,
    /// Whether it is a container, which has its host's kernel.
    pub container: bool,
    /// What the ssh server goes by.
    pub sshd: Seen<Sshd>,
    /// All rules of nftables.
    pub ruleset: Seen<Ruleset>,
    /// Sockets that wait for connections or datagrams.
    pub listeners: Seen<Vec<Listener>>,
    /// Whether somebody without rights was connected with the metadata address.
    pub metadata: Seen<Reached>,
    /// Whether it has IPv6 on more than the loopback.
    pub ipv6: bool,
    /// Accounts by login name.
    pub accounts: Seen<BTreeMap<String, Account>>,
    /// Passwords by login name.
    pub passwords: Seen<BTreeMap<String, Password>>,
    /// Groups by name.
    pub groups: Seen<BTreeMap<String, Group>>,
    /// What sudo lets people do.
    pub sudo: Seen<Vec<SudoRule>>,
    /// Keys that let people in, by login name.
    pub keys: BTreeMap<String, Seen<Vec<KeyFile>>>,
    /// Files with credentials that are there.
    pub credentials: Seen<Vec<Credential>>,
    /// Files below `/run/secrets`, by name.
    pub secrets: Seen<BTreeMap<String, Credential>>,
    /// Files with a key that nobody should read there, and whose it is.
    pub plain_keys: Seen<Vec<(PathBuf, &'static str)>>,
    /// Units that were asked for, by name.
    pub units: Seen<BTreeMap<String, Unit>>,
    /// Units that failed.
    pub failed: Seen<Vec<String>>,
    /// How exposed units are, by name: 0 to 10.
    pub exposure: Seen<BTreeMap<String, f64>>,
    /// What apt goes by: values by name.
    pub apt: Seen<BTreeMap<String, Vec<String>>>,
    /// Packages with an update that closes a hole.
    pub updates: Seen<Vec<String>>,
    /// How many days ago it was last looked for updates.
    pub lists_age: Seen<u64>,
    /// What runs and is not what is installed, if anything is.
    pub restart: Seen<Option<Old>>,
    /// Packages that are installed, by their Debian name.
    pub packages: Seen<BTreeSet<String>>,
    /// Agents by name, and where each is.
    pub agents: BTreeMap<String, Option<Agent>>,
    /// What fail2ban watches.
    pub jails: Seen<Vec<String>>,
    /// What it calls itself.
    pub hostname: Seen<String>,
    /// Its time zone.
    pub timezone: Seen<String>,
    /// Its `LANG`.
    pub locale: Seen<String>,
    /// Interfaces, and whether each is up.
    pub interfaces: Seen<BTreeMap<String, bool>>,
    /// What runs as a remote control.
    pub remote_controls: Seen<Vec<Process>>,
    /// Variables that everything or everybody's agent gets, by the file that sets them.
    pub environments: Seen<Vec<(PathBuf, Vec<String>)>>,
    /// Sockets whose owner is root: those of container engines.
    pub engine_sockets: Seen<Vec<EngineSocket>>,
    /// Whether the clock goes by another.
    pub clock: Seen<bool>,
    /// How full disks are.
    pub disks: Seen<Vec<Disk>>,
}

/// What the ssh server goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sshd {
    /// Its settings for a connection of root's from far away, in small letters.
    pub settings: BTreeMap<String, Vec<String>>,
    /// The same for each person, by login name.
    pub people: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Settings within `Match`: the criterion, the keyword in small letters, the value.
    pub matches: Vec<(String, String, String)>,
    /// Why the server could not be asked, and `settings` are only what its files say.
    pub unasked: Option<String>,
}

impl Sshd {
    /// The one value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key)?.first().map(String::as_str)
    }
}

/// What came of an attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Somebody answered.
    Yes,
    /// Nobody did: what the kernel said of it.
    No(String),
}

/// A socket that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// UDP rather than TCP.
    pub udp: bool,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Whose it is, if that can be told.
    pub program: Option<String>,
}

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// The number of its own group.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
    /// Its shell.
    pub shell: String,
}

impl Account {
    /// Whether it is a person's: not of the system, and with a shell.
    pub fn is_person(&self) -> bool {
        (1000..60_000).contains(&self.uid) && self.has_shell()
    }

    /// Whether it can log in at all.
    pub fn has_shell(&self) -> bool {
        !["nologin", "false", "sync"].iter().any(|none| self.shell.ends_with(none))
    }
}

/// A password as `/etc/shadow` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// None is asked for.
    Empty,
    /// None is right.
    Locked,
    /// There is one.
    Set,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Who is in it, besides those whose own it is.
    pub members: Vec<String>,
}

/// A line of sudo's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SudoRule {
    /// Who: a login name, `%group`, `ALL`.
    pub who: String,
    /// Without a password.
    pub free: bool,
    /// Whether everything may be run.
    pub all: bool,
}

/// A file of keys that let somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The file.
    pub path: PathBuf,
    /// Its keys: type and key, without options and comment.
    pub keys: Vec<String>,
    /// The file or folder on the way to it that others may write to.
    pub open: Option<PathBuf>,
}

/// A file with credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The file.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Whether everybody can read it, or write to it.
    pub exposed: bool,
    /// Its group, if that can, and who is in it besides the owner.
    pub group: Option<(String, Vec<String>)>,
}

/// A unit of systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its properties by name.
    pub properties: BTreeMap<String, String>,
}

impl Unit {
    /// A property; empty if it has none.
    pub fn get(&self, key: &str) -> &str {
        self.properties.get(key).map_or("", String::as_str)
    }

    /// Whether there is such a unit.
    pub fn there(&self) -> bool {
        self.get("LoadState") == "loaded"
    }

    /// Whether it runs.
    pub fn active(&self) -> bool {
        matches!(self.get("ActiveState"), "active" | "activating" | "reloading")
    }

    /// Whether it runs or has done its work.
    pub fn state(&self) -> String {
        match self.get("LoadState") {
            "loaded" => self.get("ActiveState").to_owned(),
            other => other.to_owned(),
        }
    }
}

/// An agent that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its program.
    pub path: PathBuf,
    /// Its version.
    pub version: Seen<String>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Names of the variables in its environment.
    pub variables: Seen<Vec<String>>,
}

/// The socket of a container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSocket {
    /// The socket.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// It was put here from outside.
    pub mounted: bool,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub at: PathBuf,
    /// Per cent of its space that are taken.
    pub used: u8,
    /// Per cent of its files that are taken.
    pub files: u8,
}

/// What runs is older than what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// A restart changes that. Why.
    Restart(String),
    /// It is a kernel that this machine is given from outside, whatever is installed in it. Which.
    Given(String),
}
