//! The ssh server: keys only, no root, nobody who is not named.

use super::{Check, Fix, Judged, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::clean::some;
use crate::audit::evidence::{Evidence, Sshd, Unit};
use crate::audit::report::{Action, Severity};
use std::collections::{BTreeMap, BTreeSet};

pub const CHECKS: &[Check] = &[
    Check {
        id: "ssh.running",
        title: "The ssh server runs if it is declared, and else not",
        severity: Severity::High,
        judge: running,
    },
    Check {
        id: "ssh.password",
        title: "Nobody comes in by ssh with a password",
        severity: Severity::Critical,
        judge: |whole, evidence| {
            needs(
                whole,
                evidence,
                &[("passwordauthentication", "no"), ("kbdinteractiveauthentication", "no")],
            )
        },
    },
    Check {
        id: "ssh.root",
        title: "Root does not come in by ssh",
        severity: Severity::High,
        judge: |whole, evidence| needs(whole, evidence, &[("permitrootlogin", "no")]),
    },
    Check {
        id: "ssh.keys",
        title: "Keys let people in by ssh",
        severity: Severity::Medium,
        judge: |whole, evidence| needs(whole, evidence, &[("pubkeyauthentication", "yes")]),
    },
    Check {
        id: "ssh.empty-password",
        title: "The ssh server takes no empty password",
        severity: Severity::Critical,
        judge: |whole, evidence| needs(whole, evidence, &[("permitemptypasswords", "no")]),
    },
    Check {
        id: "ssh.x11",
        title: "The ssh server forwards no X11",
        severity: Severity::Low,
        judge: |whole, evidence| needs(whole, evidence, &[("x11forwarding", "no")]),
    },
    Check {
        id: "ssh.users",
        title: "Only who is declared may come in by ssh",
        severity: Severity::High,
        judge: users,
    },
    Check {
        id: "ssh.tries",
        title: "A connection may not try more often than declared",
        severity: Severity::Medium,
        judge: tries,
    },
    Check {
        id: "ssh.idle",
        title: "A connection whose other end is gone is closed after ten minutes",
        severity: Severity::Low,
        judge: idle,
    },
    Check {
        id: "ssh.port",
        title: "The ssh server has the declared port and no other",
        severity: Severity::Medium,
        judge: port,
    },
    Check {
        id: "ssh.match",
        title: "No `Match` lets in by ssh who would be kept out",
        severity: Severity::High,
        judge: matches,
    },
    Check {
        id: "ssh.fail2ban",
        title: "Addresses that try too often are banned",
        severity: Severity::Medium,
        judge: fail2ban,
    },
];

/// The units of an ssh server, by the systems' names.
pub const UNITS: [&str; 4] = ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"];

fn running(whole: &Whole, evidence: &Evidence) -> Judgement {
    let units = evidence.units.as_ref()?;
    let active = UNITS.iter().find(|name| units.get(**name).is_some_and(Unit::active));
    match (whole.system.ssh.enable, active) {
        (true, Some(unit)) => Ok(Judged::Pass(format!("{unit} is active"))),
        (false, None) => Ok(Judged::Pass("no unit of an ssh server is active".into())),
        (false, Some(unit)) => Ok(Judged::Fail(
            format!("{unit} is active, and no ssh server is declared"),
            Fix::Switch,
        )),
        (true, None) => {
            let there = UNITS.iter().find(|name| units.get(**name).is_some_and(Unit::there));
            let Some(unit) = there else {
                return Ok(Judged::Fail("there is no ssh server".into(), Fix::Switch));
            };
            let start = Action::Start { unit: (*unit).into() };
            Ok(Judged::Fail(format!("{unit} is not active"), Fix::Mend(vec![start])))
        }
    }
}

/// What the server answers. What only its files say of these settings is no evidence: others may have been told when it started.
fn server<'e>(whole: &Whole, evidence: &'e Evidence, keys: &[&str]) -> Result<&'e Sshd, Silent> {
    concerns(whole.system.ssh.enable)?;
    let sshd = evidence.sshd.as_ref()?;
    let Some(why) = &sshd.unasked else { return Ok(sshd) };
    let told = keys.iter().filter_map(|key| Some(format!("{key} {}", sshd.get(key)?)));
    let told: Vec<String> = told.collect();
    let told = if told.is_empty() { "nothing of it".into() } else { told.join(", ") };
    Err(Silent::Unknown(format!("{why}; its files say {told}")))
}

/// Settings for root and for each person, who is named where it is not root.
fn everybody(sshd: &Sshd) -> impl Iterator<Item = (String, &BTreeMap<String, Vec<String>>)> {
    let people = sshd.people.iter().map(|(name, own)| (format!(" for {name}"), own));
    std::iter::once((String::new(), &sshd.settings)).chain(people)
}

fn value<'e>(settings: &'e BTreeMap<String, Vec<String>>, key: &str) -> Result<&'e str, Silent> {
    let told = settings.get(key).and_then(|all| all.first());
    told.map(String::as_str)
        .ok_or_else(|| Silent::Unknown(format!("`sshd -T` does not tell {key}")))
}

/// Whether settings are as they are to be, for everybody.
fn needs(whole: &Whole, evidence: &Evidence, wanted: &[(&str, &str)]) -> Judgement {
    let keys: Vec<&str> = wanted.iter().map(|(key, _)| *key).collect();
    let sshd = server(whole, evidence, &keys)?;
    let (mut seen, mut wrong) = (Vec::new(), Vec::new());
    for (key, wanted) in wanted {
        for (whom, settings) in everybody(sshd) {
            let is = value(settings, key)?;
            if whom.is_empty() {
                seen.push(format!("{key} {is}"));
            }
            // What holds for root as well is said once.
            let said = format!("{key} {is}");
            if is != *wanted && (whom.is_empty() || !wrong.contains(&said)) {
                wrong.push(format!("{said}{whom}"));
            }
        }
    }
    let whom = match sshd.people.len() {
        0 => String::new(),
        1 => ", asked for root and one more".into(),
        more => format!(", asked for root and {more} more"),
    };
    unless(&wrong, seen.join(", ") + &whom, || Fix::Switch)
}

