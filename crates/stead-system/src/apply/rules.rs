//! Files by what they are about: written together, checked, and put back together where the check fails.

use super::{Pass, files};
use crate::File;
use crate::debian::{Act, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where units are.
const UNITS: &str = "/etc/systemd/system/";

/// What has changed and holds.
#[derive(Default)]
pub(super) struct Changed {
    /// Files and links, and what the files were.
    pub files: BTreeMap<PathBuf, Option<File>>,
    /// Rules whose files have changed, in order.
    pub rules: Vec<Rule>,
}

impl Changed {
    pub fn join(&mut self, other: Changed) {
        self.files.extend(other.files);
        self.rules.extend(other.rules);
    }
}

/// A file that is otherwise than it should be.
struct Change {
    path: PathBuf,
    /// What it is to be; `None`: gone.
    to: Option<File>,
    /// What it is.
    from: Option<File>,
}

/// Brings all files that are units, or all that are not, and their links.
pub(super) fn bring(pass: &mut Pass, units: bool) -> Changed {
    let mut done = Changed::default();
    let changes = differing(pass, units);
    let mut groups: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    let rules: Vec<Rule> = pass.desired.rules.iter().chain(&pass.record.rules).cloned().collect();
    for change in changes {
        let text = change.path.to_string_lossy();
        let about = |rule: &Rule| {
            rule.files.iter().any(|file| {
                *file == text || (file.ends_with('/') && text.starts_with(file.as_str()))
            })
        };
        let rule = rules.iter().position(about).unwrap_or(rules.len());
        groups.entry(rule).or_default().push(change);
    }
    // What is about to be Stead's is written down first, so that it is known however this ends.
    for change in groups.values().flatten() {
        if change.to.is_some() {
            pass.record.files.entry(change.path.clone()).or_insert_with(|| change.from.clone());
        }
    }
    if !groups.is_empty() {
        pass.save();
    }
    let none = Rule::default();
    for (at, group) in groups {
        let rule = rules.get(at).unwrap_or(&none);
        let held = bring_group(pass, rule, group);
        if !held.is_empty() {
            for change in held {
                if change.to.is_none() {
                    pass.record.files.remove(&change.path);
                }
                done.files.insert(change.path, change.from);
            }
            done.rules.push(rule.clone());
        }
    }
    links(pass, units, &mut done);
    done
}

/// All that should be changed.
fn differing(pass: &Pass, units: bool) -> Vec<Change> {
    let of_kind = |path: &&PathBuf| path.starts_with(UNITS) == units;
    let mut all = Vec::new();
    for (path, file) in pass.desired.files.iter().filter(|(path, _)| of_kind(path)) {
        let at = pass.machine.at(path);
        if !files::same(&at, file) {
            all.push(Change { path: path.clone(), to: Some(file.clone()), from: files::read(&at) });
        }
    }
    let gone = pass
        .record
        .files
        .iter()
        .filter(|(path, _)| of_kind(path) && !pass.desired.files.contains_key(*path));
    for (path, before) in gone {
        let from = files::read(&pass.machine.at(path));
        all.push(Change { path: path.clone(), to: before.clone(), from });
    }
    all
}

/// Writes files of one rule; those that hold.
fn bring_group(pass: &mut Pass, rule: &Rule, group: Vec<Change>) -> Vec<Change> {
    let mut written = Vec::new();
    for change in group {
        let shown = change.path.display().to_string();
        if pass.may() {
            let at = pass.machine.at(&change.path);
            // What is no text is in no record.
            let lost = change.to.is_some() && change.from.is_none();
            let done = if lost && in_the_way(pass, &change.path) {
                set_aside(pass, &change.path)
            } else {
                Ok(())
            };
            if let Err(why) = done.and_then(|()| files::put_back(&at, change.to.as_ref())) {
                pass.report.failed(&shown, &why);
                continue;
            }
        }
        written.push(change);
    }
    if !pass.may() {
        tell(pass, &written);
        return written;
    }
    let (held, refused) = checked(pass, rule, written);
    for (change, _) in &refused {
        restore(pass, &change.path, change.from.as_ref());
    }
    let mut said = BTreeSet::new();
    for (change, why) in refused {
        if said.insert(why.clone()) {
            let shown = change.path.display();
            pass.report.failed(
                &shown.to_string(),
                &format!("{why}; what was there before is there again"),
            );
        }
    }
    tell(pass, &held);
    for change in &held {
        // What is again as it was before Stead is not Stead's any more.
        if !pass.desired.files.contains_key(&change.path) {
            pass.record.files.remove(&change.path);
        }
    }
    held
}

fn tell(pass: &mut Pass, changes: &[Change]) {
    for change in changes {
        let how = match (&change.to, &change.from) {
            (None, _) => "removed",
            (Some(_), _) if !pass.desired.files.contains_key(&change.path) => {
                "put back as it was before"
            }
            (Some(_), None) => "written",
            (Some(_), Some(_)) => "written anew",
        };
        pass.report.changed("file", &change.path.display().to_string(), how);
    }
}

/// Why with this file nobody could come in by ssh, although it names people who may, or although somebody could before.
fn locks_out(pass: &Pass, changes: &[Change]) -> Option<String> {
    let texts = changes.iter().filter_map(|change| change.to.as_ref());
    let mut lines = texts.flat_map(|file| file.text.lines());
    let there = super::people::there(pass);
    let key = |name: &str| there.get(name).is_some_and(|user| has_key(pass, name, &user.home));
    if lines.clone().any(|line| line == "DenyUsers *") {
        let before = there.keys().find(|name| key(name))?;
        return Some(format!(
            "nobody could come in by ssh any more: no declared user has a key, and {before} has one here"
        ));
    }
    let allowed = lines.find_map(|line| line.strip_prefix("AllowUsers "))?;
    let mut names = allowed.split_whitespace();
    let why = if !names.clone().any(|name| there.contains_key(name)) {
        format!("there is no {allowed} on this machine")
    } else if names.any(key) {
        return None;
    } else {
        format!("none of {allowed} has a key")
    };
    Some(format!("nobody could come in by ssh: {why}"))
}

/// Whether somebody has a key to come in with, or gets one with what is declared.
fn has_key(pass: &Pass, name: &str, home: &Path) -> bool {
    let declared = Path::new("/etc/ssh/authorized_keys.d").join(name);
    let lines =
        |text: &str| text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let there = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| lines(&text));
    pass.desired.files.get(&declared).is_some_and(|file| lines(&file.text))
        || there(&pass.machine.at(&home.join(".ssh/authorized_keys")))
}

