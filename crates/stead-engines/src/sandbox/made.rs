//! How what a machine was made from becomes a sandbox.

use super::Programs;
use super::layers::State;
use crate::common::made::{cgroup, ids, limits, net};
use crate::common::place::{Place, hash};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_box::spec::{Base, Bind, Peer, Spec, Upper};
use stead_file::declared::Machine;
use stead_machine::model::Wanted;

/// Where sessions keep their folders inside.
pub const DATA_INSIDE: &str = "/var/lib/stead";
/// Where sessions keep their sockets inside.
pub const RUNTIME_INSIDE: &str = "/run/stead";
/// The hold's program inside.
pub const HOLD_INSIDE: &str = "/run/stead/bin/stead-hold";

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
        layers: state.root.frozen.iter().map(|layer| place.layer(layer)).collect(),
        upper: if declared.ephemeral {
            Upper::Memory { size: declared.disk.map(stead_file::size::Size::bytes) }
        } else {
            Upper::Folder(place.layer(&state.root.top))
        },
        ids: ids(wanted, root),
        binds: binds(place, programs, wanted),
        limits: limits(declared),
        cgroup: cgroup(place, wanted),
        net: Some(net(wanted, peers)),
        nested: declared.nested,
        env: declared.env.clone(),
        main: None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_paths_survive_in_one_folder() {
        assert_ne!(folder_name(Path::new("/var/lib")), folder_name(Path::new("/var-lib")));
        assert!(folder_name(Path::new("/var/lib/../x")).starts_with("var-lib-..-x-"));
        assert!(!folder_name(Path::new("/a/b")).contains('/'));
    }
}
