//! Accounts, passwords, groups, sudo.

use super::files::Place;
use crate::audit::evidence::{Account, Group, Password, Seen, SudoRule};
use std::collections::{BTreeMap, BTreeSet};

pub fn accounts(place: &Place) -> Seen<BTreeMap<String, Account>> {
    let text = place.read("/etc/passwd")?;
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let account = Account {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.into(),
            shell: if shell.is_empty() { "/bin/sh".into() } else { shell.into() },
        };
        Some((name.to_owned(), account))
    };
    Ok(text.lines().filter_map(account).collect())
}

pub fn passwords(place: &Place) -> Seen<BTreeMap<String, Password>> {
    let text = place.read("/etc/shadow")?;
    let password = |line: &str| {
        let mut fields = line.split(':');
        let (name, hash) = (fields.next()?, fields.next()?);
        let password = match hash {
            "" => Password::Empty,
            hash if hash.starts_with(['!', '*']) || hash == "x" => Password::Locked,
            _ => Password::Set,
        };
        Some((name.to_owned(), password))
    };
    Ok(text.lines().filter_map(password).collect())
}

pub fn groups(place: &Place) -> Seen<BTreeMap<String, Group>> {
    let text = place.read("/etc/group")?;
    let group = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else { return None };
        let members =
            members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some((name.to_owned(), Group { gid: gid.parse().ok()?, members }))
    };
    Ok(text.lines().filter_map(group).collect())
}

pub fn sudo(place: &Place) -> Seen<Vec<SudoRule>> {
    let main = "/etc/sudoers";
    if !place.path(main).exists() {
        return Err("there is no sudo".into());
    }
    let mut rules = rules(&place.read(main)?);
    for path in place.list("/etc/sudoers.d")? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Those that sudo leaves out.
        if !name.contains('.') && !name.ends_with('~') {
            rules.extend(self::rules(&place.read(&path)?));
        }
    }
    Ok(rules)
}

/// The rules of a sudoers file. What is granted through an alias counts as everything: which commands are harmless
/// cannot be told.
pub fn rules(text: &str) -> Vec<SudoRule> {
    let joined = text.replace("\\\n", " ");
    let mut aliases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for line in joined.lines() {
        let line = line.trim();
        // `#include` is one, `#1000` a number; everything else after it is a comment.
        if line.is_empty()
            || line.starts_with('#')
            || line.starts_with('@')
            || line.starts_with("Defaults")
        {
            continue;
        }
        if let Some((name, members)) =
            line.strip_prefix("User_Alias").and_then(|rest| rest.split_once('='))
        {
            let members = members.split(',').map(|name| name.trim().to_owned()).collect();
            aliases.insert(name.trim().to_owned(), members);
            continue;
        }
        if ["Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"]
            .iter()
            .any(|kind| line.starts_with(kind))
        {
            continue;
        }
        let Some((left, commands)) = line.split_once('=') else { continue };
        // The last word on the left is the host; who is a list.
        let Some((who, _)) = left.trim_end().rsplit_once(char::is_whitespace) else { continue };
        let free = commands.contains("NOPASSWD:");
        let last = commands.rsplit([':', ')']).next().unwrap_or_default();
        let all = last.split(',').any(|command| command.trim() == "ALL");
        for who in who.split(',').map(str::trim).filter(|who| !who.is_empty()) {
            match aliases.get(who) {
                Some(members) => {
                    found.extend(members.iter().map(|who| SudoRule {
                        who: who.clone(),
                        free,
                        all,
                    }));
                }
                None => found.push(SudoRule { who: who.to_owned(), free, all }),
            }
        }
    }
    found
}
