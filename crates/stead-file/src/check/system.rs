//! What the parts of a system must agree on, and the traps that it must not step into.

use super::{Source, reserved_unit};
use crate::declared::{Declaration, Metadata, OverlayKind, Service, ServiceKind, System};
use crate::nearest::nearest;
use crate::reader::Reader;
use std::ops::Range;

/// Variables that a unit of `claude remote-control` must not have, and why.
const TRAPS: [(&str, &str); 3] = [
    (
        "ANTHROPIC_API_KEY",
        "with an API key in its environment Claude Code bills the key and refuses remote control, which wants a login",
    ),
    ("DISABLE_TELEMETRY", "it also turns off what remote control is switched on by"),
    (
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "it also turns off what remote control is switched on by",
    ),
];

/// How a key begins that nobody should read in a file, and whose it is.
const KEYS: [(&str, &str); 7] = [
    ("AKIA", "an access key of AWS"),
    ("ASIA", "an access key of AWS"),
    ("sk-ant-", "a key of Anthropic's"),
    ("sk-proj-", "a key of OpenAI's"),
    ("ghp_", "a token of GitHub's"),
    ("github_pat_", "a token of GitHub's"),
    ("tskey-", "a key of Tailscale's"),
];

/// The sockets by which whoever has them is root on this host.
const SOCKETS: [&str; 3] = ["docker.sock", "podman.sock", "containerd.sock"];

/// Notes everything that systems do not agree on.
pub(super) fn systems(source: &Source<'_>, reader: &mut Reader<'_>, declared: &Declaration) {
    for (name, machine) in &declared.machines {
        shared_socket(source, reader, name, machine);
        let Some(system) = &machine.system else { continue };
        if declared.systems.contains_key(system) || reader.broken {
            continue;
        }
        let known = declared.systems.keys().map(String::as_str);
        let place = source.place(name, "system");
        if !reader.told(&place) {
            super::undeclared(reader, place, "system", system, known);
        }
    }
    for (name, system) in &declared.systems {
        let spot = Place { source, system: name };
        overlay(&spot, reader, system);
        ssh(&spot, reader, system);
        ssm(&spot, reader, system, has_own_way(declared, name));
        roles(&spot, reader, system);
        for (service_name, service) in &system.services {
            self::service(&spot, reader, system, service_name, service);
        }
    }
}

/// Where things of one system stand.
struct Place<'s, 't> {
    source: &'s Source<'t>,
    system: &'s str,
}

impl Place<'_, '_> {
    /// The value that these keys lead to, or the nearest table around it.
    fn at(&self, path: &[&str]) -> Range<usize> {
        let Some(mut value) = self.source.table("systems", self.system) else { return 0..0 };
        for key in path {
            let Some(next) = value.get_ref().as_table().and_then(|table| table.get(*key)) else {
                break;
            };
            value = next;
        }
        value.span()
    }
}

fn shared_socket(
    source: &Source<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    machine: &crate::declared::Machine,
) {
    let socket = machine.shares.iter().find(|share| {
        let file = share.host.file_name().unwrap_or_default().to_string_lossy();
        SOCKETS.contains(&&*file)
    });
    if let Some(share) = socket {
        let message = format!(
            "`{}` makes whoever has it root on this host: machine `{name}` must not have it",
            share.host.display()
        );
        reader
            .problem(source.place(name, "shares"), message)
            .help("write `nested = true`, or give its system the role `container-host`: it then has containers of its own");
    }
}

fn overlay(place: &Place<'_, '_>, reader: &mut Reader<'_>, system: &System) {
    let overlay = &system.overlay;
    let mut say = |key: &str, message: &str, help: &str| {
        reader.problem(place.at(&["overlay", key]), message).help(help);
    };
    match overlay.kind {
        OverlayKind::Headscale if overlay.server.is_none() => {
            say(
                "kind",
                "`headscale` needs the address of your control server",
                "write `server = \"https://headscale.example.org\"`",
            );
        }
        OverlayKind::Wireguard if overlay.key.is_none() || overlay.address.is_none() => {
            say(
                "kind",
                "`wireguard` needs `key`, the secret with its private key, and `address`",
                "write `key = \"wireguard\"` and `address = \"10.9.0.1/24\"`",
            );
        }
        OverlayKind::Tailscale if overlay.server.is_some() => {
            say(
                "server",
                "a control server of your own makes it `headscale`",
                "write `kind = \"headscale\"`, or leave `server` out",
            );
        }
        _ => {}
    }
    if matches!(
        overlay.kind,
        OverlayKind::Tailscale | OverlayKind::Headscale | OverlayKind::Netbird
    ) && overlay.key.is_none()
        && system.ssh.enable
    {
        reader
            .problem(
                place.at(&["overlay"]),
                "the overlay has no `key`: it is joined by hand, and ssh stays open to everybody",
            )
            .help("write `key = \"NAME\"`, the secret by which the system joins: ssh is then open only there")
            .warning();
    }
    let mut say = |key: &str, message: &str, help: &str| {
        reader.problem(place.at(&["overlay", key]), message).help(help);
    };
    if overlay.kind != OverlayKind::Wireguard && !overlay.peers.is_empty() {
        say("peers", "`peers` are WireGuard's", "leave them out, or write `kind = \"wireguard\"`");
    }
    if overlay.kind != OverlayKind::Tailscale && !overlay.funnel.is_empty() {
        say(
            "funnel",
            "only Tailscale has a Funnel",
            "leave `funnel` out, or write `kind = \"tailscale\"`",
        );
    }
}

