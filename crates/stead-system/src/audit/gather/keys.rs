//! Files of keys that let people in, where the ssh server looks for them.

use super::files::Place;
use crate::Whole;
use crate::audit::evidence::{Account, KeyFile, Seen, Sshd};
use crate::audit::keys::bare;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where keys are if the server does not tell: those of Debian and of NixOS.
const USUAL: [&str; 3] =
    [".ssh/authorized_keys", ".ssh/authorized_keys2", "/etc/ssh/authorized_keys.d/%u"];

/// Keys of root, of those who are declared and of everybody who can log in.
pub fn all(
    place: &Place,
    whole: &Whole,
    accounts: &Seen<BTreeMap<String, Account>>,
    sshd: &Seen<Sshd>,
) -> BTreeMap<String, Seen<Vec<KeyFile>>> {
    let told = sshd.as_ref().ok().and_then(|sshd| sshd.get("authorizedkeysfile"));
    let patterns: Vec<&str> = told.map_or(USUAL.to_vec(), |text| text.split_whitespace().collect());
    accounts
        .iter()
        .flatten()
        .filter(|(name, account)| {
            account.uid == 0 || account.is_person() || whole.system.users.contains_key(*name)
        })
        .map(|(name, account)| (name.clone(), of(place, name, account, &patterns)))
        .collect()
}

fn of(place: &Place, name: &str, account: &Account, patterns: &[&str]) -> Seen<Vec<KeyFile>> {
    let mut files = Vec::new();
    for pattern in patterns.iter().filter(|pattern| **pattern != "none") {
        let path = pattern.replace("%u", name).replace("%h", &account.home.display().to_string());
        let path = account.home.join(path);
        if !place.path(&path).exists() {
            continue;
        }
        let text = place.read(&path)?;
        let keys = text.lines().filter_map(bare).collect();
        files.push(KeyFile { open: open(place, &account.home, &path), path, keys });
    }
    Ok(files)
}

/// The first of the file, its folder and the home that others may write to.
fn open(place: &Place, home: &Path, path: &Path) -> Option<PathBuf> {
    let of_home = |path: &&Path| path.starts_with(home) || path.starts_with("/etc/ssh");
    path.ancestors()
        .take_while(of_home)
        .find(|path| {
            let about = place.path(path).metadata();
            about.is_ok_and(|about| about.mode() & 0o022 > 0 && about.mode() & 0o1000 == 0)
        })
        .map(Path::to_owned)
}
