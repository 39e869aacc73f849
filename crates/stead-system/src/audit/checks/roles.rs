//! What roles bring with them.

use super::{Check, Fix, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, Unit};
use crate::audit::report::{Action, Severity};
use stead_file::declared::OverlayKind;

pub const CHECKS: &[Check] = &[
    Check {
        id: "roles.running",
        title: "What the roles are made of runs",
        severity: Severity::Medium,
        judge: running,
    },
    Check {
        id: "overlay.up",
        title: "The overlay's interface is up",
        severity: Severity::High,
        judge: overlay,
    },
];

/// Units of which one runs, for every role that has one: what it is called, and its names on the systems.
pub fn units(whole: &Whole) -> Vec<(&'static str, &'static [&'static str])> {
    let system = &whole.system;
    let mut all: Vec<(&'static str, &'static [&'static str])> = Vec::new();
    for role in &system.roles {
        match role.as_str() {
            "desktop" => all.push(("xrdp", &["xrdp.service"])),
            "k3s" => all.push(("k3s", &["k3s.service"])),
            "incus-host" => all.push(("Incus", &["incus.service", "incus.socket"])),
            "container-host" if system.containers.engine == "docker" => {
                all.push(("Docker", &["docker.service", "docker.socket"]));
            }
            "llm" if system.llm.server == "vllm" => {
                all.push(("vLLM", &["vllm.service", "stead-vllm.service"]));
            }
            "llm" => all.push(("Ollama", &["ollama.service", "stead-ollama.service"])),
            "code-server" => {
                all.push(("code-server", &["code-server.service", "stead-code-server.service"]));
            }
            "reverse-proxy" => {
                all.push(("Caddy", &["caddy.service"]));
                all.push(("oauth2-proxy", &["oauth2-proxy.service", "stead-oauth2-proxy.service"]));
            }
            _ => {}
        }
    }
    all
}

fn running(whole: &Whole, evidence: &Evidence) -> Judgement {
    let wanted = units(whole);
    concerns(!wanted.is_empty())?;
    let units = evidence.units.as_ref()?;
    let (mut wrong, mut stopped, mut gone) = (Vec::new(), Vec::new(), false);
    for (what, names) in &wanted {
        if names.iter().any(|name| units.get(*name).is_some_and(Unit::active)) {
            continue;
        }
        wrong.push(format!("{what} does not run"));
        match names.iter().find(|name| units.get(**name).is_some_and(Unit::there)) {
            Some(unit) => stopped.push(Action::Start { unit: (*unit).into() }),
            None => gone = true,
        }
    }
    let names: Vec<&str> = wanted.iter().map(|(what, _)| *what).collect();
    unless(&wrong, names.join(", "), || if gone { Fix::Switch } else { Fix::Mend(stopped) })
}

fn overlay(whole: &Whole, evidence: &Evidence) -> Judgement {
    let kind = whole.system.overlay.kind;
    concerns(kind != OverlayKind::None)?;
    let interface = kind.interface().unwrap_or_default();
    let wrong = match evidence.interfaces.as_ref()?.get(interface) {
        Some(true) => Vec::new(),
        Some(false) => vec![format!("{interface} is down")],
        None => vec![format!("there is no {interface}")],
    };
    let join = match kind {
        OverlayKind::Tailscale | OverlayKind::Headscale => "tailscale up",
        OverlayKind::Netbird => "netbird up",
        _ => return unless(&wrong, interface, || Fix::Switch),
    };
    unless(&wrong, format!("{interface} is up"), || {
        Fix::Do(format!("stead system switch {}, or join by hand: {join}", whole.machine))
    })
}
