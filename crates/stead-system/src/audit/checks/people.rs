//! Accounts: those that are declared, and no others.

use super::{Check, Fix, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Account, Evidence, Password};
use crate::audit::report::{Action, Severity};
use std::collections::BTreeMap;
use stead_file::declared::{Sudo, User};

pub const CHECKS: &[Check] = &[
    Check {
        id: "users.there",
        title: "Every declared user is there, with the declared shell and groups",
        severity: Severity::Medium,
        judge: there,
    },
    Check {
        id: "users.undeclared",
        title: "No person has a login who is not declared",
        severity: Severity::High,
        judge: undeclared,
    },
    Check {
        id: "users.root-number",
        title: "Nobody but root is number 0",
        severity: Severity::Critical,
        judge: root_number,
    },
    Check {
        id: "users.empty-password",
        title: "Nobody logs in with an empty password",
        severity: Severity::Critical,
        judge: empty,
    },
    Check {
        id: "users.password",
        title: "Nobody has a password who needs none",
        severity: Severity::Medium,
        judge: password,
    },
    Check {
        id: "users.strong-groups",
        title: "Nobody is in a group that makes root of its members, unless declared",
        severity: Severity::High,
        judge: strong,
    },
];

/// Groups whose members can become root, and the role that has one.
const STRONG: [(&str, &str); 12] = [
    ("docker", "container-host"),
    ("incus-admin", "incus-host"),
    ("incus", "incus-host"),
    ("lxd", ""),
    ("libvirt", "hypervisor"),
    ("kvm", "hypervisor"),
    ("disk", ""),
    ("shadow", ""),
    ("root", ""),
    ("sudo", "sudo"),
    ("wheel", "sudo"),
    ("admin", "sudo"),
];

fn there(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(!whole.system.users.is_empty())?;
    let accounts = evidence.accounts.as_ref()?;
    let groups = evidence.groups.as_ref()?;
    let mut wrong = Vec::new();
    for (name, user) in &whole.system.users {
        let Some(account) = accounts.get(name) else {
            wrong.push(format!("there is no user {name}"));
            continue;
        };
        let shell = if user.shell.is_empty() { "bash" } else { &user.shell };
        if account.shell.rsplit('/').next() != Some(shell) {
            wrong.push(format!("{name} has the shell {}", account.shell));
        }
        for group in &user.groups {
            let is =
                groups.get(group).is_some_and(|g| g.members.contains(name) || g.gid == account.gid);
            if !is {
                wrong.push(format!("{name} is not in {group}"));
            }
        }
    }
    unless(&wrong, format!("{} users", whole.system.users.len()), || Fix::Switch)
}

fn undeclared(whole: &Whole, evidence: &Evidence) -> Judgement {
    let accounts = evidence.accounts.as_ref()?;
    let declared = &whole.system.users;
    let other = |(name, account): &(&String, &Account)| {
        account.is_person() && !declared.contains_key(*name)
    };
    let names: Vec<String> = accounts.iter().filter(other).map(|(name, _)| name.clone()).collect();
    let wrong: Vec<String> = names.iter().map(|name| format!("{name} is not declared")).collect();
    unless(&wrong, "none but those that are declared", || {
        Fix::Do(format!("declare `users.{0}`, or `userdel {0}`", names[0]))
    })
}

fn root_number(_: &Whole, evidence: &Evidence) -> Judgement {
    let accounts = evidence.accounts.as_ref()?;
    let others: Vec<&String> = accounts
        .iter()
        .filter(|(name, a)| a.uid == 0 && *name != "root")
        .map(|(name, _)| name)
        .collect();
    let wrong: Vec<String> = others.iter().map(|name| format!("{name} is number 0")).collect();
    unless(&wrong, "root alone", || Fix::Do(format!("remove {} from /etc/passwd", others[0])))
}

/// Those of a kind of password, of those who could log in.
fn with(passwords: &BTreeMap<String, Password>, kind: Password) -> impl Iterator<Item = &String> {
    passwords.iter().filter(move |(_, is)| **is == kind).map(|(name, _)| name)
}

fn locked(names: &[&String]) -> Fix {
    Fix::Mend(names.iter().map(|name| Action::Lock { user: (*name).clone() }).collect())
}

fn empty(_: &Whole, evidence: &Evidence) -> Judgement {
    let passwords = evidence.passwords.as_ref()?;
    let names: Vec<&String> = with(passwords, Password::Empty).collect();
    let wrong: Vec<String> =
        names.iter().map(|name| format!("{name} has an empty password")).collect();
    unless(&wrong, format!("{} accounts", passwords.len()), || locked(&names))
}

fn password(whole: &Whole, evidence: &Evidence) -> Judgement {
    let passwords = evidence.passwords.as_ref()?;
    // RDP, too, asks for one.
    let asks = |user: &User| user.sudo == Sudo::Password || whole.has("desktop");
    let asked = |name: &str| whole.system.users.get(name).is_some_and(asks);
    let names: Vec<&String> = with(passwords, Password::Set).filter(|name| !asked(name)).collect();
    let wrong: Vec<String> = names.iter().map(|name| format!("{name} has a password")).collect();
    unless(&wrong, "none but those whom sudo asks for it", || locked(&names))
}

fn strong(whole: &Whole, evidence: &Evidence) -> Judgement {
    let groups = evidence.groups.as_ref()?;
    let mut found = Vec::new();
    for (group, role) in STRONG {
        for member in groups.get(group).into_iter().flat_map(|group| &group.members) {
            let declared = whole.system.users.get(member).is_some_and(|user| {
                user.groups.iter().any(|name| name == group)
                    || (role == "sudo" && user.sudo != Sudo::None)
                    || whole.has(role)
            });
            if !declared && member != "root" {
                found.push((member.clone(), group));
            }
        }
    }
    let wrong: Vec<String> =
        found.iter().map(|(user, group)| format!("{user} is in {group}")).collect();
    unless(&wrong, "nobody but those that are declared", || {
        let leave = |(user, group): &(String, &str)| Action::Leave {
            user: user.clone(),
            group: (*group).into(),
        };
        Fix::Mend(found.iter().map(leave).collect())
    })
}