fn users(whole: &Whole, evidence: &Evidence) -> Judgement {
    let sshd = server(whole, evidence, &["allowusers"])?;
    let wanted: BTreeSet<&str> = whole.ssh_users().into_iter().collect();
    let mut allowed: BTreeSet<&str> = BTreeSet::new();
    for (whom, settings) in everybody(sshd) {
        let Some(own) = settings.get("allowusers").filter(|all| !all.is_empty()) else {
            if wanted.is_empty() {
                // Nobody is declared: nobody has a key.
                return Ok(Judged::Pass("no user is declared to come in".into()));
            }
            let open = format!("AllowUsers is not set{whom}: everybody may");
            return Ok(Judged::Fail(open, Fix::Switch));
        };
        allowed.extend(own.iter().map(String::as_str));
    }
    let more: Vec<&str> = allowed.difference(&wanted).copied().collect();
    let fewer: Vec<&str> = wanted.difference(&allowed).copied().collect();
    let mut wrong = Vec::new();
    if !more.is_empty() {
        wrong.push(format!("AllowUsers has {}, not declared", some(&more)));
    }
    if !fewer.is_empty() {
        wrong.push(format!("AllowUsers lacks {}", some(&fewer)));
    }
    let all: Vec<&str> = allowed.into_iter().collect();
    unless(&wrong, format!("AllowUsers {}", some(&all)), || Fix::Switch)
}

fn number(sshd: &Sshd, key: &str) -> Result<u32, Silent> {
    let text = value(&sshd.settings, key)?;
    text.parse().map_err(|_| Silent::Unknown(format!("{key} is `{text}`, no number")))
}

fn tries(whole: &Whole, evidence: &Evidence) -> Judgement {
    let is = number(server(whole, evidence, &["maxauthtries"])?, "maxauthtries")?;
    let wanted = whole.system.ssh.max_auth_tries;
    if is <= wanted {
        return Ok(Judged::Pass(format!("MaxAuthTries {is}")));
    }
    Ok(Judged::Fail(format!("MaxAuthTries {is}, declared are {wanted}"), Fix::Switch))
}

fn idle(whole: &Whole, evidence: &Evidence) -> Judgement {
    let sshd = server(whole, evidence, &["clientaliveinterval", "clientalivecountmax"])?;
    let (interval, count) =
        (number(sshd, "clientaliveinterval")?, number(sshd, "clientalivecountmax")?);
    let seen = format!("ClientAliveInterval {interval}, ClientAliveCountMax {count}");
    // Without either nothing is ever closed.
    let closed = interval > 0 && count > 0 && interval.saturating_mul(count) <= 600;
    Ok(if closed { Judged::Pass(seen) } else { Judged::Fail(seen, Fix::Switch) })
}

fn port(whole: &Whole, evidence: &Evidence) -> Judgement {
    let sshd = server(whole, evidence, &["port"])?;
    let ports = sshd.settings.get("port").cloned().unwrap_or_default();
    if ports.is_empty() {
        return Err(Silent::Unknown("`sshd -T` does not tell the port".into()));
    }
    let wanted = whole.system.ssh.port.to_string();
    let wrong: Vec<String> = ports
        .iter()
        .filter(|port| **port != wanted)
        .map(|port| format!("port {port}, declared is {wanted}"))
        .collect();
    unless(&wrong, format!("port {wanted}"), || Fix::Switch)
}

fn matches(whole: &Whole, evidence: &Evidence) -> Judgement {
    let sshd = server(whole, evidence, &[])?;
    let loose = |key: &str, value: &str| match key {
        "passwordauthentication"
        | "kbdinteractiveauthentication"
        | "challengeresponseauthentication"
        | "permitemptypasswords"
        | "permitrootlogin" => value != "no",
        "authorizedkeyscommand" | "authorizedkeysfile" | "trustedusercakeys" => value != "none",
        _ => false,
    };
    let wrong: Vec<String> = sshd
        .matches
        .iter()
        .filter(|(_, key, value)| loose(key, value))
        .map(|(of, key, value)| format!("Match {of}: {key} {value}"))
        .collect();
    let well = format!("{} settings within `Match`", sshd.matches.len());
    unless(&wrong, well, || Fix::Do("remove this `Match` from /etc/ssh".into()))
}

fn fail2ban(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(whole.system.ssh.enable && whole.system.ssh.fail2ban)?;
    let units = evidence.units.as_ref()?;
    let unit = units.get("fail2ban.service");
    if !unit.is_some_and(Unit::active) {
        let state = unit.map_or("not-found".into(), Unit::state);
        let fix = if state == "not-found" {
            Fix::Switch
        } else {
            Fix::Mend(vec![Action::Start { unit: "fail2ban.service".into() }])
        };
        return Ok(Judged::Fail(format!("fail2ban.service is {state}"), fix));
    }
    let jails = evidence.jails.as_ref()?;
    if jails.iter().any(|jail| jail.contains("ssh")) {
        return Ok(Judged::Pass(format!("fail2ban watches {}", some(jails))));
    }
    Ok(Judged::Fail(format!("fail2ban does not watch ssh, but {}", some(jails)), Fix::Switch))
}
