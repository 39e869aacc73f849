//! A machine that has everything, and is as declared.

use crate::Whole;
use crate::audit::evidence::*;
use crate::audit::rules::Ruleset;
use std::collections::BTreeMap;
use std::net::IpAddr;
use stead_file::declared::{
    Agents, Alerts, Overlay, OverlayKind, Service, ServiceKind, Ssh, Sudo, System, User,
};

pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD";

/// Rules that let in what is declared, and root alone to the metadata address.
pub fn rules(more: &str) -> Ruleset {
    let text = format!(
        r#"{{"nftables":[
        {{"chain":{{"family":"inet","table":"s","name":"i","type":"filter","hook":"input","policy":"drop"}}}},
        {{"chain":{{"family":"inet","table":"s","name":"o","type":"filter","hook":"output","policy":"accept"}}}},
        {more}
        {{"rule":{{"family":"inet","table":"s","chain":"i","expr":[{{"match":{{"op":"==","left":{{"meta":{{"key":"iifname"}}}},"right":"tailscale0"}}}},{{"accept":null}}]}}}},
        {{"rule":{{"family":"inet","table":"s","chain":"i","expr":[{{"match":{{"op":"==","left":{{"payload":{{"protocol":"udp","field":"dport"}}}},"right":41641}}}},{{"accept":null}}]}}}},
        {{"rule":{{"family":"inet","table":"s","chain":"o","expr":[{{"match":{{"op":"==","left":{{"payload":{{"protocol":"ip6","field":"daddr"}}}},"right":"fd00:ec2::254"}}}},{{"match":{{"op":"!=","left":{{"meta":{{"key":"skuid"}}}},"right":0}}}},{{"reject":null}}]}}}},
        {{"rule":{{"family":"inet","table":"s","chain":"o","expr":[{{"match":{{"op":"==","left":{{"payload":{{"protocol":"ip","field":"daddr"}}}},"right":"169.254.169.254"}}}},{{"match":{{"op":"!=","left":{{"meta":{{"key":"skuid"}}}},"right":0}}}},{{"reject":null}}]}}}}]}}"#
    );
    Ruleset::parse(text.as_bytes()).unwrap()
}

pub fn unit(state: &str, more: &[(&str, &str)]) -> Unit {
    let properties = [("LoadState", "loaded"), ("ActiveState", state)];
    let all = properties.iter().chain(more).map(|(key, value)| ((*key).into(), (*value).into()));
    Unit { properties: all.collect() }
}

pub fn listener(address: [u8; 4], port: u16) -> Listener {
    Listener { udp: false, address: IpAddr::from(address), port, program: Some("thing".into()) }
}

pub fn file(path: &str, mode: u32) -> Credential {
    Credential { path: path.into(), mode, exposed: mode & 0o007 > 0, group: None }
}

fn account(uid: u32, home: &str, shell: &str) -> Account {
    Account { uid, gid: uid, home: home.into(), shell: shell.into() }
}

fn named<T, const N: usize>(all: [(&str, T); N]) -> BTreeMap<String, T> {
    all.map(|(name, value)| (name.to_owned(), value)).into()
}

fn lists<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, Vec<String>> {
    all.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])).into()
}

fn declared() -> Whole {
    let hardened = Service { command: vec!["/bin/true".into()], ..Service::default() };
    let remote = Service {
        kind: ServiceKind::RemoteControl,
        user: Some("ada".into()),
        ..Service::default()
    };
    let ada = User {
        keys: vec![format!("{KEY} ada@laptop")],
        sudo: Sudo::Passwordless,
        ..User::default()
    };
    let system = System {
        roles: vec!["llm".into(), "code-server".into()],
        users: named([("ada", ada), ("bob", User::default())]),
        ssh: Ssh::default(),
        overlay: Overlay {
            kind: OverlayKind::Tailscale,
            key: Some("ts".into()),
            ..Overlay::default()
        },
        agents: Agents {
            install: vec!["claude".into()],
            versions: named([("claude", "2.1.0".into())]),
            ..Agents::default()
        },
        packages: vec!["jq".into()],
        services: named([("mail", hardened), ("remote", remote)]),
        alerts: Alerts { ntfy: Some("https://ntfy.example.org/box".into()), token: None },
        ..System::default()
    };
    Whole { machine: "box".into(), name: "dev".into(), system, outside: false }
}

