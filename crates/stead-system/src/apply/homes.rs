//! Files in homes: written by a process that has the rights of the home's owner, so that what is in a home leads
//! nowhere that its owner could not go.

use super::machine::User;
use super::{Pass, files, people};
use crate::{File, Tree};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// What [`put`] reads: paths are relative to the home.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Put {
    /// Files of which it says what they are, before it does anything.
    look: BTreeSet<PathBuf>,
    write: Tree,
    remove: Vec<PathBuf>,
}

/// What files were.
type Before = BTreeMap<PathBuf, Option<File>>;

/// Brings files in homes.
pub(super) fn bring(pass: &mut Pass) {
    if !pass.machine.live {
        return;
    }
    let users = people::there(pass);
    let names: BTreeSet<String> =
        pass.desired.homes.keys().chain(pass.record.homes.keys()).cloned().collect();
    for name in names {
        let empty = Tree::new();
        let wanted = pass.desired.homes.get(&name).unwrap_or(&empty);
        let known = pass.record.homes.get(&name).cloned().unwrap_or_default();
        let Some(user) = users.get(&name) else {
            if !wanted.is_empty() && pass.may() {
                pass.report.failed(&format!("home of {name}"), "there is no such user");
            }
            continue;
        };
        let differs = |(path, file): &(&PathBuf, &File)| !files::same(&user.home.join(path), file);
        let mut write: Tree = wanted
            .iter()
            .filter(differs)
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        // What is declared no more is again what it was.
        let gone = known.iter().filter(|(path, _)| !wanted.contains_key(*path));
        let (back, remove): (Vec<_>, Vec<_>) = gone.partition(|(_, before)| before.is_some());
        let back: Tree = back
            .into_iter()
            .filter_map(|(path, before)| Some((path.clone(), before.clone()?)))
            .collect();
        let remove: Vec<PathBuf> = remove.into_iter().map(|(path, _)| path.clone()).collect();
        let mut said: Vec<(PathBuf, &str)> =
            write.keys().map(|path| (path.clone(), "written")).collect();
        said.extend(back.keys().map(|path| (path.clone(), "put back as it was before")));
        said.extend(remove.iter().map(|path| (path.clone(), "removed")));
        if said.is_empty() {
            continue;
        }
        if pass.may() {
            let look = write.keys().filter(|path| !known.contains_key(*path)).cloned().collect();
            write.extend(back);
            let own = known;
            if let Err(why) =
                bring_one(pass, &name, user, own, look, &Put { write, remove, ..Put::default() })
            {
                pass.report.failed(&format!("home of {name}"), &why);
                continue;
            }
        }
        for (path, how) in said {
            pass.report.changed("file", &user_path(user, &path), how);
        }
    }
}

/// Looks at what is about to be Stead's, writes that down, and does the rest.
fn bring_one(
    pass: &mut Pass,
    name: &str,
    user: &people::There,
    mut own: Before,
    look: BTreeSet<PathBuf>,
    put: &Put,
) -> Result<(), String> {
    let user = User { uid: user.uid, gid: user.gid, name, home: &user.home };
    // Whoever put this program here may have kept it for root.
    let _ = std::fs::set_permissions("/proc/self/exe", Permissions::from_mode(0o755));
    let run = |pass: &Pass, put: &Put| {
        let input = serde_json::to_vec(put).unwrap_or_default();
        pass.machine.run_as(&["/proc/self/exe", "put"], Some(&user), Some(&input))
    };
    if !look.is_empty() {
        let said = run(pass, &Put { look, ..Put::default() })?;
        let before: Before = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        own.extend(before);
        pass.record.homes.insert(name.into(), own.clone());
        pass.save();
    }
    run(pass, put)?;
    own.retain(|path, _| pass.desired.homes.get(name).is_some_and(|tree| tree.contains_key(path)));
    if own.is_empty() {
        pass.record.homes.remove(name);
    } else {
        pass.record.homes.insert(name.into(), own);
    }
    Ok(())
}

fn user_path(user: &people::There, path: &Path) -> String {
    user.home.join(path).display().to_string()
}

/// Does what is read, in this home. Gives what was looked at, as JSON.
pub(super) fn put(from: impl Read, home: &Path) -> Result<String, String> {
    let put: Put = serde_json::from_reader(from).map_err(|error| error.to_string())?;
    let outside =
        |path: &&PathBuf| !path.components().all(|part| matches!(part, Component::Normal(_)));
    if let Some(path) = put.look.iter().chain(put.write.keys()).chain(&put.remove).find(outside) {
        return Err(format!("{} is not inside a home", path.display()));
    }
    let mut before = Before::new();
    for path in &put.look {
        let is = files::read(&home.join(path));
        let there = std::fs::symlink_metadata(home.join(path));
        if is.is_none() && there.is_ok_and(|about| !about.is_dir()) {
            return Err(format!(
                "{} is no text of at most 8 MiB, and would be lost: move it away",
                path.display()
            ));
        }
        before.insert(path.clone(), is);
    }
    for (path, file) in &put.write {
        files::write(&home.join(path), file)?;
    }
    for path in &put.remove {
        files::remove(&home.join(path))?;
    }
    serde_json::to_string(&before).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_in_a_home_is_told_before_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own"), "mine\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let say = |look: &[&str]| {
            let put = Put { look: look.iter().map(PathBuf::from).collect(), ..Put::default() };
            let put = serde_json::to_vec(&put).unwrap();
            super::put(&put[..], dir.path())
        };
        let said: Before = serde_json::from_str(&say(&["own", "new"]).unwrap()).unwrap();
        assert_eq!(said[Path::new("own")].as_ref().unwrap().text, "mine\n");
        assert_eq!(said[Path::new("new")], None);
        assert!(say(&["link"]).unwrap_err().contains("move it away"));
        assert!(say(&["../x"]).unwrap_err().contains("not inside a home"));
    }
}
