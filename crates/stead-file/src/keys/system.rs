//! The keys of an operating system.

mod agents;
mod roles;
mod service;
mod way_in;

pub(crate) use agents::{AGENTS, GIT};
pub use roles::ROLES;
pub(crate) use roles::{CODE_SERVER, CONTAINERS, LLM, REVERSE_PROXY, ROLE_DESKTOP};
pub(crate) use service::{ALERTS, LOGS, SERVICE};
pub(crate) use way_in::{FIREWALL, OVERLAY, SSH};

use crate::amount::Bytes;
use crate::declared::{Arch, Debian, Nixos, Os, RootFs, Sudo, System, SystemDisk, Updates, User};
use crate::form::{Choice, Flag, Form, List, Name, Word};
use crate::named::Named;
use crate::path::{Inside, OfHost};
use crate::size::Size;
use crate::table::{Key, Table, rows};
use crate::text::{
    ATTRIBUTE, DAEMON, DEVICE, HOSTNAME, LINE, LOCALE, LOGIN, PACKAGE, REPOSITORY, SSH_KEY,
    TIMEZONE,
};
use std::path::PathBuf;

/// The sets of packages that are known, each a language.
const TOOLCHAINS: [&str; 8] = ["c", "rust", "go", "node", "python", "java", "ruby", "haskell"];

