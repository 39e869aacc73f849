//! Packages, and sources of those that Debian has not.

use super::machine::Machine;
use super::{Pass, files, pgp};
use crate::File;
use crate::debian::Repository;
use std::collections::BTreeSet;
use std::path::Path;

const STATUS: &str = "/var/lib/dpkg/status";
const INSTALL: [&str; 9] = [
    "apt-get",
    "install",
    "-y",
    "-q",
    "--no-install-recommends",
    "-oDPkg::Lock::Timeout=300",
    "-oDpkg::Options::=--force-confold",
    "-oDpkg::Options::=--force-confdef",
    "-oAPT::Sandbox::User=root",
];

/// Packages that are installed, with the names that they stand in for.
fn installed(pass: &Pass) -> BTreeSet<String> {
    let text = std::fs::read(pass.machine.at(Path::new(STATUS))).unwrap_or_default();
    of_status(&String::from_utf8_lossy(&text))
}

fn of_status(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for block in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = block.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if !field("Status").is_some_and(|status| status.ends_with(" ok installed")) {
            continue;
        }
        all.extend(field("Package").map(str::to_owned));
        let provides = field("Provides").unwrap_or_default().split(',');
        all.extend(provides.filter_map(|one| one.split_whitespace().next()).map(str::to_owned));
    }
    all
}

/// Installs what is missing.
pub(super) fn bring(pass: &mut Pass) {
    let there = installed(pass);
    let sources = sources(pass);
    let from: BTreeSet<String> =
        pass.desired.repositories.values().flat_map(|own| own.packages.iter().cloned()).collect();
    let mut missing: Vec<String> = pass
        .desired
        .packages
        .iter()
        .chain(&from)
        .filter(|name| !there.contains(*name))
        .cloned()
        .collect();
    missing.dedup();
    if missing.is_empty() || !pass.machine.live {
        return;
    }
    if !pass.may() {
        for name in missing {
            pass.report.changed("package", &name, "installed");
        }
        return;
    }
    // Those are Stead's however this ends; what is not installed in the end is forgotten again.
    pass.record.packages.extend(missing.iter().cloned());
    pass.save();
    let why = install(pass, &missing, sources);
    let there = installed(pass);
    for name in missing {
        if there.contains(&name) {
            pass.report.changed("package", &name, "installed");
        } else {
            pass.record.packages.remove(&name);
            let why = why.clone().unwrap_or_else(|| "apt did not install it".into());
            pass.report.failed(&format!("package {name}"), &why);
        }
    }
}

/// Installs them together, and if some are nowhere to be had, the others. Why not all are there.
fn install(pass: &Pass, names: &[String], new_sources: bool) -> Option<String> {
    let machine = pass.machine;
    let lists = machine.at(Path::new("/var/lib/apt/lists"));
    let none = !std::fs::read_dir(lists)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    let update = || {
        machine.run(&[
            "apt-get",
            "update",
            "-q",
            "-oDPkg::Lock::Timeout=300",
            "-oAPT::Sandbox::User=root",
        ])
    };
    let mut updated = None;
    if new_sources || none {
        updated = Some(update());
    }
    let mut left: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut why = None;
    for _ in 0..3 {
        let words: Vec<&str> =
            INSTALL.iter().copied().chain(["--"]).chain(left.iter().copied()).collect();
        let Err(said) = machine.run(&words) else { return why };
        if updated.is_none() {
            updated = Some(update());
            why = Some(said);
            continue;
        }
        let nowhere: Vec<&str> =
            left.iter().copied().filter(|name| is_nowhere(&said, name)).collect();
        why = Some(said);
        if nowhere.is_empty() {
            break;
        }
        left.retain(|name| !nowhere.contains(name));
        if left.is_empty() {
            break;
        }
    }
    match updated {
        Some(Err(update)) => why.map(|why| format!("{why}; {update}")),
        _ => why,
    }
}

fn is_nowhere(said: &str, name: &str) -> bool {
    said.contains(&format!("Unable to locate package {name}"))
        || said.contains(&format!("Package '{name}' has no installation candidate"))
}

/// Writes sources with their keys, and removes those that are declared no more. Whether any is new.
fn sources(pass: &mut Pass) -> bool {
    let mut new = false;
    let all: Vec<(String, Repository)> = pass.desired.repositories.clone().into_iter().collect();
    let mut own = BTreeSet::new();
    for (name, repository) in all {
        let (path, key) = (Repository::path(&name), repository.key_path(&name));
        own.extend([path.clone(), key.clone()]);
        let file = File::new(repository.text(&name));
        let there = pass.machine.at(&key).exists();
        if there && files::same(&pass.machine.at(&path), &file) {
            continue;
        }
        if pass.may() && pass.machine.live {
            // A source without its key would keep apt from everything else.
            if let Err(why) = fetch(pass, &repository, &key, there)
                .and_then(|()| files::write(&pass.machine.at(&path), &file))
            {
                pass.report.failed(&format!("package source {name}"), &why);
                continue;
            }
            pass.record.sources.extend([path, key]);
        }
        new = true;
        pass.report.changed("source", &name, "written");
    }
    let gone: Vec<_> = pass.record.sources.difference(&own).cloned().collect();
    for path in gone {
        if pass.may() {
            if let Err(why) = files::remove(&pass.machine.at(&path)) {
                pass.report.failed(&path.display().to_string(), &why);
                continue;
            }
            pass.record.sources.remove(&path);
        }
        pass.report.changed("source", &path.display().to_string(), "removed");
    }
    new
}