fn ssh(place: &Place<'_, '_>, reader: &mut Reader<'_>, system: &System) {
    for user in system.ssh.allow_users.iter().filter(|user| !system.users.contains_key(*user)) {
        undeclared_user(place, reader, system, place.at(&["ssh", "allow_users"]), user);
    }
    let reached = system.users.iter().any(|(name, user)| {
        let allowed = &system.ssh.allow_users;
        !user.keys.is_empty() && (allowed.is_empty() || allowed.contains(name))
    });
    if system.ssh.enable && !reached {
        reader
            .problem(place.at(&["ssh"]), "nobody can come in by ssh: no user who may has a key")
            .help("give a user `keys`, or write `ssh = { enable = false }`")
            .warning();
    }
}

/// Whether a machine has the system that Stead reaches by a way of its engine's.
fn has_own_way(declared: &Declaration, system: &str) -> bool {
    declared
        .machines
        .values()
        .any(|machine| machine.system.as_deref() == Some(system) && machine.engine != "ssh")
}

fn ssm(place: &Place<'_, '_>, reader: &mut Reader<'_>, system: &System, own_way: bool) {
    if system.ssm && system.firewall.metadata == Metadata::None {
        reader
            .problem(place.at(&["ssm"]), "`ssm` has its role from the metadata address, which `metadata = \"none\"` closes to root too")
            .help("write `firewall = { metadata = \"root\" }`, or leave `ssm` out");
    }
    let overlay = system.overlay.kind != OverlayKind::None && system.overlay.key.is_some();
    if !system.ssh.enable && !overlay && !system.ssm && !own_way && !reader.broken {
        reader
            .problem(place.at(&["ssh"]), "nothing leads in: there is no ssh, no overlay that is joined by a key, and no `ssm`")
            .help("at AWS write `ssm = true`; elsewhere leave ssh on, or declare an overlay with a `key`")
            .warning();
    }
}

fn undeclared_user(
    place: &Place<'_, '_>,
    reader: &mut Reader<'_>,
    system: &System,
    span: Range<usize>,
    user: &str,
) {
    let problem = reader.problem(span, format!("user `{user}` is not declared"));
    match nearest(user, system.users.keys().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("declare it with `[systems.{}.users.{user}]`", place.system)),
    };
}

fn roles(place: &Place<'_, '_>, reader: &mut Reader<'_>, system: &System) {
    let has = |role: &str| system.roles.iter().any(|name| name == role);
    if has("reverse-proxy") {
        let proxy = &system.reverse_proxy;
        let needs = [
            ("domain", proxy.domain.is_some()),
            ("upstream", proxy.upstream.is_some()),
            ("issuer", proxy.issuer.is_some()),
            ("client_id", proxy.client_id.is_some()),
            ("client_secret", proxy.client_secret.is_some()),
            ("cookie_secret", proxy.cookie_secret.is_some()),
            ("emails", !proxy.emails.is_empty()),
        ];
        let missing: Vec<_> =
            needs.iter().filter(|(_, there)| !there).map(|(key, _)| format!("`{key}`")).collect();
        if !missing.is_empty() && !reader.broken {
            let message = format!("the role `reverse-proxy` needs {}", missing.join(", "));
            let help = format!("write them below `[systems.{}.reverse_proxy]`", place.system);
            reader.problem(place.at(&["reverse_proxy"]), message).help(help);
        }
    }
    if has("code-server")
        && let Some(user) = &system.code_server.user
        && !system.users.contains_key(user)
    {
        undeclared_user(place, reader, system, place.at(&["code_server", "user"]), user);
    }
}

fn service(
    place: &Place<'_, '_>,
    reader: &mut Reader<'_>,
    system: &System,
    name: &str,
    service: &Service,
) {
    let remote = service.kind == ServiceKind::RemoteControl;
    let at = |key: &str| place.at(&["services", name, key]);
    if reserved_unit(name) {
        reader
            .problem(
                place.at(&["services", name]),
                format!("service `{name}` is called as a unit of the system's own"),
            )
            .help(format!("call it otherwise, for example `my-{name}`"));
    }
    if service.command.is_empty() && !remote && !reader.broken {
        reader
            .problem(at("command"), format!("service `{name}` has no command"))
            .help("write `command = [\"/usr/bin/...\"]`, or `kind = \"remote-control\"`");
    }
    if remote && !service.command.is_empty() {
        reader
            .problem(at("command"), "`remote-control` has a command of its own")
            .help("leave `command` out");
    }
    if remote && !system.agents.install.iter().any(|agent| agent == "claude") && !reader.broken {
        reader
            .problem(at("kind"), format!("service `{name}` is Claude Code, which is not installed"))
            .help(format!(
                "write `agents = {{ install = [\"claude\"] }}` below `[systems.{}]`",
                place.system
            ));
    }
    if let Some(program) = service.command.first()
        && !program.starts_with('/')
    {
        reader
            .problem(
                at("command"),
                format!("`{program}` is not a whole path, and systemd looks for none"),
            )
            .help(format!("write for example `/usr/bin/{program}`"));
    }
    for variable in service.env.keys() {
        let trap = TRAPS.iter().find(|(trap, _)| remote && trap == variable);
        if let Some((_, why)) = trap {
            reader
                .problem(at("env"), format!("`{variable}` must not be in the environment of a remote-control unit: {why}"))
                .help("remove it");
        }
    }
    for (variable, value) in &service.env {
        if let Some((_, whose)) = KEYS.iter().find(|(begin, _)| value.starts_with(begin)) {
            reader
                .problem(at("env"), format!("`{variable}` of service `{name}` is {whose} in plain text, for all who read this file or ask systemd"))
                .help("write its name in `secrets`, and read the file `$CREDENTIALS_DIRECTORY/NAME`");
        }
    }
}