/// What is declared, and what is found.
pub fn healthy() -> (Whole, Evidence) {
    let sshd = lists([
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitrootlogin", "no"),
        ("pubkeyauthentication", "yes"),
        ("permitemptypasswords", "no"),
        ("x11forwarding", "no"),
        ("allowusers", "ada"),
        ("maxauthtries", "3"),
        ("clientaliveinterval", "300"),
        ("clientalivecountmax", "2"),
        ("port", "22"),
    ]);
    let service = |user| {
        unit(
            "active",
            &[("User", user), ("NoNewPrivileges", "yes"), ("OnFailure", "ntfy@x.service")],
        )
    };
    let keys = KeyFile {
        path: "/home/ada/.ssh/authorized_keys".into(),
        keys: vec![KEY.into()],
        open: None,
    };
    let agent = Agent { path: "/usr/local/bin/claude".into(), version: Ok("2.1.0".into()) };
    let rule = |who: &str, free| SudoRule { who: who.into(), free, all: true };
    let evidence = Evidence {
        os: Ok("debian".into()),
        container: false,
        sshd: Ok(Sshd {
            people: named([("ada", sshd.clone()), ("bob", sshd.clone())]),
            settings: sshd,
            ..Sshd::default()
        }),
        ruleset: Ok(rules("")),
        listeners: Ok(vec![listener([0, 0, 0, 0], 22), listener([127, 0, 0, 1], 11_434)]),
        metadata: Ok(Reached::No("Connection refused".into())),
        ipv6: true,
        accounts: Ok(named([
            ("root", account(0, "/root", "/bin/bash")),
            ("daemon", account(1, "/", "/usr/sbin/nologin")),
            ("ada", account(1000, "/home/ada", "/bin/bash")),
            ("bob", account(1001, "/home/bob", "/bin/bash")),
        ])),
        passwords: Ok(named([
            ("root", Password::Locked),
            ("ada", Password::Locked),
            ("bob", Password::Locked),
        ])),
        groups: Ok(named([
            ("sudo", Group { gid: 27, members: Vec::new() }),
            ("docker", Group { gid: 99, members: Vec::new() }),
        ])),
        sudo: Ok(vec![rule("root", false), rule("%sudo", false), rule("ada", true)]),
        keys: named([("root", Ok(Vec::new())), ("ada", Ok(vec![keys])), ("bob", Ok(Vec::new()))]),
        credentials: Ok(vec![file("/home/ada/.aws/credentials", 0o600)]),
        secrets: Ok(named([("ts", file("/run/secrets/ts", 0o400))])),
        plain_keys: Ok(Vec::new()),
        units: Ok(named([
            ("ssh.service", unit("active", &[])),
            ("fail2ban.service", unit("active", &[])),
            ("auditd.service", unit("active", &[])),
            ("apt-daily-upgrade.timer", unit("active", &[])),
            ("ollama.service", unit("active", &[])),
            ("stead-code-server.service", unit("active", &[])),
            (
                "mail.service",
                unit(
                    "active",
                    &[
                        ("DynamicUser", "yes"),
                        ("NoNewPrivileges", "yes"),
                        ("OnFailure", "a@b.service"),
                    ],
                ),
            ),
            ("remote.service", service("ada")),
        ])),
        failed: Ok(Vec::new()),
        exposure: Ok(named([("mail.service", 1.5), ("remote.service", 3.9)])),
        apt: Ok(lists([
            ("apt::periodic::update-package-lists", "1"),
            ("apt::periodic::unattended-upgrade", "1"),
            ("unattended-upgrade::origins-pattern", "origin=Debian,label=Debian-Security"),
        ])),
        updates: Ok(Vec::new()),
        lists_age: Ok(1),
        restart: Ok(None),
        packages: Ok(["jq", "unattended-upgrades"].map(str::to_owned).into()),
        agents: named([("claude", Some(agent))]),
        jails: Ok(vec!["sshd".into()]),
        hostname: Ok("box".into()),
        timezone: Ok("Etc/UTC".into()),
        locale: Ok("C.utf8".into()),
        interfaces: Ok(named([("lo", true), ("eth0", true), ("tailscale0", true)])),
        remote_controls: Ok(vec![Process { pid: 7, variables: Ok(vec!["HOME".into()]) }]),
        environments: Ok(Vec::new()),
        engine_sockets: Ok(Vec::new()),
        clock: Ok(true),
        disks: Ok(vec![Disk { at: "/".into(), used: 40, files: 3 }]),
    };
    (declared(), evidence)
}
