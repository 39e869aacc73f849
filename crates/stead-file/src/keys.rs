//! Every key of the file.

mod qemu;
mod system;

pub(crate) use qemu::{DESKTOP, QEMU};
pub use system::ROLES;
pub(crate) use system::{
    AGENTS, ALERTS, CODE_SERVER, CONTAINERS, DEBIAN, DISK, FIREWALL, GIT, LLM, LOGS, NIXOS,
    OVERLAY, REVERSE_PROXY, ROLE_DESKTOP, SERVICE, SSH, SYSTEM, USER,
};

use crate::amount::{Age, Bytes, Cpus};
use crate::command::Command;
use crate::declared::{Keep, Machine, Network, Port, Session, Share};
use crate::egress::Where;
use crate::env::Environment;
use crate::form::{Choice, EngineName, Flag, Form, List, Name, Whole};
use crate::path::{Image, Inside, OfHost, Shared, StartIn};
use crate::port::{Address, Forward, Single};
use crate::reader::{Reader, Spot};
use crate::size::Size;
use crate::table::{Key, Table, rows};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// The table `[stead]`.
#[derive(Default)]
pub(crate) struct Stead {
    pub name: Option<String>,
    pub defaults: Machine,
}

pub(crate) static STEAD: Table<Stead> = Table {
    what: "`[stead]`",
    header: "[stead]",
    doc: "The whole: its name, and what all machines have in common.",
    keys: rows!(Stead {
        /// The name of the whole; part of the names of what engines make.
        name: Name("the whole"), "the name of the file's folder", "\"home\"" => |stead, name| stead.name = Some(name);
        /// What each machine starts from: any keys of a machine. A machine's own keys replace them; `env` and `keep`
        /// are added to.
        defaults: Defaults, "nothing", "{ engine = \"sandbox\", memory = \"8gb\" }"
            => |stead, machine| stead.defaults = machine;
    }),
};

const MIB: u64 = 1 << 20;

