//! What a machine was made from, and what of that is the same on all engines whose machines run in sandboxes.

use super::files;
use super::place::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_box::spec::{Ids, Limits, Net, Peer};
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

/// A machine that is there: the file of its engine in its folder.
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

/// Reads what a machine was made from, whichever engine's it is.
///
/// # Errors
/// If one is there and cannot be read.
pub fn read_any(place: &Place, name: &str) -> Result<Option<Made>, EngineError> {
    place.of_all().find_map(|place| read(&place, name).transpose()).transpose()
}

/// The ids of a machine's sandbox.
pub fn ids(wanted: &Wanted, root: bool) -> Ids {
    if root { Ids::Range { first: FIRST_ID + wanted.number.min(MOST) * IDS } } else { Ids::Own }
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
        screen: None,
    }
}

/// Whether two machines reach each other: both on one network that allows it.
pub fn are_peers(one: &Wanted, other: &Wanted) -> bool {
    one.name != other.name
        && one.declared.network.is_some()
        && one.declared.network == other.declared.network
        && one.network.as_ref().is_some_and(|network| network.peers)
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
    fn the_ranges_fit() {
        assert!(FIRST_ID.checked_add((MOST + 1) * IDS).is_some_and(|end| end <= 1 << 31));
    }
}