pub(crate) static SYSTEM: Table<System> = Table {
    what: "a system",
    header: "[systems.NAME]",
    doc: "An operating system, declared once for NixOS and Debian. A machine has it with `system = \"NAME\"`.",
    keys: rows!(System {
        /// What it is rendered to.
        os: Word(&[("debian", Os::Debian), ("nixos", Os::Nixos)]), "\"debian\"", "\"nixos\"",
            elsewhere ["distribution", "distro", "on"]
            => |system, os| system.os = os;
        /// The processor it is built for.
        arch: Word(&[("x86_64", Arch::X86_64), ("aarch64", Arch::Aarch64)]), "\"x86_64\"", "\"aarch64\"",
            elsewhere ["architecture", "platform"]
            => |system, arch| system.arch = arch;
        /// What it calls itself.
        hostname: HOSTNAME, "the machine's name", "\"box\""
            => |system, name| system.hostname = Some(name);
        /// Its time zone.
        timezone: TIMEZONE, "\"UTC\"", "\"Europe/Berlin\"",
            elsewhere ["tz", "time_zone"]
            => |system, zone| system.timezone = zone;
        /// Its language and its forms of numbers and dates.
        locale: LOCALE, "\"C.UTF-8\"", "\"en_US.UTF-8\"",
            elsewhere ["lang", "language"]
            => |system, locale| system.locale = locale;
        /// Bundles of declarations: what the machine is for.
        roles: List { of: Choice(&ROLES), once: "role", same: String::clone }, "[]", "[\"agent-host\", \"container-host\"]",
            elsewhere ["role", "profiles"]
            => |system, roles| system.roles = roles;
        /// Its people, by login name.
        users: Named { table: &USER, name: LOGIN }, "{}", "{ ada = { keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop\"] } }",
            elsewhere ["user", "accounts"]
            => |system, users| system.users = users;
        /// Packages, by their name in Debian; Stead knows what they are called in nixpkgs.
        packages: List { of: PACKAGE, once: "package", same: String::clone }, "[]", "[\"ripgrep\", \"jq\"]"
            => |system, packages| system.packages = packages;
        /// Languages: compiler or interpreter, with what builds and checks.
        toolchains: List { of: Choice(&TOOLCHAINS), once: "language", same: String::clone }, "[]", "[\"rust\", \"node\"]",
            elsewhere ["languages"]
            => |system, toolchains| system.toolchains = toolchains;
        /// Daemons and timers of your own, by name.
        services: Named { table: &SERVICE, name: DAEMON }, "{}", "{ sync = { command = \"/usr/bin/true\" } }",
            elsewhere ["units", "systemd", "daemons"]
            => |system, services| system.services = services;
        /// Updates that install themselves.
        updates: Word(&[("security", Updates::Security), ("all", Updates::All), ("off", Updates::Off)]),
            "\"security\"", "\"all\"",
            elsewhere ["upgrades", "auto_upgrade", "unattended_upgrades"]
            => |system, updates| system.updates = updates;
        /// Whether the agent of AWS Systems Manager runs: a way in at AWS that opens no port. The instance's role must
        /// allow it (`AmazonSSMManagedInstanceCore`).
        ssm: Flag, "false", "true",
            elsewhere ["session_manager", "systems_manager", "amazon_ssm_agent"]
            => |system, flag| system.ssm = flag;
        /// Whether the kernel's audit log is kept.
        audit_log: Flag, "true", "false",
            elsewhere ["auditd", "audit"]
            => |system, flag| system.audit_log = flag;
        /// Names of secrets that it has as files, `/run/secrets/NAME`.
        secrets: List { of: Name("a secret"), once: "secret", same: String::clone }, "[]", "[\"api-token\"]"
            => |system, secrets| system.secrets = secrets;
    } tables {
        /// Its ssh server.
        ssh: SSH, "keys only", "{ allow_users = [\"ada\"] }",
            elsewhere ["sshd", "openssh"]
            => |system| &mut system.ssh;
        /// What may connect to it.
        firewall: FIREWALL, "only ssh, and on an overlay that is joined by a key not even that", "{ open = [\"443\"] }",
            elsewhere ["nftables", "iptables", "ports"]
            => |system| &mut system.firewall;
        /// The network between your own devices.
        overlay: OVERLAY, "none", "{ kind = \"tailscale\", key = \"tailscale-key\" }",
            elsewhere ["vpn", "tailscale", "netbird", "wireguard", "headscale"]
            => |system| &mut system.overlay;
        /// Agents, and what they work with.
        agents: AGENTS, "{}", "{ install = [\"claude\"] }",
            elsewhere ["agent", "tools"]
            => |system| &mut system.agents;
        /// Where a unit that failed is told.
        alerts: ALERTS, "nowhere", "{ ntfy = \"https://ntfy.example.org/box\" }",
            elsewhere ["ntfy", "notify", "alerting"]
            => |system| &mut system.alerts;
        /// Where the journal goes.
        logs: LOGS, "nowhere", "{ loki = \"https://loki.example.org/loki/api/v1/push\" }",
            elsewhere ["loki", "alloy", "logging"]
            => |system| &mut system.logs;
        /// Its disk, where it is installed from nothing.
        disk: DISK, "ext4 on `/dev/vda`", "{ device = \"/dev/sda\", root = \"btrfs\" }",
            elsewhere ["disks", "disko", "partitions"]
            => |system| &mut system.disk;
        /// What the role `desktop` is.
        desktop: ROLE_DESKTOP, "Xfce", "{ environment = \"plasma\" }" => |system| &mut system.desktop;
        /// What the role `llm` is.
        llm: LLM, "Ollama", "{ models = [\"qwen3:8b\"], cuda = true }" => |system| &mut system.llm;
        /// What the role `container-host` is.
        containers: CONTAINERS, "Podman", "{ engine = \"docker\" }",
            elsewhere ["container_host", "docker", "podman"]
            => |system| &mut system.containers;
        /// What the role `code-server` is.
        code_server: CODE_SERVER, "port 4444", "{ port = 8443 }" => |system| &mut system.code_server;
        /// What the role `reverse-proxy` is.
        reverse_proxy: REVERSE_PROXY, "{}", "{ domain = \"box.example.org\", upstream = \"127.0.0.1:4444\" }",
            elsewhere ["caddy", "proxy"]
            => |system| &mut system.reverse_proxy;
        /// What only NixOS has.
        nixos: NIXOS, "{}", "{ channel = \"unstable\" }",
            elsewhere ["nix", "nixpkgs"]
            => |system| &mut system.nixos;
        /// What only Debian has.
        debian: DEBIAN, "{}", "{ packages = [\"task-german\"] }",
            elsewhere ["cloud_init", "apt"]
            => |system| &mut system.debian;
    }),
};