/// Those that pass the rule's check, and those that do not with the reason.
fn checked(pass: &Pass, rule: &Rule, changes: Vec<Change>) -> (Vec<Change>, Vec<(Change, String)>) {
    // Without the program, nothing reads them yet.
    let Some(program) = rule.check.first().filter(|program| pass.machine.has(program)) else {
        return (changes, Vec::new());
    };
    if program.ends_with("/sshd") {
        if let Some(why) = locks_out(pass, &changes) {
            return (Vec::new(), changes.into_iter().map(|change| (change, why.clone())).collect());
        }
        // It refuses to check without what its unit makes when it starts.
        let _ = std::fs::create_dir_all("/run/sshd");
    }
    if !rule.each {
        return match pass.machine.run(&rule.check) {
            Ok(_) => (changes, Vec::new()),
            Err(why) => {
                (Vec::new(), changes.into_iter().map(|change| (change, why.clone())).collect())
            }
        };
    }
    let mut held = Vec::new();
    let mut refused = Vec::new();
    for change in changes {
        let path = change.path.to_string_lossy().into_owned();
        let part = Path::new(&path).extension().is_some_and(|kind| kind == "conf");
        if change.to.is_none() || (part && path.starts_with(UNITS)) {
            held.push(change);
            continue;
        }
        let mut words = rule.check.clone();
        words.push(path);
        match pass.machine.run(&words) {
            Ok(_) => held.push(change),
            Err(why) => refused.push((change, why)),
        }
    }
    (held, refused)
}

