//! What may connect, and to what.

use super::{Check, Fix, Judged, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, Listener, Reached};
use crate::audit::report::Severity;
use crate::audit::rules::{Fate, Packet, Ruleset};
use std::collections::BTreeSet;
use std::net::IpAddr;
use stead_file::declared::{Metadata, Transport};

pub const CHECKS: &[Check] = &[
    Check {
        id: "firewall.closed",
        title: "No port is open that is not declared",
        severity: Severity::Critical,
        judge: closed,
    },
    Check {
        id: "firewall.open",
        title: "Every declared port is open",
        severity: Severity::Medium,
        judge: open,
    },
    Check {
        id: "firewall.trusted",
        title: "On trusted interfaces everything may connect",
        severity: Severity::Medium,
        judge: trusted,
    },
    Check {
        id: "firewall.metadata",
        title: "The metadata address of the cloud tells nobody but root, if anybody",
        severity: Severity::High,
        judge: metadata,
    },
    Check {
        id: "network.listeners",
        title: "Nothing that is not declared waits for connections from outside",
        severity: Severity::High,
        judge: listeners,
    },
    Check {
        id: "network.private",
        title: "What is for the machine itself waits on the loopback",
        severity: Severity::High,
        judge: private,
    },
];

/// An interface that no rule names.
const ANY: &str = "somewhere0";
/// Ports that are tried besides those that rules and sockets name.
const TRIED: [u16; 14] =
    [1, 21, 23, 25, 80, 111, 445, 3306, 5432, 6379, 8080, 31_337, 60_500, 65_535];
/// How interfaces begin that lead to containers and guests of the machine's own.
const INSIDE: [&str; 12] = [
    "veth", "docker", "br-", "podman", "cni", "flannel", "incusbr", "lxdbr", "virbr", "vmbr",
    "tap", "vnet",
];
/// Ports at which a machine hears what address it is given; rules let in what comes from the server's port.
const DHCP: [u16; 2] = [68, 546];
/// What is told where the rules did not keep an attempt off.
const CONNECTED: &str = "user nobody was connected with 169.254.169.254";
/// Where clouds give credentials to whoever asks.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Interfaces that nobody trusts: those that are there, and one that no rule names.
fn outside<'e>(whole: &Whole, evidence: &'e Evidence) -> Vec<&'e str> {
    let trusted = whole.trusted();
    let names = evidence.interfaces.iter().flatten().map(|(name, _)| name.as_str());
    let own = |name: &&str| *name != "lo" && !trusted.contains(name);
    // What runs within the machine is not outside of it.
    let inside = |name: &&str| INSIDE.iter().any(|begin| name.starts_with(begin));
    names.filter(own).filter(|name| !inside(name)).take(8).chain([ANY]).collect()
}

/// A packet from far away.
fn packet(interface: &str, six: bool, udp: bool, port: u16) -> Packet<'_> {
    let (from, to): (IpAddr, IpAddr) = if six {
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7].into(), [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1].into())
    } else {
        ([198, 51, 100, 7].into(), [192, 0, 2, 1].into())
    };
    Packet { interface, from, to, udp, port, sender: None }
}

/// What becomes of what comes to a port from outside: through, if it comes through anyhow.
fn fate(whole: &Whole, evidence: &Evidence, rules: &Ruleset, udp: bool, port: u16) -> Fate {
    let mut worst = Fate::Stopped;
    for interface in outside(whole, evidence) {
        for six in [false, true] {
            if six && !evidence.ipv6 {
                continue;
            }
            match rules.fate("input", &packet(interface, six, udp, port)) {
                Fate::Through => return Fate::Through,
                Fate::Unclear => worst = Fate::Unclear,
                Fate::Stopped => {}
            }
        }
    }
    worst
}

fn is_open(whole: &Whole, udp: bool, port: u16) -> bool {
    let open = whole.open_ports();
    (udp && DHCP.contains(&port))
        || open.iter().any(|open| open.udp == udp && (open.first..=open.last).contains(&port))
}