pub(crate) static MACHINE: Table<Machine> = Table {
    what: "a machine",
    header: "[machines.NAME]",
    doc: "A machine: an isolated computer where agents work. The name `host` is this computer itself.",
    keys: rows!(Machine {
        /// What it runs on: `sandbox` is a copy-on-write clone of this computer, `qemu` a virtual machine, `host` this
        /// computer itself.
        engine: EngineName, "\"sandbox\"", "\"sandbox\"",
            elsewhere ["type", "kind", "driver", "backend"]
            => |machine, engine| machine.engine = engine;
        /// What its root is made of: `host` is a copy-on-write view of this computer, `debian/12` a system of its own, a
        /// path an image (qcow2 or raw) for a virtual machine.
        image: Image, "`\"host\"`, for a virtual machine `\"debian/12\"`", "\"debian/12\"",
            elsewhere ["rootfs", "base", "os"]
            => |machine, image| machine.image = image;
        /// The declared system that it is brought to: users, ssh, firewall, packages, services.
        system: Name("a system"), "as its image has it", "\"dev\""
            => |machine, system| machine.system = Some(system);
        /// How many processors it may keep busy; one and a half is 1.5.
        cpus: Cpus, "as many as there are", "1.5",
            elsewhere ["cores", "processors", "vcpus"]
            => |machine, cpus| machine.cpus = Some(cpus);
        /// How much memory it may use. A number alone is GiB.
        memory: Bytes(Size(16 * MIB), Size::gib(1024)), "no limit, for a virtual machine 2 GiB, a light one 512 MiB", "\"8gb\"",
            elsewhere ["mem", "ram"]
            => |machine, memory| machine.memory = Some(memory);
        /// How much it may write. A number alone is GiB. That much and a fifth more must be free. Of a virtual machine the
        /// size of its disk, which takes only what is written, and can grow later but not shrink.
        disk: Bytes(Size(16 * MIB), Size::gib(10 * 1024)), "no limit, for a virtual machine 64 GiB", "\"20gb\"",
            elsewhere ["storage", "disk_size"]
            => |machine, disk| machine.disk = Some(disk);
        /// How many processes and threads it may have at a time.
        processes: Whole(16, 4_194_304), "no limit", "4096",
            elsewhere ["pids", "pids_limit", "tasks"]
            => |machine, processes| machine.processes = Some(processes);
        /// What it writes lies in memory and is gone when it stops.
        ephemeral: Flag, "false", "true",
            elsewhere ["tmpfs", "temporary"]
            => |machine, flag| machine.ephemeral = flag;
        /// Folders inside that survive although it is `ephemeral`.
        persist: List { of: Inside, once: "folder", same: PathBuf::clone }, "[]", "[\"/var/lib/db\"]"
            => |machine, paths| machine.persist = paths;
        /// The state that lies in it, by name. No two machines have the same.
        state: Name("a state"), "one called like the machine", "\"work\""
            => |machine, state| machine.state = Some(state);
        /// The declared network it is on, which then says where it may connect to.
        network: Name("a network"), "one of its own", "\"lab\"",
            elsewhere ["net", "networks"]
            => |machine, network| machine.network = Some(network);
        /// Where it may connect to: `open` is anywhere but this host, other machines and metadata services; `web-only`
        /// is ports 80 and 443 of public addresses; `none` is nowhere; a list allows only those servers, at ports 80
        /// and 443 unless a port is named.
        egress: Where, "\"open\"", "{ allow = [\"github.com\", \"*.githubusercontent.com\", \"git.example.org:22\", \"10.1.0.0/16\"] }",
            elsewhere ["allow", "firewall", "outbound"]
            => |machine, egress| machine.egress = egress;
        /// Ports of this host that lead into it: `HOST:INSIDE`, `ADDRESS:HOST:INSIDE`, or one number for both. On the
        /// loopback unless an address is named. A virtual machine that names none has those of 2222 (ssh), 3001 and 9080
        /// that are free.
        ports: List { of: Forward, once: "port", same: Port::clone }, "`[]`, for a virtual machine `[\"2222:22\", 3001, 9080]`", "[\"8080:80\", \"0.0.0.0:8443:443\", \"3000\"]",
            elsewhere ["port", "publish", "expose", "forward"]
            => |machine, ports| machine.ports = ports;
        /// Ports on this host's loopback that it may use as its own: a model server, a proxy.
        host_ports: List { of: Single, once: "port", same: u16::clone }, "[]", "[11434]"
            => |machine, ports| machine.host_ports = ports;
        /// Name servers to ask instead of this host's.
        dns: List { of: Address, once: "address", same: Clone::clone }, "this host's", "[\"1.1.1.1\"]",
            elsewhere ["nameservers", "nameserver", "resolvers"]
            => |machine, dns| machine.dns = dns;
        /// Folders of this host that it shares: `FOLDER:INSIDE`, with `:ro` only to read, or `FOLDER` alone for the same
        /// path inside; in a virtual machine `FOLDER` alone is `/mnt/host-rw/NAME` or `/mnt/host-ro/NAME`. Relative to this
        /// file; `~` is your home.
        shares: List { of: Shared, once: "place inside", same: place_of }, "[]", "[\".\", \"~/src:/src\", \"~/ref:/ref:ro\"]",
            elsewhere ["share", "volumes", "mounts", "binds", "folders"]
            => |machine, shares| machine.shares = shares;
        /// Paths of this host that are hidden otherwise and that it sees copy-on-write.
        show: List { of: OfHost, once: "path", same: PathBuf::clone }, "[]", "[\"~/.cargo\"]"
            => |machine, paths| machine.show = paths;
        /// Containers may be made inside.
        nested: Flag, "false", "true",
            elsewhere ["privileged", "containers", "docker"]
            => |machine, flag| machine.nested = flag;
        /// Environment variables of all its sessions.
        env: Environment, "{}", "{ TZ = \"UTC\" }",
            elsewhere ["environment", "variables"]
            => |machine, env| machine.env.extend(env);
        /// Snapshots that are kept.
        keep: Kept, "all", "{ count = 10, age = \"30d\" }",
            elsewhere ["snapshots", "retention"]
            => |machine, keep: Keep| {
            machine.keep = Keep { count: keep.count.or(machine.keep.count), age: keep.age.or(machine.keep.age) };
        };
        /// Agents whose login on this computer is copied into it when it has none: `claude`. Two copies of one login can
        /// log each other out; `stead login` makes one of its own.
        share_agent_auth: List { of: Choice(&["claude"]), once: "agent", same: String::clone }, "[]", "[\"claude\"]"
            => |machine, agents| machine.share_agent_auth = agents;
        /// Whether it is to run.
        running: Flag, "true", "false",
            elsewhere ["started", "autostart", "enabled", "enable"]
            => |machine, flag| machine.running = flag;
    } tables {
        /// What only a virtual machine has.
        qemu: QEMU, "{}", "{ guest = \"light\" }",
            elsewhere ["vm", "kvm", "virtual"]
            => |machine| &mut *machine.qemu;
    }),
};

/// Where a share is inside; as long as that is not known, where it is on this host.
fn place_of(share: &Share) -> PathBuf {
    let known = !share.inside.as_os_str().is_empty();
    if known { share.inside.clone() } else { share.host.clone() }
}