/// Whether something of somebody else's is there, which is no folder.
fn in_the_way(pass: &Pass, path: &Path) -> bool {
    !pass.record.links.contains_key(path)
        && std::fs::symlink_metadata(pass.machine.at(path)).is_ok_and(|about| !about.is_dir())
}

fn set_aside(pass: &mut Pass, path: &Path) -> Result<(), String> {
    // Known before it is done, as all that is Stead's.
    let new = pass.record.aside.insert(path.to_owned());
    pass.save();
    match files::set_aside(&pass.machine.at(path)) {
        Ok(kept) => {
            let said = format!("what was {} is kept as {}", path.display(), kept.display());
            pass.report.remark(&said);
            Ok(())
        }
        Err(why) => {
            if new {
                pass.record.aside.remove(path);
            }
            Err(why)
        }
    }
}

/// Puts back what was set aside for what is Stead's no more.
fn put_back_aside(pass: &mut Pass, path: &Path) {
    if !pass.record.aside.contains(path) {
        return;
    }
    let shown = path.display().to_string();
    match files::put_back_aside(&pass.machine.at(path)) {
        Ok(there) => {
            pass.record.aside.remove(path);
            if there {
                pass.report.remark(&format!("{shown} is again what it was before"));
            }
        }
        Err(why) => pass.report.failed(&shown, &why),
    }
}

/// Makes a file what it was before this pass.
pub(super) fn restore(pass: &mut Pass, path: &Path, before: Option<&File>) {
    if before.is_none() && pass.record.aside.contains(path) {
        put_back_aside(pass, path);
        return;
    }
    if let Err(why) = files::put_back(&pass.machine.at(path), before) {
        pass.report.failed(&path.display().to_string(), &why);
    }
}

fn links(pass: &mut Pass, units: bool, changed: &mut Changed) {
    let of_kind = |path: &&PathBuf| path.starts_with(UNITS) == units;
    let masks = pass
        .desired
        .masked
        .iter()
        .map(|unit| (Path::new(UNITS).join(unit), PathBuf::from("/dev/null")));
    let wanted: BTreeMap<PathBuf, PathBuf> = pass
        .desired
        .links
        .clone()
        .into_iter()
        .chain(masks)
        .filter(|(path, _)| of_kind(&path))
        .collect();
    let mut wrong = Vec::new();
    for (path, target) in &wanted {
        // One to a unit that was refused would be one to nothing.
        let unit = target.starts_with(UNITS)
            && pass.machine.live
            && pass.may()
            && !pass.machine.at(target).exists();
        let is = std::fs::read_link(pass.machine.at(path)).ok();
        if is.as_ref() != Some(target) && !unit {
            wrong.push((path.clone(), Some(target.clone()), is));
        }
    }
    // Where a file has taken a link's place, there is no link to remove.
    pass.record.links.retain(|path, _| !pass.desired.files.contains_key(path));
    let known: Vec<_> = pass.record.links.iter().filter(|(path, _)| of_kind(path)).collect();
    for (path, before) in known {
        if !wanted.contains_key(path) {
            wrong.push((path.clone(), before.clone(), None));
        }
    }
    for (path, to, is) in wrong {
        let ours = wanted.contains_key(&path);
        let shown = path.display().to_string();
        if pass.may() {
            let at = pass.machine.at(&path);
            // A file is in no record of links, and what a person put in a link's place is a person's.
            let file = std::fs::symlink_metadata(&at).is_ok_and(|about| about.is_file());
            let done = match &to {
                Some(target) => {
                    let kept = if file { set_aside(pass, &path) } else { Ok(()) };
                    kept.and_then(|()| files::link(&at, target))
                }
                None if file => Ok(()),
                None => files::remove(&at),
            };
            if let Err(why) = done {
                pass.report.failed(&shown, &why);
                continue;
            }
            if ours {
                pass.record.links.entry(path.clone()).or_insert(is);
            } else {
                pass.record.links.remove(&path);
            }
        }
        pass.report.changed("link", &shown, if to.is_some() { "made" } else { "removed" });
        changed.files.insert(path, None);
    }
    let undeclared: Vec<PathBuf> = pass
        .record
        .aside
        .iter()
        .filter(|path| of_kind(path) && !wanted.contains_key(*path))
        .filter(|path| !pass.desired.files.contains_key(*path))
        .cloned()
        .collect();
    for path in undeclared {
        if pass.may() && std::fs::symlink_metadata(pass.machine.at(&path)).is_err() {
            put_back_aside(pass, &path);
        }
    }
}

