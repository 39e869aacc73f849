//! Keys that let people in.

use super::{Check, Fix, Judgement, Silent, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, Seen};
use crate::audit::report::{Action, Severity};
use std::collections::BTreeSet;

pub const CHECKS: &[Check] = &[
    Check {
        id: "keys.there",
        title: "Every declared key lets its user in",
        severity: Severity::Medium,
        judge: there,
    },
    Check {
        id: "keys.undeclared",
        title: "No key lets anybody in that is not declared",
        severity: Severity::Critical,
        judge: undeclared,
    },
    Check {
        id: "keys.modes",
        title: "Nobody but their owner can write to files of keys",
        severity: Severity::High,
        judge: modes,
    },
];

/// A declared key, without options and comment.
fn bare(line: &str) -> String {
    crate::audit::keys::bare(line).unwrap_or_else(|| line.to_owned())
}

/// A key so that it can be told from others.
fn short(key: &str) -> String {
    let (kind, blob) = key.split_once(' ').unwrap_or(("", key));
    let end: String = blob.chars().skip(blob.chars().count().saturating_sub(12)).collect();
    format!("{kind} ...{end}")
}

/// All that is wrong with users' keys; what could not be read makes it unknown unless something is wrong anyway.
fn over(
    evidence: &Evidence,
    wrong: &[String],
    well: String,
    fix: impl FnOnce() -> Fix,
) -> Judgement {
    let unread = evidence.keys.iter().find_map(|(user, keys)| Some((user, keys.as_ref().err()?)));
    match unread {
        Some((user, why)) if wrong.is_empty() => {
            Err(Silent::Unknown(format!("keys of {user} were not looked at: {why}")))
        }
        _ => unless(wrong, well, fix),
    }
}

fn there(whole: &Whole, evidence: &Evidence) -> Judgement {
    let users = &whole.system.users;
    concerns(whole.system.ssh.enable && users.values().any(|user| !user.keys.is_empty()))?;
    evidence.accounts.as_ref()?;
    let mut wrong = Vec::new();
    for (name, user) in users {
        let has: BTreeSet<&str> = match evidence.keys.get(name) {
            Some(Ok(files)) => {
                files.iter().flat_map(|file| &file.keys).map(String::as_str).collect()
            }
            Some(Err(_)) => continue,
            None => BTreeSet::new(),
        };
        for key in user.keys.iter().map(|key| bare(key)).filter(|key| !has.contains(&**key)) {
            wrong.push(format!("{name} lacks {}", short(&key)));
        }
    }
    over(evidence, &wrong, "all declared keys are there".into(), || Fix::Switch)
}

fn undeclared(whole: &Whole, evidence: &Evidence) -> Judgement {
    evidence.accounts.as_ref()?;
    let mut wrong = Vec::new();
    let mut paths = BTreeSet::new();
    let mut count = 0;
    for (name, files) in &evidence.keys {
        let declared: BTreeSet<String> = whole
            .system
            .users
            .get(name)
            .into_iter()
            .flat_map(|user| user.keys.iter().map(|key| bare(key)))
            .collect();
        for file in files.iter().flatten() {
            for key in &file.keys {
                count += 1;
                if !declared.contains(key) {
                    paths.insert(file.path.display().to_string());
                    wrong.push(format!("{name} has {} in {}", short(key), file.path.display()));
                }
            }
        }
    }
    let paths: Vec<String> = paths.into_iter().take(3).collect();
    over(evidence, &wrong, format!("{count} keys, all declared"), || {
        Fix::Do(format!("declare the key, or remove it from {}", paths.join(", ")))
    })
}

fn modes(_: &Whole, evidence: &Evidence) -> Judgement {
    evidence.accounts.as_ref()?;
    let files: Vec<_> =
        evidence.keys.values().filter_map(|keys: &Seen<_>| keys.as_ref().ok()).flatten().collect();
    let open: BTreeSet<_> = files.iter().filter_map(|file| file.open.as_ref()).collect();
    let wrong: Vec<String> =
        open.iter().map(|path| format!("others can write to {}", path.display())).collect();
    over(evidence, &wrong, format!("{} files of keys", files.len()), || {
        Fix::Mend(
            open.iter()
                .map(|path| Action::Close { path: (*path).clone(), without: 0o022 })
                .collect(),
        )
    })
}