pub(crate) static USER: Table<User> = Table {
    what: "a user",
    header: "[systems.NAME.users.NAME]",
    doc: "A person's login. Nobody has a password.",
    keys: rows!(User {
        /// The shell.
        shell: Choice(&["bash", "zsh", "fish"]), "\"bash\"", "\"zsh\"" => |user, shell| user.shell = shell;
        /// Groups besides the user's own.
        groups: List { of: LOGIN, once: "group", same: String::clone }, "[]", "[\"video\"]"
            => |user, groups| user.groups = groups;
        /// Public keys that let the user in.
        keys: List { of: SSH_KEY, once: "key", same: String::clone }, "[]", "[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop\"]",
            elsewhere ["authorized_keys", "ssh_keys"]
            => |user, keys| user.keys = keys;
        /// How the user becomes root. Without passwords in the file, `password` is of use once one was set inside.
        sudo: Word(&[("none", Sudo::None), ("password", Sudo::Password), ("passwordless", Sudo::Passwordless)]),
            "\"none\"", "\"passwordless\"",
            elsewhere ["wheel", "admin"]
            => |user, sudo| user.sudo = sudo;
        /// A git repository whose files are put in the home folder.
        dotfiles: REPOSITORY, "none", "\"https://example.org/ada/dotfiles\""
            => |user, dotfiles| user.dotfiles = Some(dotfiles);
        /// The name in the user's commits.
        git_name: LINE, "none", "\"Ada Lovelace\"" => |user, name| user.git_name = Some(name);
        /// The address in the user's commits.
        git_email: LINE, "none", "\"ada@example.org\"" => |user, mail| user.git_email = Some(mail);
    }),
};

pub(crate) static DISK: Table<SystemDisk> = Table {
    what: "`disk`",
    header: "[systems.NAME.disk]",
    doc: "The disk of a machine that is installed from nothing: GPT, a vfat `/boot`, a root.",
    keys: rows!(SystemDisk {
        /// The device, all of which is overwritten.
        device: DEVICE, "\"/dev/vda\"", "\"/dev/nvme0n1\"" => |disk, device: String| disk.device = device.into();
        /// The file system of the root.
        root: Word(&[("ext4", RootFs::Ext4), ("btrfs", RootFs::Btrfs), ("zfs", RootFs::Zfs)]), "\"ext4\"", "\"btrfs\"",
            elsewhere ["filesystem", "fs", "format"]
            => |disk, root| disk.root = root;
        /// The size of `/boot`.
        boot: Bytes(Size::mib(64), Size::gib(16)), "512 MiB", "\"1GiB\"" => |disk, size| disk.boot = size;
        /// The size of the swap partition.
        swap: Bytes(Size::mib(64), Size::gib(1024)), "none", "\"4GiB\"" => |disk, size| disk.swap = Some(size);
        /// The root takes what the disk has gained, at every start.
        grow: Flag, "true", "false" => |disk, flag| disk.grow = flag;
        /// The root is in memory and gone at a restart, but for `persist`.
        impermanent: Flag, "false", "true",
            elsewhere ["impermanence", "ephemeral", "tmpfs"]
            => |disk, flag| disk.impermanent = flag;
        /// Folders that survive although the root is in memory, besides those without which it would be another machine.
        persist: List { of: Inside, once: "folder", same: PathBuf::clone }, "[]", "[\"/var/lib/docker\"]"
            => |disk, folders| disk.persist = folders;
    }),
};

pub(crate) static NIXOS: Table<Nixos> = Table {
    what: "`nixos`",
    header: "[systems.NAME.nixos]",
    doc: "What a system has only as NixOS.",
    keys: rows!(Nixos {
        /// The release of nixpkgs.
        channel: Choice(&["25.11", "unstable"]), "\"25.11\"", "\"unstable\"",
            elsewhere ["release", "version", "nixpkgs"]
            => |nixos, channel| nixos.channel = channel;
        /// Modules of your own, which are imported beside those that are rendered.
        modules: List { of: OfHost, once: "module", same: PathBuf::clone }, "[]", "[\"./extra.nix\"]",
            elsewhere ["imports"]
            => |nixos, modules| nixos.modules = modules;
        /// Packages by their attribute in nixpkgs.
        packages: List { of: ATTRIBUTE, once: "package", same: String::clone }, "[]", "[\"python3Packages.black\"]"
            => |nixos, packages| nixos.packages = packages;
        /// What users have is declared with home-manager.
        home_manager: Flag, "true", "false" => |nixos, flag| nixos.home_manager = flag;
    }),
};

pub(crate) static DEBIAN: Table<Debian> = Table {
    what: "`debian`",
    header: "[systems.NAME.debian]",
    doc: "What a system has only as Debian.",
    keys: rows!(Debian {
        /// Fragments of cloud-init user-data of your own, which are merged in.
        cloud_init: List { of: OfHost, once: "fragment", same: PathBuf::clone }, "[]", "[\"./extra.yaml\"]",
            elsewhere ["user_data"]
            => |debian, fragments| debian.cloud_init = fragments;
        /// Packages by their name in Debian.
        packages: List { of: PACKAGE, once: "package", same: String::clone }, "[]", "[\"task-german\"]"
            => |debian, packages| debian.packages = packages;
    }),
};
