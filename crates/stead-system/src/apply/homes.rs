//! Files in homes: written by a process that has the rights of the home's owner, so that what is in a home leads
//! nowhere that its owner could not go.

use super::machine::User;
use super::{Pass, files, people};
use crate::{File, Tree, mcp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    /// MCP servers that come and go in a file that Claude Code has for much else.
    servers: Option<(Map<String, Value>, BTreeSet<String>)>,
}

impl Put {
    fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty() && self.servers.is_none()
    }
}

/// Brings files in homes.
pub(super) fn bring(pass: &mut Pass) {
    if !pass.machine.live {
        return;
    }
    let users = people::there(pass);
    let names: BTreeSet<String> =
        pass.desired.homes.keys().chain(pass.record.homes.keys()).cloned().collect();
    let own = Path::new(mcp::FILE);
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
        let differs = |(path, file): &(&PathBuf, &File)| {
            path.as_path() != own && !files::same(&user.home.join(path), file)
        };
        let write: Tree = wanted
            .iter()
            .filter(differs)
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        let gone = |path: &&PathBuf| path.as_path() != own && !wanted.contains_key(*path);
        let remove: Vec<PathBuf> = known.iter().filter(gone).cloned().collect();
        let servers = wanted.get(own).map(|file| mcp::of_text(&file.text)).unwrap_or_default();
        let names: BTreeSet<String> = servers.keys().cloned().collect();
        let had = pass.record.servers.get(&name).cloned().unwrap_or_default();
        let lost: BTreeSet<String> = had.difference(&names).cloned().collect();
        let there = files::read(&user.home.join(own)).map(|file| file.text);
        let servers = match mcp::merged(there.as_deref(), &servers, &lost) {
            Ok(merged) => merged.map(|_| (servers, lost)),
            Err(why) => {
                pass.report.failed(&format!("MCP servers of {name}"), &why);
                None
            }
        };
        let put = Put { write, remove, servers };
        if put.is_empty() {
            continue;
        }
        if pass.may() {
            let all: BTreeSet<PathBuf> = known.iter().chain(put.write.keys()).cloned().collect();
            pass.record.homes.insert(name.clone(), all);
            if put.servers.is_some() {
                let all = had.union(&names).cloned().collect();
                pass.record.servers.insert(name.clone(), all);
            }
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
            if names.is_empty() {
                pass.record.servers.remove(&name);
            } else {
                pass.record.servers.insert(name.clone(), names);
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
        if let Some((servers, lost)) = &put.servers {
            let all: Vec<&str> = servers.keys().chain(lost).map(String::as_str).collect();
            pass.report.changed("MCP servers", &all.join(", "), &format!("of {name} written"));
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
    if let Some((servers, gone)) = &put.servers {
        let path = Path::new(mcp::FILE);
        let there = files::read(path);
        // What is there and cannot be read is nobody's to write over.
        if there.is_none() && path.symlink_metadata().is_ok() {
            return Err(format!("~/{} is no file of text, and is left as it is", mcp::FILE));
        }
        let mode = there.as_ref().map_or(0o600, |file| file.mode);
        if let Some(text) = mcp::merged(there.as_ref().map(|file| &*file.text), servers, gone)? {
            files::write(path, &File { text, mode })?;
        }
    }
    Ok(())
}
