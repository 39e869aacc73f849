//! What the machine is, and how it fares.

use super::{Check, Fix, Judged, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, Unit};
use crate::audit::report::{Action, Severity};
use stead_file::declared::Os;

pub const CHECKS: &[Check] = &[
    Check {
        id: "machine.system",
        title: "The machine runs the declared system",
        severity: Severity::High,
        judge: system,
    },
    Check {
        id: "machine.hostname",
        title: "It calls itself as declared",
        severity: Severity::Low,
        judge: |whole, evidence| same(evidence.hostname.as_ref()?, &whole.hostname()),
    },
    Check {
        id: "machine.timezone",
        title: "It has the declared time zone",
        severity: Severity::Low,
        judge: timezone,
    },
    Check {
        id: "machine.locale",
        title: "It has the declared locale",
        severity: Severity::Low,
        judge: |whole, evidence| {
            let plain = |text: &str| text.to_lowercase().replace("utf8", "utf-8");
            same(&plain(evidence.locale.as_ref()?), &plain(&whole.system.locale))
        },
    },
    Check {
        id: "machine.clock",
        title: "Its clock goes right",
        severity: Severity::Medium,
        judge: clock,
    },
    Check {
        id: "machine.disk",
        title: "Its disks have room",
        severity: Severity::Medium,
        judge: disk,
    },
    Check {
        id: "machine.audit-log",
        title: "The kernel's audit log is kept",
        severity: Severity::Medium,
        judge: audit_log,
    },
    Check {
        id: "machine.failed",
        title: "No unit has failed",
        severity: Severity::Medium,
        judge: failed,
    },
];

/// Units that keep the audit log, by the systems' names.
pub const AUDIT: [&str; 1] = ["auditd.service"];

/// From so many per cent a disk is nearly full.
const FULL: u8 = 90;

#[allow(clippy::unnecessary_wraps)] // so that it is what a check says
fn same(is: &str, wanted: &str) -> Judgement {
    if is == wanted {
        return Ok(Judged::Pass(is.to_owned()));
    }
    Ok(Judged::Fail(format!("{is}, declared is {wanted}"), Fix::Switch))
}

fn system(whole: &Whole, evidence: &Evidence) -> Judgement {
    let wanted = match whole.system.os {
        Os::Debian => "debian",
        Os::Nixos => "nixos",
    };
    let is = evidence.os.as_ref()?;
    if is == wanted {
        return Ok(Judged::Pass(is.clone()));
    }
    Ok(Judged::Fail(
        format!("{is}, declared is {wanted}"),
        Fix::Do(format!("stead system install {}, which replaces what is there", whole.machine)),
    ))
}

fn timezone(whole: &Whole, evidence: &Evidence) -> Judgement {
    let short = |name: &str| {
        let name = name.strip_prefix("Etc/").unwrap_or(name);
        if matches!(name, "UTC" | "UCT" | "Universal" | "Zulu") {
            "UTC".into()
        } else {
            name.to_owned()
        }
    };
    same(&short(evidence.timezone.as_ref()?), &short(&whole.system.timezone))
}

fn clock(_: &Whole, evidence: &Evidence) -> Judgement {
    if *evidence.clock.as_ref()? {
        return Ok(Judged::Pass("the kernel's clock goes by another".into()));
    }
    let fix = Fix::Do("timedatectl set-ntp true, and let UDP port 123 out".into());
    Ok(Judged::Fail("the kernel's clock goes by no other".into(), fix))
}

fn disk(_: &Whole, evidence: &Evidence) -> Judgement {
    let disks = evidence.disks.as_ref()?;
    if disks.is_empty() {
        return Err(Silent::Unknown("no file system could be asked".into()));
    }
    let mut wrong = Vec::new();
    for disk in disks {
        if disk.used >= FULL {
            wrong.push(format!("{} is full to {} %", disk.at.display(), disk.used));
        } else if disk.files >= FULL {
            wrong.push(format!("{} has {} % of its files", disk.at.display(), disk.files));
        }
    }
    let most = disks.iter().map(|disk| disk.used).max().unwrap_or(0);
    unless(&wrong, format!("the fullest is full to {most} %"), || {
        Fix::Do("remove what is not needed, or declare a larger disk".into())
    })
}

fn audit_log(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(whole.system.audit_log)?;
    if evidence.container {
        return Err(Silent::Unknown(
            "a container has its host's kernel, and no audit log of its own".into(),
        ));
    }
    let units = evidence.units.as_ref()?;
    let unit = units.get(AUDIT[0]);
    if unit.is_some_and(Unit::active) {
        return Ok(Judged::Pass("auditd.service is active".into()));
    }
    let state = unit.map_or("not-found".into(), Unit::state);
    let fix = if unit.is_some_and(Unit::there) {
        Fix::Mend(vec![Action::Start { unit: AUDIT[0].into() }])
    } else {
        Fix::Switch
    };
    Ok(Judged::Fail(format!("auditd.service is {state}"), fix))
}

fn failed(_: &Whole, evidence: &Evidence) -> Judgement {
    let failed = evidence.failed.as_ref()?;
    let first = failed.first().cloned().unwrap_or_default();
    unless(failed, "none", || {
        Fix::Do(format!("see `journalctl -u {first}`, mend it, and start it"))
    })
}
