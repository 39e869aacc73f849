//! Credentials, and who can read them.

use super::{Check, Fix, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::clean::some;
use crate::audit::evidence::{Credential, Evidence};
use crate::audit::report::{Action, Severity};
use std::path::Path;

pub const CHECKS: &[Check] = &[
    Check {
        id: "credentials.private",
        title: "Nobody reads another's credentials",
        severity: Severity::Critical,
        judge: private,
    },
    Check {
        id: "credentials.plain",
        title: "No key stands in a unit or in an environment for all to read",
        severity: Severity::High,
        judge: plain,
    },
    Check {
        id: "secrets.there",
        title: "Every secret that something reads is there",
        severity: Severity::Medium,
        judge: there,
    },
    Check {
        id: "secrets.private",
        title: "Not everybody reads the secrets",
        severity: Severity::Critical,
        judge: secrets,
    },
];

fn exposed<'e>(
    all: impl Iterator<Item = &'e Credential>,
    without: u32,
) -> (Vec<String>, Vec<Action>) {
    all.filter(|file| file.exposed)
        .map(|file| (shown(file), Action::Close { path: file.path.clone(), without }))
        .unzip()
}

fn shown(file: &Credential) -> String {
    format!("{} has mode {:04o}", file.path.display(), file.mode & 0o7777)
}

fn private(_: &Whole, evidence: &Evidence) -> Judgement {
    let all = evidence.credentials.as_ref()?;
    let (mut wrong, mut actions) = exposed(all.iter(), 0o077);
    let mut leave = None;
    for file in all.iter().filter(|file| !file.exposed) {
        let Some((group, members)) = &file.group else { continue };
        wrong.push(format!("{}, and group {group} has {}", shown(file), some(members)));
        // What the system gives a group is for that group: somebody is in it who should not be.
        if file.path.starts_with("/etc") {
            leave = leave.or(members.first().map(|name| format!("gpasswd -d {name} {group}")));
        } else {
            actions.push(Action::Close { path: file.path.clone(), without: 0o077 });
        }
    }
    unless(&wrong, format!("{} files", all.len()), || match leave {
        Some(leave) if actions.is_empty() => Fix::Do(leave),
        _ => Fix::Mend(actions),
    })
}

fn plain(_: &Whole, evidence: &Evidence) -> Judgement {
    let found = evidence.plain_keys.as_ref()?;
    let named =
        |(path, whose): &(std::path::PathBuf, &str)| format!("{} has {whose}", path.display());
    let wrong: Vec<String> = found.iter().map(named).collect();
    unless(&wrong, "no file of systemd's or of the environment has one", || {
        let path = found.first().map_or(Path::new(""), |(path, _)| path).display();
        Fix::Do(format!(
            "remove it from {path}, have the key replaced where it is from, and declare it in `secrets`"
        ))
    })
}

fn there(whole: &Whole, evidence: &Evidence) -> Judgement {
    let wanted = whole.secrets();
    concerns(!wanted.is_empty())?;
    let has = evidence.secrets.as_ref()?;
    let missing = wanted.iter().filter(|name| !has.contains_key(**name));
    let wrong: Vec<String> =
        missing.map(|name| format!("there is no {}", crate::secret_path(name))).collect();
    unless(&wrong, format!("{} secrets", wanted.len()), || Fix::Switch)
}

fn secrets(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(!whole.secrets().is_empty())?;
    let all = evidence.secrets.as_ref()?;
    let (wrong, actions) = exposed(all.values(), 0o007);
    unless(&wrong, format!("{} files", all.len()), || Fix::Mend(actions))
}
