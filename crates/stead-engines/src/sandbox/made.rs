//! What a machine of this engine was made from, and how that becomes a sandbox.

use super::place::{Place, hash};
use super::state::{State, layer_path};
use super::{Programs, files};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_box::spec::{Base, Bind, Ids, Limits, Net, Peer, Spec, Upper};
use stead_file::declared::{Egress, Machine, Share};
use stead_machine::EngineError;
use stead_machine::model::Wanted;

/// The first id of the first machine's range: the last ranges that no other program hands out by itself
/// (systemd's page on users and groups: 1879048192 to 2147483647 are unused).
const FIRST_ID: u32 = 1_879_048_192;
/// Ids of a machine.
const IDS: u32 = 65536;
/// Machines that have a range of their own.
pub const MOST: u32 = 4095;
/// Where sessions keep their folders inside.
pub const DATA_INSIDE: &str = "/var/lib/stead";
/// Where sessions keep their sockets inside.
pub const RUNTIME_INSIDE: &str = "/run/stead";
/// The hold's program inside.
pub const HOLD_INSIDE: &str = "/run/stead/bin/stead-hold";

/// A machine that is there: `sandbox.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// What was asked for, as far as it has been done.
    pub wanted: Wanted,
    /// The last move that put a state into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    /// The last move that took its state away and left it an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave: Option<String>,
    /// Whether its data came from another machine and it has not been started since: host keys are to be made.
    #[serde(default)]
    pub reseed: bool,
}

/// Reads what a machine was made from; `None` if it is not there.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read(place: &Place, name: &str) -> Result<Option<Made>, EngineError> {
    files::read(&place.made(name))
}

/// The machine on whose own file system the layers of this one lie, if it has one.
pub fn disk_of<'a>(name: &'a str, declared: &Machine) -> Option<&'a str> {
    (declared.disk.is_some() && !declared.ephemeral).then_some(name)
}

/// The sandbox of a machine. `cover` hides this host's secrets, `base` is the folder of an image that is not this host.
pub fn spec(
    place: &Place,
    programs: &Programs,
    wanted: &Wanted,
    state: &State,
    base: Base,
    peers: BTreeMap<String, Peer>,
    root: bool,
) -> Spec {
    let declared = &wanted.declared;
    Spec {
        name: wanted.name.clone(),
        hostname: wanted.name.clone(),
        run: place.run(&wanted.name),
        record: Some(place.started(&wanted.name)),
        base,
        layers: state.frozen.iter().map(|layer| layer_path(place, layer)).collect(),
        upper: if declared.ephemeral {
            Upper::Memory { size: declared.disk.map(stead_file::size::Size::bytes) }
        } else {
            Upper::Folder(layer_path(place, &state.top))
        },
        ids: if root {
            Ids::Range { first: FIRST_ID + wanted.number.min(MOST) * IDS }
        } else {
            Ids::Own
        },
        binds: binds(place, programs, wanted),
        limits: limits(declared),
        cgroup: cgroup(place, wanted),
        net: Some(net(wanted, peers)),
        nested: declared.nested,
        env: declared.env.clone(),
        main: None,
    }
}

/// Whether a machine of this number can be had: each has ids that no other has.
///
/// # Errors
/// What is wrong.
pub fn check_number(number: u32) -> Result<(), String> {
    if number <= MOST {
        return Ok(());
    }
    Err(format!(
        "there are ids for {MOST} sandboxes on a host, and this is number {number}: destroy others first"
    ))
}

/// The limits of a machine.
pub fn limits(declared: &Machine) -> Limits {
    Limits {
        memory: declared.memory.map(stead_file::size::Size::bytes),
        cpus: declared.cpus,
        processes: declared.processes,
    }
}

/// The name of a machine's cgroups.
pub fn cgroup(place: &Place, wanted: &Wanted) -> String {
    format!("{}{}-{}", place.groups(), wanted.name, wanted.id.get(..8).unwrap_or(&wanted.id))
}

/// The network of a machine.
pub fn net(wanted: &Wanted, peers: BTreeMap<String, Peer>) -> Net {
    let declared = &wanted.declared;
    let egress = match &wanted.network {
        Some(network) => network.egress.clone(),
        None => declared.egress.clone(),
    };
    Net {
        egress,
        ports: declared.ports.clone(),
        host_ports: declared.host_ports.clone(),
        dns: declared.dns.clone(),
        address: wanted.address,
        peers,
        tap: None,
        agent: None,
    }
}

/// Whether two machines reach each other: both on one network that allows it.
pub fn are_peers(one: &Wanted, other: &Wanted) -> bool {
    one.name != other.name
        && one.declared.network.is_some()
        && one.declared.network == other.declared.network
        && one.network.as_ref().is_some_and(|network| network.peers)
}

