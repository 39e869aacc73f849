//! Files with credentials, and keys where none should be.

use super::files::{MUCH, Place};
use crate::audit::evidence::{Account, Credential, Group, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Below a home.
const OWN: [&str; 17] = [
    ".claude/.credentials.json",
    ".claude.json",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    ".local/share/opencode/auth.json",
    ".aws/credentials",
    ".config/gh/hosts.yml",
    ".config/sops/age/keys.txt",
    ".config/gcloud/application_default_credentials.json",
    ".docker/config.json",
    ".kube/config",
    ".git-credentials",
    ".config/git/credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
];
/// Of the machine.
const SHARED: [&str; 5] = [
    "/var/lib/sops-nix/key.txt",
    "/etc/sops/age/keys.txt",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/rancher/k3s/k3s.yaml",
];
/// How a key begins that nobody should read in a file, and whose it is.
const KEYS: [(&str, &str, usize); 7] = [
    ("AKIA", "an access key of AWS", 16),
    ("ASIA", "an access key of AWS", 16),
    ("sk-ant-", "a key of Anthropic's", 16),
    ("sk-proj-", "a key of OpenAI's", 16),
    ("ghp_", "a token of GitHub's", 16),
    ("github_pat_", "a token of GitHub's", 16),
    ("tskey-", "a key of Tailscale's", 12),
];

/// All that are there.
pub fn all(
    place: &Place,
    accounts: &Seen<BTreeMap<String, Account>>,
    groups: &Seen<BTreeMap<String, Group>>,
) -> Seen<Vec<Credential>> {
    let accounts = accounts.as_ref().map_err(Clone::clone)?;
    let groups = groups.as_ref().map_err(Clone::clone)?;
    let mut paths: BTreeSet<PathBuf> = SHARED.iter().map(PathBuf::from).collect();
    let homes = accounts.values().filter(|a| a.uid == 0 || a.is_person()).map(|a| &a.home);
    let homes: BTreeSet<&PathBuf> = homes.filter(|home| home.components().count() > 1).collect();
    for home in homes {
        paths.extend(OWN.iter().map(|name| home.join(name)));
        paths.extend(
            list(place, &home.join(".ssh"))?.into_iter().filter(|path| named(path, is_ssh)),
        );
        for path in list(place, home)? {
            if named(&path, is_env) {
                paths.insert(path);
            } else if !named(&path, |name| name.starts_with('.')) {
                // The folders of projects, but no deeper.
                let within = list(place, &path).unwrap_or_default();
                paths.extend(within.into_iter().filter(|path| named(path, is_env)));
            }
        }
    }
    paths.extend(list(place, Path::new("/etc/ssh"))?.into_iter().filter(|path| {
        named(path, |name| name.starts_with("ssh_host_") && name.ends_with("_key"))
    }));
    paths.extend(list(place, Path::new("/etc/wireguard"))?);
    let one = |path| credential(place, path, accounts, groups);
    Ok(paths.into_iter().filter_map(one).collect())
}

fn named(path: &Path, is: impl Fn(&str) -> bool) -> bool {
    path.file_name().is_some_and(|name| is(&name.to_string_lossy()))
}

fn is_ssh(name: &str) -> bool {
    let ends = |end: &str| Path::new(name).extension().is_some_and(|is| is == end);
    name.starts_with("id_") && !ends("pub")
}

fn is_env(name: &str) -> bool {
    let sample = ["example", "sample", "template", "dist"].iter().any(|end| name.ends_with(end));
    name == ".env" || (name.starts_with(".env.") && !sample)
}

/// What is in a folder; nothing of one that is a link, which is not its owner's to name.
fn list(place: &Place, folder: &Path) -> Seen<Vec<PathBuf>> {
    match place.path(folder).symlink_metadata() {
        Ok(about) if about.is_dir() => place.list(folder),
        _ => Ok(Vec::new()),
    }
}

/// A file that is there, and who besides its owner reads it or writes to it.
fn credential(
    place: &Place,
    path: PathBuf,
    accounts: &BTreeMap<String, Account>,
    groups: &BTreeMap<String, Group>,
) -> Option<Credential> {
    let about = place.path(&path).symlink_metadata().ok()?;
    if !about.is_file() {
        return None;
    }
    let mode = about.mode() & 0o7777;
    let exposed = place.open_to_others(&path, mode, 0o006);
    let group = place
        .open_to_group(&path, about.gid(), mode, 0o060)
        .then(|| within(about.gid(), about.uid(), accounts, groups))
        .filter(|(_, members)| !members.is_empty());
    Some(Credential { path, mode, exposed, group })
}

/// A group's name, and who is in it besides root and this owner: by its own line, and by theirs.
fn within(
    gid: u32,
    owner: u32,
    accounts: &BTreeMap<String, Account>,
    groups: &BTreeMap<String, Group>,
) -> (String, Vec<String>) {
    let named = groups.iter().find(|(_, group)| group.gid == gid);
    let listed = named.iter().flat_map(|(_, group)| group.members.iter().cloned());
    let own = accounts.iter().filter(|(_, a)| a.gid == gid).map(|(name, _)| name.clone());
    let all: BTreeSet<String> = listed.chain(own).collect();
    let other = |name: &String| accounts.get(name).is_none_or(|a| a.uid != owner && a.uid != 0);
    let name = named.map_or_else(|| gid.to_string(), |(name, _)| name.clone());
    (name, all.into_iter().filter(other).collect())
}

/// Files below `/run/secrets`, by name.
pub fn secrets(place: &Place) -> Seen<BTreeMap<String, Credential>> {
    let mut found = BTreeMap::new();
    for path in place.list("/run/secrets")? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // On NixOS the folder is a link to that of the generation.
        let Ok(about) = place.path(&path).metadata() else { continue };
        let mode = about.mode() & 0o7777;
        let exposed = place.open_to_others(&path, mode, 0o006);
        found.insert(name, Credential { path, mode, exposed, group: None });
    }
    Ok(found)
}

/// Files of systemd's and of the environment that have a key in them.
pub fn plain(place: &Place) -> Seen<Vec<(PathBuf, &'static str)>> {
    let mut paths: Vec<PathBuf> = vec!["/etc/environment".into(), "/etc/profile".into()];
    paths.extend(place.list("/etc/profile.d")?);
    for path in place.list("/etc/systemd/system")? {
        if path.extension().is_some_and(|end| end == "d") {
            paths.extend(place.list(&path)?);
        } else {
            paths.push(path);
        }
    }
    let mut found = Vec::new();
    for path in paths {
        let about = place.path(&path).metadata();
        let Ok(about) = about else { continue };
        if !about.is_file()
            || about.len() > MUCH
            || !place.open_to_others(&path, about.mode(), 0o004)
        {
            continue;
        }
        let text = place.read(&path)?;
        if let Some((_, whose, _)) = KEYS.iter().find(|(begin, _, long)| has(&text, begin, *long)) {
            found.push((path, *whose));
        }
    }
    Ok(found)
}

/// Whether a word of the text begins so and goes on for so long.
fn has(text: &str, begin: &str, long: usize) -> bool {
    let part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    text.split(|letter| !part(letter))
        .any(|word| word.strip_prefix(begin).is_some_and(|rest| rest.len() >= long))
}