pub(crate) static KEEP: Table<Keep> = Table {
    what: "`keep`",
    header: "keep = { ... }",
    doc: "Which snapshots are kept when another is made. Both bounds hold.",
    keys: rows!(Keep {
        /// At most so many.
        count: Whole(1, 100_000), "any number", "10" => |keep, count| keep.count = Some(count);
        /// None older than this: `45m`, `12h`, `30d`, `2w`, `1y`.
        age: Age, "any age", "\"30d\"" => |keep, age| keep.age = Some(age);
    }),
};

pub(crate) static NETWORK: Table<Network> = Table {
    what: "a network",
    header: "[networks.NAME]",
    doc: "A network that machines can share.",
    keys: rows!(Network {
        /// Where machines on it may connect to; as for a machine.
        egress: Where, "\"open\"", "\"web-only\"",
            elsewhere ["allow", "firewall", "outbound"]
            => |network, egress| network.egress = egress;
        /// Whether machines on it reach each other, by name.
        peers: Flag, "false", "true" => |network, flag| network.peers = flag;
    }),
};

pub(crate) static SESSION: Table<Session> = Table {
    what: "a session",
    header: "[sessions.NAME]",
    doc: "A session that is there once its machine is. With neither `agent` nor `command` it is a shell.",
    keys: rows!(Session {
        /// The machine it runs on. `host` need not be declared.
        machine: Name("a machine"), "none", "\"box\"", required true => |session, machine| session.machine = machine;
        /// The agent's profile: `claude`, `codex`, `gemini`, `opencode`, `shell`, or one of yours.
        agent: Name("an agent"), "none", "\"claude\"" => |session, agent| session.agent = Some(agent);
        /// Program and arguments, as a list or as one text that is split as a shell splits it. Nothing is expanded.
        command: Command, "the agent's, or else a shell", "[\"make\", \"test\"]",
            elsewhere ["cmd", "run", "exec", "args"]
            => |session, command| session.command = command;
        /// The folder it starts in, inside the machine. A path that does not begin with `/` is taken as in `shares`.
        cwd: StartIn, "the home folder inside", "\"/src\"",
            elsewhere ["dir", "workdir", "folder", "working_dir", "path"]
            => |session, cwd| session.cwd = Some(cwd);
        /// When it is started again: `resume` is after its machine went down under it, `always` whenever it ends.
        restart: Choice(&["never", "resume", "always"]), "\"resume\"", "\"resume\""
            => |session, restart| session.restart = restart;
        /// More environment variables.
        env: Environment, "{}", "{ TZ = \"UTC\" }",
            elsewhere ["environment", "variables"]
            => |session, env| session.env = env;
    }),
};

/// The table that has a key of this name, if one has.
pub(crate) fn home_of(name: &str) -> Option<&'static str> {
    fn has<T>(table: &'static Table<T>, name: &str) -> Option<&'static str> {
        table.keys.iter().any(|key| key.name == name).then_some(table.header)
    }
    has(&MACHINE, name)
        .or_else(|| has(&SESSION, name))
        .or_else(|| has(&NETWORK, name))
        .or_else(|| has(&KEEP, name))
        .or_else(|| has(&QEMU, name))
        .or_else(|| has(&DESKTOP, name))
        .or_else(|| has(&STEAD, name))
        .or_else(|| has(&SYSTEM, name))
        .or_else(|| has(&SERVICE, name))
        .or_else(|| has(&USER, name))
}

/// `[stead.defaults]`: a machine without a name.
struct Defaults;

impl Form for Defaults {
    type Out = Machine;

    fn expects(&self) -> String {
        "a table of any keys of a machine".into()
    }

    fn schema(&self) -> Json {
        json!({ "$ref": "#/$defs/machine" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Machine> {
        if !spot.get_ref().is_table() {
            reader.wrong(spot, "a table");
            return None;
        }
        let mut machine = Machine::default();
        MACHINE.read(spot, reader, &mut machine);
        Some(machine)
    }
}

/// The value of `keep`.
struct Kept;

impl Form for Kept {
    type Out = Keep;

    fn expects(&self) -> String {
        "a table with `count`, `age` or both".into()
    }

    fn schema(&self) -> Json {
        KEEP.schema()
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Keep> {
        if !spot.get_ref().is_table() {
            reader.wrong(spot, &self.expects());
            return None;
        }
        let mut keep = Keep::default();
        KEEP.read(spot, reader, &mut keep);
        Some(keep)
    }
}