fn closed(whole: &Whole, evidence: &Evidence) -> Judgement {
    let rules = evidence.ruleset.as_ref()?;
    if !rules.filters("input") {
        return Ok(Judged::Fail("nothing filters what comes in".into(), Fix::Switch));
    }
    let mut ports: BTreeSet<u16> = rules.ports().into_iter().chain(TRIED).collect();
    ports.extend(evidence.listeners.iter().flatten().map(|listener| listener.port));
    let (mut wrong, mut unclear) = (Vec::new(), 0);
    for udp in [false, true] {
        for &port in ports.iter().filter(|port| !is_open(whole, udp, **port)) {
            match fate(whole, evidence, rules, udp, port) {
                Fate::Through => wrong.push(Transport { first: port, last: port, udp }.to_string()),
                Fate::Unclear => unclear += 1,
                Fate::Stopped => {}
            }
        }
    }
    if wrong.is_empty() && unclear > 0 {
        return Err(Silent::Unknown(format!(
            "whether {unclear} of {} ports are open cannot be told from the rules",
            ports.len() * 2
        )));
    }
    if wrong.len() > ports.len() {
        return Ok(Judged::Fail("everything that comes in is let through".into(), Fix::Switch));
    }
    unless(&wrong, format!("{} ports tried by the rules: all closed", ports.len() * 2), || {
        Fix::Switch
    })
}

fn open(whole: &Whole, evidence: &Evidence) -> Judgement {
    let open = whole.open_ports();
    concerns(!open.is_empty())?;
    let rules = evidence.ruleset.as_ref()?;
    let stopped = |ports: &&Transport| {
        [ports.first, ports.last]
            .iter()
            .any(|port| rules.fate("input", &packet(ANY, false, ports.udp, *port)) == Fate::Stopped)
    };
    let wrong: Vec<String> =
        open.iter().filter(stopped).map(|ports| format!("{ports} is closed")).collect();
    let all: Vec<String> = open.iter().map(ToString::to_string).collect();
    unless(&wrong, all.join(", "), || Fix::Switch)
}

fn trusted(whole: &Whole, evidence: &Evidence) -> Judgement {
    let trusted = whole.trusted();
    concerns(!trusted.is_empty())?;
    let rules = evidence.ruleset.as_ref()?;
    let stopped =
        |name: &&&str| rules.fate("input", &packet(name, false, false, 31_337)) == Fate::Stopped;
    let wrong: Vec<String> = trusted
        .iter()
        .filter(stopped)
        .map(|name| format!("what comes in by {name} is stopped"))
        .collect();
    unless(&wrong, trusted.join(", "), || Fix::Switch)
}

