//! Agents: that they are there, and the traps of remote control.

use super::{Check, Fix, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::clean::some;
use crate::audit::evidence::Evidence;
use crate::audit::report::Severity;
use stead_file::declared::ServiceKind;

pub const CHECKS: &[Check] = &[
    Check {
        id: "agents.installed",
        title: "Every declared agent is installed",
        severity: Severity::Medium,
        judge: installed,
    },
    Check {
        id: "agents.version",
        title: "Agents that stay at a version have it",
        severity: Severity::Low,
        judge: version,
    },
    Check {
        id: "agents.environment",
        title: "Nothing in the environment of a remote control keeps it from working or bills a key",
        severity: Severity::High,
        judge: environment,
    },
];

/// Variables that a remote control must not have.
pub const TRAPS: [&str; 3] =
    ["ANTHROPIC_API_KEY", "DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"];

fn installed(whole: &Whole, evidence: &Evidence) -> Judgement {
    let wanted = &whole.system.agents.install;
    concerns(!wanted.is_empty())?;
    evidence.accounts.as_ref()?;
    let missing: Vec<String> = wanted
        .iter()
        .filter(|name| !evidence.agents.get(*name).is_some_and(Option::is_some))
        .map(|name| format!("{name} is not installed"))
        .collect();
    unless(&missing, some(wanted), || Fix::Switch)
}

fn version(whole: &Whole, evidence: &Evidence) -> Judgement {
    let agents = &whole.system.agents;
    let pinned = || agents.versions.iter().filter(|(name, _)| agents.install.contains(name));
    concerns(pinned().next().is_some())?;
    evidence.accounts.as_ref()?;
    let (mut wrong, mut unread) = (Vec::new(), None);
    for (name, wanted) in pinned() {
        // One that is missing is the other check's.
        let Some(Some(agent)) = evidence.agents.get(name) else {
            unread = Some(format!("{name} is not installed"));
            continue;
        };
        match &agent.version {
            Ok(version) if version == wanted => {}
            Ok(version) => wrong.push(format!("{name} has {version}, declared is {wanted}")),
            Err(why) => unread = Some(format!("the version of {name}: {why}")),
        }
    }
    match unread {
        Some(why) if wrong.is_empty() => Err(Silent::Unknown(why)),
        _ => unless(&wrong, format!("{} as declared", pinned().count()), || Fix::Switch),
    }
}

fn environment(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(whole.remote_control())?;
    let (mut wrong, mut unread) = (Vec::new(), None);
    let traps = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| TRAPS.contains(&name.as_str())).cloned().collect()
    };
    for process in evidence.remote_controls.as_ref()? {
        match &process.variables {
            Ok(names) => wrong.extend(
                traps(names).iter().map(|trap| format!("process {} has {trap}", process.pid)),
            ),
            Err(why) => unread = Some(why.clone()),
        }
    }
    for (path, names) in evidence.environments.as_ref()? {
        wrong.extend(traps(names).iter().map(|trap| format!("{} sets {trap}", path.display())));
    }
    match &evidence.units {
        Ok(units) => {
            let services = whole.system.services.iter();
            for (name, _) in services.filter(|(_, s)| s.kind == ServiceKind::RemoteControl) {
                let Some(unit) = units.get(&format!("{name}.service")) else { continue };
                let has = |trap: &&&str| unit.get("Environment").contains(&format!("{trap}="));
                wrong.extend(
                    TRAPS.iter().filter(has).map(|trap| format!("{name}.service sets {trap}")),
                );
            }
        }
        Err(why) => unread = Some(why.clone()),
    }
    match unread {
        Some(why) if wrong.is_empty() => Err(Silent::Unknown(why)),
        _ => unless(&wrong, "none of the variables is set", || {
            Fix::Do("remove the variable, and start the unit again".into())
        }),
    }
}