fn binds(place: &Place, programs: &Programs, wanted: &Wanted) -> Vec<Bind> {
    let mut binds = vec![Bind {
        host: real(programs.hold.clone()),
        inside: HOLD_INSIDE.into(),
        writable: false,
        shifted: false,
    }];
    for share in &wanted.declared.shares {
        binds.push(Bind {
            host: share.host.clone(),
            inside: share.inside.clone(),
            writable: share.writable,
            shifted: true,
        });
    }
    if wanted.declared.ephemeral {
        for path in &wanted.declared.persist {
            binds.push(Bind {
                host: real(place.persist(&wanted.name).join(folder_name(path))),
                inside: path.clone(),
                writable: true,
                shifted: true,
            });
        }
    }
    binds
}

/// A path of our own without symbolic links, which a bind must not have.
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// The folder in which a path inside survives: `/var/lib/db` is `var-lib-db-HASH`, so that no two are one.
pub fn folder_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    let readable: String = text
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' })
        .take(80)
        .collect();
    format!("{readable}-{:016x}", hash(text.as_bytes()))
}

/// Keys whose change a running sandbox takes up only when it is started again.
pub fn restart_keys(before: &Wanted, after: &Wanted) -> Vec<&'static str> {
    let (a, b) = (&before.declared, &after.declared);
    let mut keys = Vec::new();
    let mut differs = |key, differs: bool| {
        if differs {
            keys.push(key);
        }
    };
    differs("image", a.image != b.image);
    differs("disk", a.disk != b.disk);
    differs("memory", a.memory != b.memory);
    differs("cpus", a.cpus != b.cpus);
    differs("processes", a.processes != b.processes);
    differs("ephemeral", a.ephemeral != b.ephemeral);
    differs("persist", a.persist != b.persist);
    differs("network", a.network != b.network);
    differs("shares", a.shares != b.shares);
    differs("show", a.show != b.show);
    differs("nested", a.nested != b.nested);
    // A rule that only shuts more can be put in force at once; ports are bound before privileges are given up.
    differs("ports", a.ports != b.ports || a.host_ports != b.host_ports);
    keys
}

/// Whether the rules of the network differ.
pub fn rules_differ(before: &Wanted, after: &Wanted) -> bool {
    let egress = |wanted: &Wanted| -> Egress { net(wanted, BTreeMap::new()).egress };
    egress(before) != egress(after) || before.declared.dns != after.declared.dns
}

/// Whether a folder of this host may be shared: not one with this program's own files in it, nor one of them.
///
/// # Errors
/// What is wrong with it.
pub fn check_share(place: &Place, share: &Share) -> Result<(), String> {
    let host = &share.host;
    let real = host.canonicalize().map_err(|e| format!("{}: {e}", host.display()))?;
    if real != *host {
        return Err(format!(
            "{}: there is a symbolic link in this path, and a machine may have made it: name the real one if you mean {}",
            host.display(),
            real.display()
        ));
    }
    for own in place.own() {
        let own: PathBuf = own.canonicalize().unwrap_or_else(|_| own.to_owned());
        if own.starts_with(&real) || real.starts_with(&own) {
            return Err(format!(
                "{} holds the files of stead itself ({}): share a folder beside them",
                host.display(),
                own.display()
            ));
        }
    }
    Ok(())
}

/// What a person should know of a share that is made all the same.
pub fn share_warning(share: &Share) -> Option<String> {
    let root = rustix::process::geteuid().is_root();
    (root && share.writable && others_reach_roots(&share.host)).then(|| {
        format!(
            "shares: {} belongs to root and others may enter it: a set-user-id program that the machine leaves there \
             is root's for them; chmod 700 it, or give it to the user whose work it is",
            share.host.display()
        )
    })
}

/// Whether a folder is root's, and every folder down to it is open to others.
fn others_reach_roots(real: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(about) = real.metadata() else { return false };
    about.uid() == 0
        && real
            .ancestors()
            .all(|path| path.metadata().is_ok_and(|folder| folder.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_paths_survive_in_one_folder() {
        assert_ne!(folder_name(Path::new("/var/lib")), folder_name(Path::new("/var-lib")));
        assert!(folder_name(Path::new("/var/lib/../x")).starts_with("var-lib-..-x-"));
        assert!(!folder_name(Path::new("/a/b")).contains('/'));
    }

    #[test]
    fn the_ranges_fit() {
        assert!(FIRST_ID.checked_add((MOST + 1) * IDS).is_some_and(|end| end <= 1 << 31));
    }
}
