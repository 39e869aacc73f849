//! What a machine's operating system is like: `[systems.NAME]`.

mod service;
mod way_in;

pub use service::{Alerts, Logs, Service, ServiceKind};
pub use way_in::{Firewall, Metadata, Overlay, OverlayKind, Ssh, Transport};

use super::Arch;
use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An operating system, whatever it is rendered to. Secure without a word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// What it is.
    pub os: Os,
    /// The processor it is built for.
    pub arch: Arch,
    /// Its name. `None`: the machine's.
    pub hostname: Option<String>,
    /// As the tz database names it.
    pub timezone: String,
    /// As `locale -a` names it.
    pub locale: String,
    /// Bundles of declarations, in order.
    pub roles: Vec<String>,
    /// People, by login name.
    pub users: BTreeMap<String, User>,
    /// Reached by ssh.
    pub ssh: Ssh,
    /// Reached by AWS Systems Manager.
    pub ssm: bool,
    /// What may connect to it.
    pub firewall: Firewall,
    /// The network between a person's own devices.
    pub overlay: Overlay,
    /// Agents, and what they work with.
    pub agents: Agents,
    /// Packages, by the name that both systems have, or that Stead knows in both.
    pub packages: Vec<String>,
    /// Languages, as named sets of packages.
    pub toolchains: Vec<String>,
    /// Daemons and timers of people's own, by unit name without `.service`.
    pub services: BTreeMap<String, Service>,
    /// Where a failed unit is told.
    pub alerts: Alerts,
    /// Where the journal goes.
    pub logs: Logs,
    /// Its disk, for an installation from nothing.
    pub disk: SystemDisk,
    /// Updates that install themselves.
    pub updates: Updates,
    /// Whether the kernel's audit log is kept.
    pub audit_log: bool,
    /// Names of secrets whose files it has.
    pub secrets: Vec<String>,
    /// What the role `desktop` is.
    pub desktop: SystemDesktop,
    /// What the role `llm` is.
    pub llm: Llm,
    /// What the role `container-host` is.
    pub containers: Containers,
    /// What the role `code-server` is.
    pub code_server: CodeServer,
    /// What the role `reverse-proxy` is.
    pub reverse_proxy: ReverseProxy,
    /// What only NixOS has.
    pub nixos: Nixos,
    /// What only Debian has.
    pub debian: Debian,
}

impl Default for System {
    fn default() -> Self {
        System {
            os: Os::Debian,
            arch: Arch::X86_64,
            hostname: None,
            timezone: "UTC".into(),
            locale: "C.UTF-8".into(),
            roles: Vec::new(),
            users: BTreeMap::new(),
            ssh: Ssh::default(),
            ssm: false,
            firewall: Firewall::default(),
            overlay: Overlay::default(),
            agents: Agents::default(),
            packages: Vec::new(),
            toolchains: Vec::new(),
            services: BTreeMap::new(),
            alerts: Alerts::default(),
            logs: Logs::default(),
            disk: SystemDisk::default(),
            updates: Updates::Security,
            audit_log: true,
            secrets: Vec::new(),
            desktop: SystemDesktop::default(),
            llm: Llm::default(),
            containers: Containers::default(),
            code_server: CodeServer::default(),
            reverse_proxy: ReverseProxy::default(),
            nixos: Nixos::default(),
            debian: Debian::default(),
        }
    }
}

/// What a system is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Os {
    /// Debian 12.
    #[default]
    Debian,
    /// NixOS.
    Nixos,
}

/// Updates that install themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Updates {
    /// Those that close holes.
    #[default]
    Security,
    /// All of the release.
    All,
    /// None.
    Off,
}

/// How a user becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sudo {
    /// Not at all.
    #[default]
    None,
    /// With the user's password.
    Password,
    /// Without a question.
    Passwordless,
}

/// A person's login.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// `bash`, `zsh`, `fish`; empty: `bash`.
    pub shell: String,
    /// Groups besides the user's own.
    pub groups: Vec<String>,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
    /// How the user becomes root.
    pub sudo: Sudo,
    /// A git repository whose files are put in the home folder.
    pub dotfiles: Option<String>,
    /// `user.name` of git.
    pub git_name: Option<String>,
    /// `user.email` of git.
    pub git_email: Option<String>,
}