/// Puts a source's key where it is kept, if it is one that it may be.
fn fetch(pass: &Pass, from: &Repository, key: &Path, there: bool) -> Result<(), String> {
    let at = pass.machine.at(key);
    if there && known(pass.machine, from, &at).is_ok() {
        return Ok(());
    }
    let folder = at.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let next = at.with_extension("new");
    let out = next.to_string_lossy();
    let words = [
        "curl",
        "-fsSL",
        "--retry",
        "3",
        "--connect-timeout",
        "20",
        "--max-time",
        "120",
        "--max-filesize",
        "1000000",
        "-o",
        &out,
        "--",
        &from.key,
    ];
    pass.machine.run(&words)?;
    if let Err(why) = known(pass.machine, from, &next) {
        let _ = std::fs::remove_file(&next);
        return Err(format!("the key at {} is refused: {why}", from.key));
    }
    std::fs::rename(&next, &at).map_err(|error| format!("{}: {error}", at.display()))
}

/// Whether all keys in a file are such as the source may have.
fn known(machine: &Machine, from: &Repository, file: &Path) -> Result<(), String> {
    if from.fingerprints.is_empty() {
        return Ok(());
    }
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let sha1 = |bytes: &[u8]| {
        let out = machine.run_as(&["sha1sum"], None, Some(bytes))?;
        out.get(..40).map(str::to_owned).ok_or_else(|| "sha1sum says nothing".to_owned())
    };
    let found = pgp::fingerprints(&text, sha1)?;
    match found.iter().find(|found| !from.fingerprints.contains(*found)) {
        None => Ok(()),
        Some(other) => {
            let known: Vec<&str> = from.fingerprints.iter().map(String::as_str).collect();
            Err(format!("it is {other}, where {} is known", known.join(" or ")))
        }
    }
}

/// Removes those that Stead installed and that are declared no more, unless something else needs them.
pub(super) fn remove(pass: &mut Pass) {
    let wanted: BTreeSet<&String> = pass
        .desired
        .packages
        .iter()
        .chain(pass.desired.repositories.values().flat_map(|own| &own.packages))
        .collect();
    let gone: Vec<String> =
        pass.record.packages.iter().filter(|name| !wanted.contains(name)).cloned().collect();
    if gone.is_empty() || !pass.machine.live {
        return;
    }
    let there = installed(pass);
    for name in gone {
        if !there.contains(&name) {
            pass.record.packages.remove(&name);
            continue;
        }
        if !pass.may() {
            pass.report.changed("package", &name, "removed");
            continue;
        }
        match remove_one(pass, &name) {
            Ok(how) => {
                pass.record.packages.remove(&name);
                pass.report.changed("package", &name, how);
            }
            Err(why) => pass.report.failed(&format!("package {name}"), &why),
        }
    }
}

fn remove_one(pass: &Pass, name: &str) -> Result<&'static str, String> {
    let machine = pass.machine;
    let plan = machine.run(&["apt-get", "-s", "-q", "remove", "--", name])?;
    let others = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Remv "))
        .filter(|line| line.split_whitespace().next() != Some(name));
    if others.count() > 0 {
        // It goes once nothing needs it: that is for whoever runs `apt autoremove`.
        machine.run(&["apt-mark", "auto", name])?;
        return Ok("left, because others need it");
    }
    machine.run(&["apt-get", "remove", "-y", "-q", "-oDPkg::Lock::Timeout=300", "--", name])?;
    Ok("removed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_read_from_the_status_file() {
        let text = "Package: a\nStatus: install ok installed\nProvides: b (= 1), c\n\nPackage: d\nStatus: deinstall ok config-files\n";
        assert_eq!(of_status(text).into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_with_both_named() {
        let machine = Machine::new(&crate::apply::Options::default());
        let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maker/key.asc");
        let from = |fingerprints: &[&str]| Repository {
            fingerprints: fingerprints.iter().map(|one| (*one).to_owned()).collect(),
            ..Repository::default()
        };
        let own = "BF9FB8E32C944BB9686B61563E4B12B1D707F616";
        assert_eq!(known(&machine, &from(&[own, "0"]), &key), Ok(()));
        let why = known(&machine, &from(&["0"]), &key).unwrap_err();
        assert_eq!(why, format!("it is {own}, where 0 is known"));
        assert!(known(&machine, &from(&["0"]), Path::new("/none")).is_err());
    }
}
