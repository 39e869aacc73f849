//! Updates.

use super::{Check, Fix, Judged, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::clean::some;
use crate::audit::evidence::{Evidence, Old, Unit};
use crate::audit::report::{Action, Severity};
use stead_file::declared::{Os, Updates};

pub const CHECKS: &[Check] = &[
    Check {
        id: "updates.automatic",
        title: "Updates install themselves as declared",
        severity: Severity::High,
        judge: automatic,
    },
    Check {
        id: "updates.pending",
        title: "No update that closes a hole is waiting",
        severity: Severity::High,
        judge: pending,
    },
    Check {
        id: "updates.looked",
        title: "It was looked for updates within a week",
        severity: Severity::Medium,
        judge: looked,
    },
    Check {
        id: "updates.restart",
        title: "What runs is what is installed",
        severity: Severity::Low,
        judge: restart,
    },
];

fn automatic(whole: &Whole, evidence: &Evidence) -> Judgement {
    let wanted = whole.system.updates;
    concerns(wanted != Updates::Off)?;
    let units = evidence.units.as_ref()?;
    let nixos = whole.system.os == Os::Nixos;
    let timer = if nixos { "nixos-upgrade.timer" } else { "apt-daily-upgrade.timer" };
    let mut wrong = Vec::new();
    if !nixos {
        let apt = evidence.apt.as_ref()?;
        let first = |key: &str| apt.get(key).and_then(|all| all.first()).map_or("", String::as_str);
        for key in ["apt::periodic::update-package-lists", "apt::periodic::unattended-upgrade"] {
            if matches!(first(key), "" | "0") {
                wrong.push(format!("{key} is `{}`", first(key)));
            }
        }
        let from = |key: &str| apt.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut origins = from("unattended-upgrade::origins-pattern")
            .iter()
            .chain(from("unattended-upgrade::allowed-origins"));
        if !origins.any(|origin| origin.to_lowercase().contains("security")) {
            wrong.push(
                "updates that close holes are not among those that install themselves".into(),
            );
        }
        let installed = evidence.packages.as_ref()?.contains("unattended-upgrades");
        if !installed {
            wrong.push("unattended-upgrades is not installed".into());
        }
    }
    let unit = units.get(timer);
    if !unit.is_some_and(Unit::active) {
        let only = wrong.is_empty() && unit.is_some_and(Unit::there);
        wrong.push(format!("{timer} is {}", unit.map_or("not-found".into(), Unit::state)));
        if only {
            let start = Action::Start { unit: timer.into() };
            return unless(&wrong, "", || Fix::Mend(vec![start]));
        }
    }
    unless(&wrong, format!("{timer} is active"), || Fix::Switch)
}

fn pending(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(whole.system.os == Os::Debian)?;
    let waiting = evidence.updates.as_ref()?;
    if waiting.is_empty() {
        return Ok(Judged::Pass("none is known".into()));
    }
    let seen = format!("{} waiting: {}", waiting.len(), some(waiting));
    Ok(Judged::Fail(seen, Fix::Do("apt-get update && apt-get upgrade".into())))
}

fn looked(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(whole.system.os == Os::Debian)?;
    let days = evidence.lists_age.as_ref()?;
    if *days <= 7 {
        return Ok(Judged::Pass(format!("{days} days ago")));
    }
    Ok(Judged::Fail(
        format!("the lists of packages are {days} days old"),
        Fix::Do("apt-get update".into()),
    ))
}

fn restart(_: &Whole, evidence: &Evidence) -> Judgement {
    Ok(match evidence.restart.as_ref()? {
        None => Judged::Pass("nothing waits for a restart".into()),
        Some(Old::Restart(why)) => Judged::Fail(why.clone(), Fix::Do("restart the machine".into())),
        Some(Old::Given(why)) => Judged::Fail(
            why.clone(),
            Fix::Do("make its image anew, and the machine of that: docs/qemu.md, Kernels".into()),
        ),
    })
}
