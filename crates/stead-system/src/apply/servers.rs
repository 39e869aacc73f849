//! The MCP servers of people's Claude Code: they come and go in a file that it has for much else, of which nothing else is
//! touched.

use super::homes::{Put, ask};
use super::{Pass, files, people};
use crate::{File, mcp};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// Brings MCP servers in homes.
pub(super) fn bring(pass: &mut Pass) {
    if !pass.machine.live {
        return;
    }
    let users = people::there(pass);
    let names: BTreeSet<String> =
        pass.desired.homes.keys().chain(pass.record.servers.keys()).cloned().collect();
    for name in names {
        // That a home's owner is not there is told with its files.
        let Some(user) = users.get(&name) else { continue };
        let wanted = pass.desired.homes.get(&name).and_then(|tree| tree.get(Path::new(mcp::FILE)));
        let servers = wanted.map(|file| mcp::of_text(&file.text)).unwrap_or_default();
        let own: BTreeSet<String> = servers.keys().cloned().collect();
        let had = pass.record.servers.get(&name).cloned().unwrap_or_default();
        let gone: BTreeSet<String> = had.difference(&own).cloned().collect();
        let there = files::read(&user.home.join(mcp::FILE)).map(|file| file.text);
        match mcp::merged(there.as_deref(), &servers, &gone) {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(why) => {
                pass.report.failed(&format!("MCP servers of {name}"), &why);
                continue;
            }
        }
        let all: Vec<String> = own.union(&gone).cloned().collect();
        if pass.may() {
            pass.record.servers.insert(name.clone(), had.union(&own).cloned().collect());
            pass.save();
            let put = Put::servers(servers, gone);
            if let Err(why) = ask(pass, &name, user, &put) {
                pass.report.failed(&format!("MCP servers of {name}"), &why);
                continue;
            }
            if own.is_empty() {
                pass.record.servers.remove(&name);
            } else {
                pass.record.servers.insert(name.clone(), own);
            }
        }
        pass.report.changed("MCP servers", &all.join(", "), &format!("of {name} written"));
    }
}

/// Puts servers into Claude Code's own file, and takes those out that are gone.
pub(super) fn put(
    path: &Path,
    servers: &Map<String, Value>,
    gone: &BTreeSet<String>,
) -> Result<(), String> {
    let there = files::read(path);
    // What is there and cannot be read is nobody's to write over.
    if there.is_none() && path.symlink_metadata().is_ok() {
        return Err(format!("~/{} is no file of text, and is left as it is", mcp::FILE));
    }
    let mode = there.as_ref().map_or(0o600, |file| file.mode);
    if let Some(text) = mcp::merged(there.as_ref().map(|file| &*file.text), servers, gone)? {
        files::write(path, &File { text, mode })?;
    }
    Ok(())
}
