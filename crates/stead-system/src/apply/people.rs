//! Groups and users.

use super::Pass;
use super::record::Known;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone)]
pub(super) struct There {
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: String,
}

/// All users there are.
pub(super) fn there(pass: &Pass) -> BTreeMap<String, There> {
    let text =
        std::fs::read_to_string(pass.machine.at(Path::new("/etc/passwd"))).unwrap_or_default();
    let one = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let there = There {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.into(),
            shell: shell.into(),
        };
        Some((name.to_owned(), there))
    };
    text.lines().filter_map(one).collect()
}

/// All groups there are, with who is in them.
fn groups(pass: &Pass) -> BTreeMap<String, BTreeSet<String>> {
    let text =
        std::fs::read_to_string(pass.machine.at(Path::new("/etc/group"))).unwrap_or_default();
    let one = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, _, members] = fields[..] else { return None };
        let members =
            members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some((name.to_owned(), members))
    };
    text.lines().filter_map(one).collect()
}

/// Makes what is missing, and makes what there is as declared.
pub(super) fn bring(pass: &mut Pass) {
    if !pass.machine.live {
        return;
    }
    let mut groups = groups(pass);
    for name in &pass.desired.groups {
        if !groups.contains_key(name)
            && done(pass, &format!("group {name}"), "made", &[&["groupadd", "--system", name]])
        {
            pass.record.groups.insert(name.clone());
            groups.insert(name.clone(), BTreeSet::new());
        }
    }
    let there = there(pass);
    for (name, login) in &pass.desired.users {
        let what = format!("user {name}");
        // Sshd lets nobody in whose shell is not there.
        let has_shell = pass.machine.at(Path::new(&login.shell)).exists();
        let shell = if has_shell { login.shell.as_str() } else { "/bin/bash" };
        if !has_shell {
            let remark = format!("{name} has bash: there is no {} on this machine", login.shell);
            pass.report.remark(&remark);
        }
        let mut known = pass.record.users.get(name).cloned().unwrap_or_default();
        match there.get(name) {
            None => {
                let list = login.groups.iter().cloned().collect::<Vec<_>>().join(",");
                let own =
                    if groups.contains_key(name) { "--no-user-group" } else { "--user-group" };
                let mut words = vec!["useradd", "--create-home", own, "--shell", shell];
                if own == "--no-user-group" {
                    words.extend(["--gid", name]);
                }
                if !list.is_empty() {
                    words.extend(["--groups", &list]);
                }
                words.push(name);
                if !done(pass, &what, "made", &[&words]) {
                    continue;
                }
                known = Known { made: true, locked: false, groups: login.groups.clone() };
            }
            Some(there) => {
                if known.locked {
                    if !done(pass, &what, "unlocked", &[&["usermod", "--expiredate", "", name]]) {
                        continue;
                    }
                    known.locked = false;
                }
                if there.shell != shell {
                    done(
                        pass,
                        &what,
                        "given another shell",
                        &[&["usermod", "--shell", shell, name]],
                    );
                }
                for group in &login.groups {
                    let inside = groups.get(group).is_some_and(|members| members.contains(name));
                    if !inside
                        && done(
                            pass,
                            &what,
                            &format!("put into group {group}"),
                            &[&["gpasswd", "--add", name, group]],
                        )
                    {
                        known.groups.insert(group.clone());
                    }
                }
                let gone: Vec<String> = known.groups.difference(&login.groups).cloned().collect();
                for group in gone {
                    let inside = groups.get(&group).is_some_and(|members| members.contains(name));
                    if !inside
                        || done(
                            pass,
                            &what,
                            &format!("taken out of group {group}"),
                            &[&["gpasswd", "--delete", name, &group]],
                        )
                    {
                        known.groups.remove(&group);
                    }
                }
            }
        }
        pass.record.users.insert(name.clone(), known);
        pass.save();
    }
}

/// Locks those that Stead made and that are declared no more: what they have stays theirs. Others are left alone.
pub(super) fn remove(pass: &mut Pass) {
    if !pass.machine.live {
        return;
    }
    let there = there(pass);
    let gone: Vec<(String, Known)> = pass
        .record
        .users
        .iter()
        .filter(|(name, known)| !pass.desired.users.contains_key(*name) && !known.locked)
        .map(|(name, known)| (name.clone(), known.clone()))
        .collect();
    let members = groups(pass);
    for (name, mut known) in gone {
        if !there.contains_key(&name) {
            pass.record.users.remove(&name);
            continue;
        }
        let what = format!("user {name}");
        for group in &known.groups {
            if members.get(group).is_some_and(|all| all.contains(&name)) {
                done(
                    pass,
                    &what,
                    &format!("taken out of group {group}"),
                    &[&["gpasswd", "--delete", &name, group]],
                );
            }
        }
        known.groups.clear();
        if !known.made {
            if pass.may() {
                pass.record.users.remove(&name);
            }
            continue;
        }
        let lock =
            ["usermod", "--lock", "--expiredate", "1", "--shell", "/usr/sbin/nologin", &name];
        if done(pass, &what, "locked; its home is left", &[&lock]) && pass.may() {
            known.locked = true;
            pass.record.users.insert(name, known);
        }
    }
    let gone: Vec<String> = pass
        .record
        .groups
        .iter()
        .filter(|name| !pass.desired.groups.contains(*name))
        .cloned()
        .collect();
    for name in gone {
        if !members.contains_key(&name)
            || done(pass, &format!("group {name}"), "removed", &[&["groupdel", &name]])
        {
            pass.record.groups.remove(&name);
        }
    }
}

/// Runs these, or says that they would be.
fn done(pass: &mut Pass, what: &str, how: &str, commands: &[&[&str]]) -> bool {
    if pass.may() {
        for words in commands {
            if let Err(why) = pass.machine.run(words) {
                pass.report.failed(what, &why);
                return false;
            }
        }
    }
    pass.report.changed("login", what, how);
    pass.may()
}
