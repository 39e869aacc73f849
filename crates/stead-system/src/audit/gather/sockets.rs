//! Sockets that wait, and those of container engines.

use super::files::Place;
use crate::audit::evidence::{EngineSocket, Listener, Seen};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// How many processes are asked whose a socket is.
const MANY: usize = 4_000;
/// Where container engines wait.
const ENGINES: [&str; 7] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
];
/// What the sockets of engines are called wherever they were put.
const NAMES: [&str; 4] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];

pub fn listeners(place: &Place) -> Seen<Vec<Listener>> {
    let mut found: BTreeMap<u64, Listener> = BTreeMap::new();
    for (file, udp) in [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)] {
        let path = format!("/proc/net/{file}");
        // Without IPv6 there are no such files.
        if file.ends_with('6') && !place.path(&path).exists() {
            continue;
        }
        for line in place.read_to(&path, 16 << 20)?.lines().skip(1) {
            if let Some((inode, listener)) = socket(line, udp) {
                found.insert(inode, listener);
            }
        }
    }
    name(place, &mut found);
    Ok(found.into_values().collect())
}

/// A line of `/proc/net`, if its socket waits.
pub fn socket(line: &str, udp: bool) -> Option<(u64, Listener)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, remote, state, inode) =
        (fields.get(1)?, fields.get(2)?, fields.get(3)?, fields.get(9)?);
    let waits = if udp { *state == "07" && remote.ends_with(":0000") } else { *state == "0A" };
    let (address, port) = local.split_once(':')?;
    let listener = Listener {
        udp,
        address: self::address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        program: None,
    };
    waits.then_some((inode.parse().ok()?, listener))
}

/// An address as the kernel shows it: words in the processor's order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            let address = Ipv6Addr::from(bytes);
            // One for both families is shown as it is reached.
            Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::from))
        }
        _ => None,
    }
}

/// Tells whose they are, as far as that can be seen.
fn name(place: &Place, found: &mut BTreeMap<u64, Listener>) {
    for process in place.list("/proc").unwrap_or_default().into_iter().take(MANY) {
        let number =
            process.file_name().is_some_and(|n| n.to_string_lossy().parse::<u32>().is_ok());
        if !number || found.values().all(|listener| listener.program.is_some()) {
            continue;
        }
        for descriptor in place.list(process.join("fd")).unwrap_or_default() {
            let Ok(target) = std::fs::read_link(place.path(&descriptor)) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            let Some(listener) = inode.and_then(|inode| found.get_mut(&inode.parse().ok()?)) else {
                continue;
            };
            if listener.program.is_none() {
                listener.program =
                    place.read(process.join("comm")).ok().map(|name| name.trim().to_owned());
            }
        }
    }
}

/// Sockets of container engines, and those that were put into the machine.
pub fn engines(place: &Place) -> Seen<Vec<EngineSocket>> {
    let mounts = place.read("/proc/self/mountinfo")?;
    let mut found: BTreeMap<_, EngineSocket> = BTreeMap::new();
    for path in ENGINES {
        let Ok(real) = place.path(path).canonicalize() else { continue };
        let Ok(about) = real.metadata() else { continue };
        if about.file_type().is_socket() {
            let mode = about.mode() & 0o7777;
            found.insert(real, EngineSocket { path: path.into(), mode, mounted: false });
        }
    }
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(root), Some(at)) = (fields.get(3), fields.get(4)) else { continue };
        let is = |path: &str| NAMES.iter().any(|name| path.rsplit('/').next() == Some(*name));
        if !is(root) && !is(at) {
            continue;
        }
        let real = place.path(at).canonicalize().unwrap_or_else(|_| place.path(at));
        let mode = real.metadata().map_or(0, |about| about.mode() & 0o7777);
        found.insert(real, EngineSocket { path: (*at).into(), mode, mounted: true });
    }
    Ok(found.into_values().collect())
}