/// Makes what has changed take effect, and what does not hold be as before.
pub(super) fn act(pass: &mut Pass, changed: &Changed) {
    for rule in &changed.rules {
        let Err(why) = act_once(pass, rule) else { continue };
        let own: Vec<_> = changed
            .files
            .iter()
            .filter(|(path, _)| {
                let path = path.to_string_lossy();
                rule.files.iter().any(|file| {
                    *file == path || (file.ends_with('/') && path.starts_with(file.as_str()))
                })
            })
            .collect();
        let back = if rule.act == Act::Nothing || own.is_empty() {
            String::new()
        } else {
            for (path, before) in own {
                restore(pass, path, before.as_ref());
            }
            match act_once(pass, rule) {
                Ok(()) => "; what was there before is there again, and works".into(),
                Err(again) => {
                    format!("; what was there before is there again, and fails too: {again}")
                }
            }
        };
        pass.report.failed(&rule.name, &format!("{why}{back}"));
    }
}

fn act_once(pass: &Pass, rule: &Rule) -> Result<(), String> {
    let machine = pass.machine;
    match &rule.act {
        Act::Nothing => {}
        Act::Reload(unit) | Act::Restart(unit) if machine.systemd => {
            // A unit that is declared no more is not started by what is removed with it.
            if !pass.desired.units.contains_key(unit) {
                return Ok(());
            }
            let verb =
                if matches!(rule.act, Act::Reload(_)) { "reload-or-restart" } else { "restart" };
            machine.run(&["systemctl", verb, unit])?;
        }
        Act::Reload(_) | Act::Restart(_) => return Ok(()),
        Act::Run(words) => {
            if words.first().is_some_and(|program| machine.has(program)) {
                machine.run(words)?;
            }
        }
    }
    match rule.listens {
        Some(port) if machine.systemd => super::units::listens(port),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::super::record::Record;
    use super::super::report::Report;
    use super::super::{Options, Pass};
    use super::{Change, locks_out};
    use crate::File;
    use crate::debian::Desired;

    #[test]
    fn nobody_who_could_come_in_is_locked_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::create_dir_all(root.join("root/.ssh")).unwrap();
        let users = "root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n";
        std::fs::write(root.join("etc/passwd"), users).unwrap();
        let options = Options { check: false, root: root.into() };
        let machine = Machine::new(&options);
        let said = |text: &str, keys: Option<&str>| {
            let mut desired = Desired::default();
            if let Some(name) = keys {
                let path = format!("/etc/ssh/authorized_keys.d/{name}");
                desired.files.insert(path.into(), File::new("ssh-ed25519 AAAA\n"));
            }
            let mut out = Vec::new();
            let mut report = Report::new(&mut out, false);
            let mut record = Record::default();
            let (report, record) = (&mut report, &mut record);
            let pass = Pass { machine: &machine, desired: &desired, report, record };
            let to = Some(File::new(format!("Port 22\n{text}\n")));
            locks_out(&pass, &[Change { path: "/etc/ssh/x.conf".into(), to, from: None }])
        };
        // Nobody could come in before either.
        assert_eq!(said("DenyUsers *", None), None);
        assert_eq!(said("AllowUsers bob ada", Some("ada")), None);
        assert!(said("AllowUsers bob", Some("bob")).unwrap().contains("there is no bob"));
        assert!(said("AllowUsers ada", None).unwrap().contains("none of ada has a key"));
        std::fs::write(root.join("root/.ssh/authorized_keys"), "# mine\n").unwrap();
        assert_eq!(said("DenyUsers *", None), None);
        std::fs::write(root.join("root/.ssh/authorized_keys"), "# mine\nssh-ed25519 A\n").unwrap();
        assert!(said("DenyUsers *", None).unwrap().contains("root has one here"));
    }
}
