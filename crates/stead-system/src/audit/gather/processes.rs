//! Remote controls that run, and variables that everything gets.

use super::files::Place;
use crate::audit::evidence::{Account, Process, Seen};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Processes that are a remote control.
pub fn remote_controls(place: &Place) -> Seen<Vec<Process>> {
    let mut found = Vec::new();
    for folder in place.list("/proc")? {
        let Some(pid) = folder.file_name().and_then(|n| n.to_string_lossy().parse().ok()) else {
            continue;
        };
        // One that ended meanwhile is none.
        let Ok(command) = place.read(folder.join("cmdline")) else { continue };
        let words: Vec<&str> = command.split('\0').collect();
        let claude = words.iter().take(3).any(|word| word.contains("claude"));
        if !claude || !words.iter().skip(1).any(|word| matches!(*word, "remote-control" | "rc")) {
            continue;
        }
        let variables = place.read(folder.join("environ")).map(|text| {
            let names = text.split('\0').filter_map(|variable| variable.split_once('='));
            names.map(|(name, _)| name.to_owned()).collect()
        });
        found.push(Process { pid, variables });
    }
    Ok(found)
}

/// Files that set variables for everything, or for everybody's Claude Code.
pub fn environments(
    place: &Place,
    accounts: &Seen<BTreeMap<String, Account>>,
) -> Seen<Vec<(PathBuf, Vec<String>)>> {
    let mut found = Vec::new();
    let mut lines: Vec<PathBuf> = vec!["/etc/environment".into()];
    lines.extend(place.list("/etc/environment.d")?);
    for path in lines {
        let text = place.read_or_none(&path)?;
        let names = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let names = names.filter_map(|line| line.trim_start_matches("export ").split_once('='));
        found.push((path, names.map(|(name, _)| name.trim().to_owned()).collect()));
    }
    for account in accounts.iter().flatten().map(|(_, account)| account) {
        if account.uid != 0 && !account.is_person() {
            continue;
        }
        let path = account.home.join(".claude/settings.json");
        // One that is not JSON sets nothing.
        let settings: serde_json::Value =
            serde_json::from_str(&place.read_or_none(&path)?).unwrap_or_default();
        if let Some(env) = settings["env"].as_object() {
            found.push((path, env.keys().cloned().collect()));
        }
    }
    Ok(found)
}
