//! Files in homes: written by a process that has the rights of the home's owner, so that what is in a home leads
//! nowhere that its owner could not go.

use super::machine::User;
use super::{Pass, files, people};
use crate::Tree;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// What [`put`] reads: paths are relative to the home.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Put {
    write: Tree,
    remove: Vec<PathBuf>,
}

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
        let differs =
            |(path, file): &(&PathBuf, &crate::File)| !files::same(&user.home.join(path), file);
        let write: Tree = wanted
            .iter()
            .filter(differs)
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        let remove: Vec<PathBuf> =
            known.iter().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        let put = Put { write, remove };
        if put.write.is_empty() && put.remove.is_empty() {
            continue;
        }
        if pass.may() {
            let own: BTreeSet<PathBuf> = known.iter().chain(put.write.keys()).cloned().collect();
            pass.record.homes.insert(name.clone(), own);
            pass.save();
            let home: &Path = &user.home;
            let user = User { uid: user.uid, gid: user.gid, name: &name, home };
            // Whoever put this program here may have kept it for root.
            let _ = std::fs::set_permissions("/proc/self/exe", Permissions::from_mode(0o755));
            let input = serde_json::to_vec(&put).unwrap_or_default();
            if let Err(why) =
                pass.machine.run_as(&["/proc/self/exe", "put"], Some(&user), Some(&input))
            {
                pass.report.failed(&format!("home of {name}"), &why);
                continue;
            }
            if wanted.is_empty() {
                pass.record.homes.remove(&name);
            } else {
                pass.record.homes.insert(name.clone(), wanted.keys().cloned().collect());
            }
        }
        for path in put.write.keys() {
            pass.report.changed("file", &user_path(user, path), "written");
        }
        for path in &put.remove {
            pass.report.changed("file", &user_path(user, path), "removed");
        }
    }
}

fn user_path(user: &people::There, path: &Path) -> String {
    user.home.join(path).display().to_string()
}

/// Does what is read, in the working folder.
pub(super) fn put(from: impl Read) -> Result<(), String> {
    let put: Put = serde_json::from_reader(from).map_err(|error| error.to_string())?;
    let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    for (path, file) in &put.write {
        if !inside(path) {
            return Err(format!("{} is not inside a home", path.display()));
        }
        files::write(path, file)?;
    }
    for path in put.remove.iter().filter(|path| inside(path)) {
        files::remove(path)?;
    }
    Ok(())
}
