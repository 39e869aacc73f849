//! Who becomes root.

use super::{Check, Fix, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::evidence::{Evidence, SudoRule};
use crate::audit::report::Severity;
use stead_file::declared::Sudo;

pub const CHECKS: &[Check] = &[
    Check {
        id: "sudo.declared",
        title: "Every declared user becomes root as declared, or not at all",
        severity: Severity::High,
        judge: declared,
    },
    Check {
        id: "sudo.others",
        title: "Nobody else becomes root",
        severity: Severity::Critical,
        judge: others,
    },
];

/// The groups that a system gives its administrators; what matters is who is in them.
const USUAL: [&str; 5] = ["root", "%sudo", "%wheel", "%admin", "%root"];

/// The rules that are about somebody.
fn about<'e>(name: &str, rules: &'e [SudoRule], evidence: &Evidence) -> Vec<&'e SudoRule> {
    let groups = evidence.groups.iter().flatten();
    let gid = evidence.accounts.as_ref().ok().and_then(|all| all.get(name)).map(|a| a.gid);
    let of: Vec<String> = groups
        .filter(|(_, group)| group.members.iter().any(|m| m == name) || Some(group.gid) == gid)
        .map(|(group, _)| format!("%{group}"))
        .collect();
    let is = |rule: &&SudoRule| rule.who == name || rule.who == "ALL" || of.contains(&rule.who);
    rules.iter().filter(is).collect()
}

fn declared(whole: &Whole, evidence: &Evidence) -> Judgement {
    concerns(!whole.system.users.is_empty())?;
    let none = Vec::new();
    let needed = whole.system.users.values().any(|user| user.sudo != Sudo::None);
    let rules = match &evidence.sudo {
        Ok(rules) => rules,
        // Without sudo nobody becomes root by it.
        Err(why) if !needed && why.contains("there is no") => &none,
        Err(why) => return Err(why.into()),
    };
    evidence.groups.as_ref()?;
    evidence.accounts.as_ref()?;
    let mut wrong = Vec::new();
    for (name, user) in &whole.system.users {
        let about = about(name, rules, evidence);
        let free = about.iter().any(|rule| rule.free);
        match user.sudo {
            Sudo::Passwordless if !about.iter().any(|rule| rule.free && rule.all) => {
                wrong.push(format!("{name} is asked for a password, or may not"));
            }
            Sudo::Password if !about.iter().any(|rule| rule.all) => {
                wrong.push(format!("{name} may not"));
            }
            Sudo::Password if free => wrong.push(format!("{name} is not asked for a password")),
            Sudo::None if !about.is_empty() => {
                wrong.push(format!("{name} may, by the rule of {}", about[0].who));
            }
            _ => {}
        }
    }
    unless(&wrong, format!("{} users", whole.system.users.len()), || Fix::Switch)
}

fn others(whole: &Whole, evidence: &Evidence) -> Judgement {
    let rules = match &evidence.sudo {
        Ok(rules) => rules.as_slice(),
        Err(why) if why.contains("there is no") => &[],
        Err(why) => return Err(why.into()),
    };
    let groups = evidence.groups.as_ref()?;
    let mut wrong = Vec::new();
    for rule in rules {
        let known = USUAL.contains(&&*rule.who) || whole.system.users.contains_key(&rule.who);
        let own = rule.who.strip_prefix('%').is_some_and(|group| {
            let members =
                groups.get(group).map(|group| group.members.as_slice()).unwrap_or_default();
            members.iter().all(|member| whole.system.users.contains_key(member))
        });
        if !known && !own {
            wrong.push(format!("sudo has a rule for {}", rule.who));
        }
    }
    for (group, members) in
        groups.iter().filter(|(name, _)| USUAL[1..].contains(&&*format!("%{name}")))
    {
        let strangers =
            members.members.iter().filter(|m| *m != "root" && !whole.system.users.contains_key(*m));
        if rules.iter().any(|rule| rule.who == format!("%{group}")) {
            wrong.extend(strangers.map(|member| format!("{member} is in {group}")));
        }
    }
    unless(&wrong, format!("{} rules", rules.len()), || {
        Fix::Do("remove the rule from /etc/sudoers.d, or declare the user".into())
    })
}
