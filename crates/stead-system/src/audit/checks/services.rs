//! People's own daemons and timers.

use super::{Check, Fix, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, Unit};
use crate::audit::report::{Action, Severity};
use std::collections::BTreeMap;

pub const CHECKS: &[Check] = &[
    Check {
        id: "services.running",
        title: "Every declared service runs, or waits for its time",
        severity: Severity::High,
        judge: running,
    },
    Check {
        id: "services.user",
        title: "Every service runs as declared, and not as root",
        severity: Severity::High,
        judge: user,
    },
    Check {
        id: "services.privileges",
        title: "No service gains privileges",
        severity: Severity::Medium,
        judge: privileges,
    },
    Check {
        id: "services.exposure",
        title: "systemd finds no service exposed by more than 4.0 of 10",
        severity: Severity::Medium,
        judge: exposure,
    },
    Check {
        id: "services.alert",
        title: "A service that fails is told",
        severity: Severity::Medium,
        judge: alert,
    },
];

/// What `systemd-analyze security` may say of a service that does without no hardening.
const EXPOSED: f64 = 4.0;

/// The units of services: the service, and its timer if it has one.
pub fn units(whole: &Whole) -> Vec<String> {
    let services = whole.system.services.iter();
    services
        .flat_map(|(name, service)| {
            let timer = service.calendar.as_ref().map(|_| format!("{name}.timer"));
            [Some(format!("{name}.service")), timer]
        })
        .flatten()
        .collect()
}

fn found<'e>(whole: &Whole, evidence: &'e Evidence) -> Result<&'e BTreeMap<String, Unit>, Silent> {
    concerns(!whole.system.services.is_empty())?;
    Ok(evidence.units.as_ref()?)
}

fn running(whole: &Whole, evidence: &Evidence) -> Judgement {
    let units = found(whole, evidence)?;
    let (mut wrong, mut stopped, mut gone) = (Vec::new(), Vec::new(), false);
    for (name, service) in &whole.system.services {
        let unit = match service.calendar {
            Some(_) => format!("{name}.timer"),
            None => format!("{name}.service"),
        };
        let is = units.get(&unit);
        // What runs once has run.
        let done = service.restart == "no"
            && is.is_some_and(|is| {
                is.get("ActiveState") == "inactive"
                    && is.get("Result") == "success"
                    && !matches!(is.get("ExecMainStartTimestampMonotonic"), "" | "0")
            });
        if is.is_some_and(Unit::active) || (service.calendar.is_none() && done) {
            continue;
        }
        wrong.push(format!("{unit} is {}", is.map_or("not-found".into(), Unit::state)));
        if is.is_some_and(Unit::there) {
            stopped.push(Action::Start { unit });
        } else {
            gone = true;
        }
    }
    unless(&wrong, format!("{} services", whole.system.services.len()), || {
        if gone { Fix::Switch } else { Fix::Mend(stopped) }
    })
}

/// Passes if nothing is wrong with any service whose unit is there.
fn each(
    whole: &Whole,
    evidence: &Evidence,
    mut wrong: impl FnMut(&str, &stead_file::declared::Service, &Unit) -> Option<String>,
) -> Judgement {
    let units = found(whole, evidence)?;
    let (mut all, mut seen) = (Vec::new(), 0);
    for (name, service) in &whole.system.services {
        let Some(unit) = units.get(&format!("{name}.service")).filter(|unit| unit.there()) else {
            continue;
        };
        seen += 1;
        all.extend(wrong(name, service, unit));
    }
    if seen == 0 {
        return Err(Silent::Unknown("no unit of a service is there".into()));
    }
    unless(&all, format!("{seen} services"), || Fix::Switch)
}

fn user(whole: &Whole, evidence: &Evidence) -> Judgement {
    each(whole, evidence, |name, service, unit| {
        let is = unit.get("User");
        let dynamic = unit.get("DynamicUser") == "yes";
        match &service.user {
            Some(wanted) if is != wanted => {
                Some(format!("{name} runs as {}", if is.is_empty() { "root" } else { is }))
            }
            None if !dynamic && matches!(is, "" | "root") => Some(format!("{name} runs as root")),
            _ => None,
        }
    })
}

fn privileges(whole: &Whole, evidence: &Evidence) -> Judgement {
    each(whole, evidence, |name, service, unit| {
        let without = service.relax.iter().any(|directive| directive == "NoNewPrivileges");
        let gains = unit.get("NoNewPrivileges") != "yes" && !without;
        gains.then(|| format!("{name} may gain privileges"))
    })
}

fn exposure(whole: &Whole, evidence: &Evidence) -> Judgement {
    // One that does without something is as exposed as its declaration says.
    let strict = || whole.system.services.iter().filter(|(_, service)| service.relax.is_empty());
    concerns(strict().next().is_some())?;
    let all = evidence.exposure.as_ref()?;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (name, _) in strict() {
        let Some(exposed) = all.get(&format!("{name}.service")) else { continue };
        seen += 1;
        if *exposed > EXPOSED {
            wrong.push(format!("{name} is exposed by {exposed:.1}"));
        }
    }
    if seen == 0 {
        return Err(Silent::Unknown("systemd tells of no service how exposed it is".into()));
    }
    unless(&wrong, format!("{seen} services"), || Fix::Switch)
}

fn alert(whole: &Whole, evidence: &Evidence) -> Judgement {
    let told = whole.system.services.values().any(|service| service.alert);
    concerns(whole.system.alerts.ntfy.is_some() && told)?;
    each(whole, evidence, |name, service, unit| {
        let silent = service.alert && unit.get("OnFailure").is_empty();
        silent.then(|| format!("{name} has no OnFailure"))
    })
}
