//! Packages of Debian: those that are installed, and updates that close holes.

use super::files::Place;
use super::version::compare;
use crate::audit::evidence::Seen;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const STATUS: &str = "/var/lib/dpkg/status";
const LISTS: &str = "/var/lib/apt/lists";
/// Lists are of whole archives.
const LARGE: u64 = 96 << 20;

/// What is installed, and what it stands for.
pub fn installed(place: &Place) -> Seen<BTreeSet<String>> {
    let text = place.read_to(STATUS, LARGE)?;
    let mut names = BTreeSet::new();
    for fields in text.split("\n\n").map(fields).filter(there) {
        names.extend(fields.get("Package").map(|name| (*name).to_owned()));
        let provided = fields.get("Provides").into_iter().flat_map(|all| all.split(','));
        names.extend(provided.filter_map(|name| name.split_whitespace().next()).map(str::to_owned));
    }
    Ok(names)
}

/// Installed packages of which a later version closes a hole.
pub fn updates(place: &Place) -> Seen<Vec<String>> {
    let lists = lists(place)?;
    let security: Vec<&PathBuf> =
        lists.iter().filter(|path| path.to_string_lossy().contains("security")).collect();
    if security.is_empty() {
        return Err(
            "there is no list of the updates that close holes: `apt-get update` makes it".into()
        );
    }
    let status = place.read_to(STATUS, LARGE)?;
    let versions: BTreeMap<&str, &str> = status
        .split("\n\n")
        .map(fields)
        .filter(there)
        .filter_map(|fields| Some((*fields.get("Package")?, *fields.get("Version")?)))
        .collect();
    let mut waiting = BTreeSet::new();
    for list in security {
        let text = place.read_to(list, LARGE)?;
        for paragraph in text.split("\n\n") {
            let name = paragraph.strip_prefix("Package: ").and_then(|rest| rest.lines().next());
            let Some((name, has)) = name.and_then(|name| Some((name, versions.get(name)?))) else {
                continue;
            };
            let offered = fields(paragraph).get("Version").copied().unwrap_or_default();
            if compare(has, offered) == Ordering::Less {
                waiting.insert(format!("{name} {offered}"));
            }
        }
    }
    Ok(waiting.into_iter().collect())
}

/// How many days old the lists are.
pub fn lists_age(place: &Place) -> Seen<u64> {
    // The folder changes even when no list did.
    let asked = ["/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/lists/partial", LISTS];
    lists(place)?;
    let times = asked.iter().filter_map(|path| place.path(path).metadata().ok()?.modified().ok());
    let last = times.max().ok_or("it was never looked for updates")?;
    Ok(last.elapsed().map_or(0, |since| since.as_secs() / 86_400))
}

/// The lists that are not packed.
fn lists(place: &Place) -> Seen<Vec<PathBuf>> {
    let all = place.list(LISTS)?;
    let lists: Vec<PathBuf> =
        all.into_iter().filter(|path| path.to_string_lossy().ends_with("_Packages")).collect();
    if lists.is_empty() {
        return Err("there are no lists of packages: `apt-get update` makes them".into());
    }
    Ok(lists)
}

/// The fields of a paragraph that matter here.
fn fields(paragraph: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for line in paragraph.lines() {
        for key in ["Package", "Status", "Version", "Provides"] {
            if let Some(value) = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(": ")) {
                found.insert(key, value);
            }
        }
    }
    found
}

fn there(fields: &BTreeMap<&str, &str>) -> bool {
    fields.get("Status").is_some_and(|status| status.ends_with(" installed"))
}