/// By the rules, for everybody; and by an attempt, as nobody. Nothing that answers proves no more than that nothing was there.
fn metadata(whole: &Whole, evidence: &Evidence) -> Judgement {
    let connected = evidence.metadata == Ok(Reached::Yes);
    if connected && evidence.ruleset.is_err() {
        return Ok(Judged::Fail(CONNECTED.into(), Fix::Switch));
    }
    let rules = evidence.ruleset.as_ref()?;
    let accounts = evidence.accounts.as_ref()?;
    let mut senders = vec![("nobody".to_owned(), 65_534)];
    senders.extend(
        accounts
            .iter()
            .filter(|(_, account)| account.is_person())
            .map(|(name, a)| (name.clone(), a.uid)),
    );
    if whole.system.firewall.metadata == Metadata::None {
        senders.push(("root".into(), 0));
    }
    let (mut wrong, mut unclear) = (Vec::new(), Vec::new());
    let addresses = if evidence.ipv6 { &METADATA[..] } else { &METADATA[..1] };
    for (name, uid) in senders {
        let mut worst = Fate::Stopped;
        for (interface, &to) in outside(whole, evidence)
            .into_iter()
            .flat_map(|one| addresses.iter().map(move |to| (one, to)))
        {
            let six = to.is_ipv6();
            let packet = Packet { to, sender: Some(uid), ..packet(interface, six, false, 80) };
            worst = match (worst, rules.fate("output", &packet)) {
                (Fate::Through, _) | (_, Fate::Through) => Fate::Through,
                (Fate::Unclear, _) | (_, Fate::Unclear) => Fate::Unclear,
                _ => Fate::Stopped,
            };
        }
        match worst {
            Fate::Through => wrong.push(format!("{name} reaches 169.254.169.254 or fd00:ec2::254")),
            Fate::Unclear => unclear.push(name),
            Fate::Stopped => {}
        }
    }
    if connected {
        wrong.push(CONNECTED.into());
    }
    if let (Some(name), true) = (unclear.first(), wrong.is_empty()) {
        return Err(Silent::Unknown(format!(
            "whether {name} reaches the metadata address cannot be told from the rules"
        )));
    }
    match &evidence.metadata {
        Ok(Reached::No(why)) => {
            unless(&wrong, format!("the rules stop it; as nobody: {why}"), || Fix::Switch)
        }
        Err(why) if wrong.is_empty() => Err(Silent::Unknown(why.clone())),
        _ => unless(&wrong, "", || Fix::Switch),
    }
}

fn shown(listener: &Listener) -> String {
    let ports = Transport { first: listener.port, last: listener.port, udp: listener.udp };
    let whose = listener.program.as_ref().map_or(String::new(), |program| format!(" ({program})"));
    format!("{} {ports}{whose}", listener.address)
}

fn listeners(whole: &Whole, evidence: &Evidence) -> Judgement {
    let all = evidence.listeners.as_ref()?;
    let suspect = |listener: &&Listener| {
        !listener.address.is_loopback() && !is_open(whole, listener.udp, listener.port)
    };
    let suspects: Vec<&Listener> = all.iter().filter(suspect).collect();
    if suspects.is_empty() {
        return Ok(Judged::Pass(format!("{} sockets, all declared or on the loopback", all.len())));
    }
    let rules = evidence.ruleset.as_ref()?;
    let (mut wrong, mut unclear) = (Vec::new(), Vec::new());
    for listener in suspects {
        match fate(whole, evidence, rules, listener.udp, listener.port) {
            Fate::Through => wrong.push(shown(listener)),
            Fate::Unclear => unclear.push(shown(listener)),
            Fate::Stopped => {}
        }
    }
    if let (Some(listener), true) = (unclear.first(), wrong.is_empty()) {
        return Err(Silent::Unknown(format!(
            "whether {listener} is reached cannot be told from the rules"
        )));
    }
    unless(&wrong, format!("{} sockets, none reached from outside", all.len()), || {
        Fix::Do("declare the port in `firewall.open`, or stop what waits there".into())
    })
}

fn private(whole: &Whole, evidence: &Evidence) -> Judgement {
    let system = &whole.system;
    let mut ports = Vec::new();
    if whole.has("code-server") {
        ports.push((system.code_server.port, "code-server"));
    }
    // For an overlay it waits everywhere, and the firewall is what `network.listeners` looks at.
    if whole.has("llm") && whole.models_at().is_loopback() {
        ports.push(if system.llm.server == "vllm" { (8000, "vLLM") } else { (11_434, "Ollama") });
    }
    concerns(!ports.is_empty())?;
    let all = evidence.listeners.as_ref()?;
    let mut wrong = Vec::new();
    for (port, name) in &ports {
        let open = |l: &&Listener| !l.udp && l.port == *port && !l.address.is_loopback();
        if let Some(listener) = all.iter().find(open) {
            wrong.push(format!("{name} waits on {}", shown(listener)));
        }
    }
    let names: Vec<&str> = ports.iter().map(|(_, name)| *name).collect();
    unless(&wrong, format!("{} on the loopback, if it waits", names.join(", ")), || Fix::Switch)
}
