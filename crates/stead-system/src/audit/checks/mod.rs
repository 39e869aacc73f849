//! What is checked: pure functions of what is declared and what was found.

mod access;
mod agents;
mod containers;
mod credentials;
mod firewall;
mod machine;
mod packages;
mod people;
mod roles;
mod services;
mod ssh;
mod sudo;
#[cfg(test)]
mod tests;
mod updates;

use super::clean::clean;
use super::evidence::Evidence;
use super::report::{Action, Finding, Severity, Verdict};
use crate::Whole;

/// One thing that is checked.
pub struct Check {
    /// Its name: `ssh.password`.
    pub id: &'static str,
    /// What is to be so.
    pub title: &'static str,
    /// How bad it is if it is not.
    pub severity: Severity,
    judge: fn(&Whole, &Evidence) -> Judgement,
}

/// What a check says, or why it says nothing.
type Judgement = Result<Judged, Silent>;

/// What a check says.
enum Judged {
    /// It is so, as is seen from this.
    Pass(String),
    /// It is not, as is seen from this; and what to do.
    Fail(String, Fix),
}

/// Why a check says nothing.
enum Silent {
    /// It does not concern this system.
    Elsewhere,
    /// This could not be looked at.
    Unknown(String),
}

/// So that `evidence.thing.as_ref()?` says why the thing is not there.
impl From<&String> for Silent {
    fn from(why: &String) -> Self {
        Silent::Unknown(why.clone())
    }
}

/// What to do about a failure.
enum Fix {
    /// Bring the machine to its declaration.
    Switch,
    /// Something that a person decides on.
    Do(String),
    /// What the audit itself does.
    Mend(Vec<Action>),
}

/// All checks, in the order of reports.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        ssh::CHECKS,
        access::CHECKS,
        firewall::CHECKS,
        people::CHECKS,
        sudo::CHECKS,
        credentials::CHECKS,
        agents::CHECKS,
        containers::CHECKS,
        services::CHECKS,
        roles::CHECKS,
        packages::CHECKS,
        updates::CHECKS,
        machine::CHECKS,
    ]
    .into_iter()
    .flatten()
}

impl Check {
    /// What it says of a machine; `None` if it does not concern it.
    pub fn finding(&self, whole: &Whole, evidence: &Evidence) -> Option<Finding> {
        if whole.outside && self.id.starts_with("firewall.") {
            return None;
        }
        let mut mends = Vec::new();
        let (verdict, text, fix) = match (self.judge)(whole, evidence) {
            Err(Silent::Elsewhere) => return None,
            Err(Silent::Unknown(why)) => (Verdict::Unknown, why, None),
            Ok(Judged::Pass(text)) => (Verdict::Pass, text, None),
            Ok(Judged::Fail(text, fix)) => {
                let fix = match fix {
                    Fix::Switch => format!("stead system switch {}", whole.machine),
                    Fix::Do(what) => what,
                    Fix::Mend(actions) => {
                        let commands: Vec<String> =
                            actions.iter().take(3).map(ToString::to_string).collect();
                        mends = actions;
                        let all = if mends.len() > 3 { "; ..." } else { "" };
                        format!(
                            "stead audit {} --fix ({}{all})",
                            whole.machine,
                            commands.join("; ")
                        )
                    }
                };
                (Verdict::Fail, text, Some(fix))
            }
        };
        Some(Finding {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            severity: self.severity,
            verdict,
            evidence: clean(&text),
            fix: fix.map(|fix| clean(&fix)),
            mends,
        })
    }
}

/// Only if it concerns this system.
fn concerns(holds: bool) -> Result<(), Silent> {
    if holds { Ok(()) } else { Err(Silent::Elsewhere) }
}

/// Passes if nothing is wrong.
#[allow(clippy::unnecessary_wraps)] // so that it is what a check says
fn unless(wrong: &[String], well: impl Into<String>, fix: impl FnOnce() -> Fix) -> Judgement {
    if wrong.is_empty() {
        return Ok(Judged::Pass(well.into()));
    }
    let shown: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
    let more = wrong.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Judged::Fail(format!("{}{more}", shown.join("; ")), fix()))
}

/// The units of services, which systemd is asked how exposed they are.
pub fn services(whole: &Whole) -> Vec<String> {
    whole.system.services.keys().map(|name| format!("{name}.service")).collect()
}

/// All units that any check looks at.
pub fn units(whole: &Whole) -> Vec<String> {
    let fixed = ["fail2ban.service", "apt-daily-upgrade.timer", "nixos-upgrade.timer"];
    let mut all: Vec<String> =
        ssh::UNITS.iter().chain(&machine::AUDIT).chain(&fixed).map(ToString::to_string).collect();
    all.extend(
        roles::units(whole).iter().flat_map(|(_, names)| names.iter().map(ToString::to_string)),
    );
    all.extend(services::units(whole));
    all
}