/// The agents of a system, and what they work with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Agents {
    /// `claude`, `codex`, `opencode`, `gemini`.
    pub install: Vec<String>,
    /// Versions they stay at, by agent. One without follows.
    pub versions: BTreeMap<String, String>,
    /// What `~/.claude` is taken from: a folder of this host, or a git repository.
    pub claude_home: Option<String>,
    /// `user.name` and `user.email` of git, by agent.
    pub git: BTreeMap<String, GitIdentity>,
    /// `zellij`, `tmux`.
    pub multiplexers: Vec<String>,
    /// `starship`, `atuin`, `git-tools`, `granted`, `awscli`.
    pub tools: Vec<String>,
}

/// Who commits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GitIdentity {
    /// `user.name`.
    pub name: String,
    /// `user.email`.
    pub email: String,
}

/// The disk of a machine that is installed from nothing: GPT, a boot partition, a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemDisk {
    /// The device that is overwritten.
    pub device: PathBuf,
    /// The file system of the root.
    pub root: RootFs,
    /// Size of `/boot`.
    pub boot: Size,
    /// Size of the swap partition.
    pub swap: Option<Size>,
    /// The root takes what the disk has gained.
    pub grow: bool,
    /// The root is in memory; `persist` is on the disk.
    pub impermanent: bool,
    /// Folders that survive although the root is in memory.
    pub persist: Vec<PathBuf>,
}

impl Default for SystemDisk {
    fn default() -> Self {
        SystemDisk {
            device: "/dev/vda".into(),
            root: RootFs::Ext4,
            boot: Size::mib(512),
            swap: None,
            grow: true,
            impermanent: false,
            persist: Vec::new(),
        }
    }
}

/// The file system of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootFs {
    /// ext4.
    #[default]
    Ext4,
    /// btrfs, with subvolumes for root, home and nix.
    Btrfs,
    /// zfs, with datasets for the same.
    Zfs,
}

/// What the role `desktop` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemDesktop {
    /// `xfce` or `plasma`.
    pub environment: String,
    /// The port of RDP.
    pub rdp: u16,
}

impl Default for SystemDesktop {
    fn default() -> Self {
        SystemDesktop { environment: "xfce".into(), rdp: 3389 }
    }
}

/// What the role `llm` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Llm {
    /// `ollama` or `vllm`.
    pub server: String,
    /// Models that are there from the start; vLLM serves the first.
    pub models: Vec<String>,
    /// With the drivers of NVIDIA.
    pub cuda: bool,
}

impl Default for Llm {
    fn default() -> Self {
        Llm { server: "ollama".into(), models: Vec::new(), cuda: false }
    }
}

/// What the role `container-host` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Containers {
    /// `podman` or `docker`.
    pub engine: String,
}

impl Default for Containers {
    fn default() -> Self {
        Containers { engine: "podman".into() }
    }
}

/// What the role `code-server` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeServer {
    /// Its port, on the loopback.
    pub port: u16,
    /// Who it runs as. `None`: the first user.
    pub user: Option<String>,
}

impl Default for CodeServer {
    fn default() -> Self {
        CodeServer { port: 4444, user: None }
    }
}

/// What the role `reverse-proxy` is: Caddy, which asks oauth2-proxy who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReverseProxy {
    /// Its domain.
    pub domain: Option<String>,
    /// Where requests go, `host:port`.
    pub upstream: Option<String>,
    /// Who signs people in: the address of an OIDC issuer.
    pub issuer: Option<String>,
    /// The client's id there.
    pub client_id: Option<String>,
    /// The secret with the client's secret.
    pub client_secret: Option<String>,
    /// The secret with which cookies are encrypted: 32 bytes.
    pub cookie_secret: Option<String>,
    /// Addresses of mail that may come in.
    pub emails: Vec<String>,
}

/// What only NixOS has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nixos {
    /// `25.11` or `unstable`.
    pub channel: String,
    /// Modules of the user's own.
    pub modules: Vec<PathBuf>,
    /// Packages by their attribute in nixpkgs.
    pub packages: Vec<String>,
    /// What users have is declared by home-manager.
    pub home_manager: bool,
}

impl Default for Nixos {
    fn default() -> Self {
        Nixos {
            channel: "25.11".into(),
            modules: Vec::new(),
            packages: Vec::new(),
            home_manager: true,
        }
    }
}

/// What only Debian has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Debian {
    /// Fragments of cloud-init user-data of the user's own.
    pub cloud_init: Vec<PathBuf>,
    /// Packages by their Debian name.
    pub packages: Vec<String>,
}
