//! Agents that are installed, and their versions without starting them.

use super::files::Place;
use crate::Whole;
use crate::audit::evidence::{Account, Agent, Seen};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where programs of everybody's are.
const FOLDERS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/run/current-system/sw/bin", "/opt/bin"];
/// Where those of a user's are, below the home.
const OWN: [&str; 5] = [".local/bin", "bin", ".npm-global/bin", ".nix-profile/bin", ".bun/bin"];

/// Every declared agent, and where it is.
pub fn all(
    place: &Place,
    whole: &Whole,
    accounts: &Seen<BTreeMap<String, Account>>,
) -> BTreeMap<String, Option<Agent>> {
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    for (name, account) in accounts.iter().flatten().filter(|(_, a)| a.uid == 0 || a.is_person()) {
        folders.extend(OWN.iter().map(|own| account.home.join(own)));
        folders.push(format!("/etc/profiles/per-user/{name}/bin").into());
    }
    let found = |name: &String| {
        let mut paths = folders.iter().map(|folder| folder.join(name));
        let path = paths.find(|path| place.path(path).is_file())?;
        Some(Agent { version: version(place, &path), path })
    };
    whole.system.agents.install.iter().map(|name| (name.clone(), found(name))).collect()
}

/// The version in the package that a program is of, or in the path that it is at.
fn version(place: &Place, path: &Path) -> Seen<String> {
    let real =
        place.path(path).canonicalize().map_err(|why| format!("{}: {why}", path.display()))?;
    for folder in real.ancestors().skip(1).take(4) {
        let Ok(text) = Place::below(folder).read("package.json") else { continue };
        let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(version) = package["version"].as_str() {
            return Ok(version.to_owned());
        }
    }
    // `versions/2.1.0` of its own installer; `claude-code-2.1.0` in the store of Nix.
    let numbers = |text: &str| {
        text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('/')
    };
    let parts = real.components().rev().filter_map(|part| part.as_os_str().to_str());
    let mut named = parts.filter_map(|part| {
        let end = part.rsplit('-').next().unwrap_or(part);
        numbers(end).then(|| end.to_owned())
    });
    named.next().ok_or_else(|| format!("{} does not tell", path.display()))
}
