//! What a machine is called, where it is, and how it fares.

use super::files::Place;
use crate::audit::evidence::{Disk, Old, Seen};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// File systems that fill up with something.
const DISKS: [&str; 8] = ["/", "/boot", "/boot/efi", "/home", "/var", "/nix", "/tmp", "/srv"];

/// The value of a line `KEY=value`.
fn setting(text: &str, key: &str) -> Option<String> {
    let line = |line: &str| {
        Some(line.trim().strip_prefix(key)?.strip_prefix('=')?.trim_matches('"').to_owned())
    };
    text.lines().find_map(line)
}

pub fn os(place: &Place) -> Seen<String> {
    setting(&place.read("/etc/os-release")?, "ID")
        .ok_or_else(|| "/etc/os-release tells no ID".into())
}

pub fn hostname(place: &Place) -> Seen<String> {
    Ok(place.read("/proc/sys/kernel/hostname")?.trim().to_owned())
}

pub fn timezone(place: &Place) -> Seen<String> {
    let path = "/etc/localtime";
    let link = match std::fs::read_link(place.path(path)) {
        Ok(link) => link,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok("UTC".into()),
        Err(why) => return Err(format!("{path}: {why}")),
    };
    let link = link.to_string_lossy();
    let name = link.split_once("zoneinfo/").map(|(_, name)| name.to_owned());
    name.ok_or_else(|| format!("{path} leads to {link}"))
}

pub fn locale(place: &Place) -> Seen<String> {
    for path in ["/etc/locale.conf", "/etc/default/locale"] {
        if let Some(lang) = setting(&place.read_or_none(path)?, "LANG") {
            return Ok(lang);
        }
    }
    Ok("C".into())
}

pub fn interfaces(place: &Place) -> Seen<BTreeMap<String, bool>> {
    let mut found = BTreeMap::new();
    for path in place.list("/sys/class/net")? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let flags = place.read(path.join("flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        found.insert(name, flags & 1 > 0);
    }
    if found.is_empty() {
        return Err("/sys/class/net has no interface".into());
    }
    Ok(found)
}

/// Whether an interface other than the loopback has an address of IPv6.
pub fn ipv6(place: &Place) -> bool {
    let text = place.read_or_none("/proc/net/if_inet6").unwrap_or_default();
    text.lines().any(|line| line.split_whitespace().last().is_some_and(|name| name != "lo"))
}

/// What runs and is not what is installed.
pub fn restart(place: &Place) -> Seen<Option<Old>> {
    if place.path("/run/reboot-required").exists() {
        return Ok(Some(Old::Restart("a package asked for a restart".into())));
    }
    let real = |path: &str| place.path(path).canonicalize().ok();
    if let (Some(booted), Some(current)) =
        (real("/run/booted-system/kernel"), real("/run/current-system/kernel"))
    {
        return Ok((booted != current)
            .then(|| Old::Restart("another kernel is installed than runs".into())));
    }
    let release = place.read("/proc/sys/kernel/osrelease")?;
    let installed = place.list("/boot")?;
    let newer = installed.iter().filter_map(|path| {
        path.file_name()?.to_string_lossy().strip_prefix("vmlinuz-").map(str::to_owned)
    });
    let newest = newer.max_by(|a, b| super::version::compare(a, b));
    let release = release.trim();
    let by_stead = by_stead(place);
    // Another kernel that is not in /boot was given from outside by somebody who knows.
    let known = by_stead || place.path(format!("/boot/vmlinuz-{release}")).exists();
    Ok(newest.filter(|newest| known && newest != release).map(|newest| {
        let both = format!("{newest} is installed, {release} runs");
        if by_stead {
            Old::Given(format!("{both}, which Stead gives this machine"))
        } else {
            Old::Restart(both)
        }
    }))
}

/// Whether Stead starts a kernel of its own in this machine: an image of a person's own has a boot loader, which says so.
fn by_stead(place: &Place) -> bool {
    let line = place.read_or_none("/proc/cmdline").unwrap_or_default();
    let loaded = line.split_whitespace().any(|word| word.starts_with("BOOT_IMAGE="));
    !loaded && place.path("/run/stead/config.json").exists()
}

/// Whether the kernel's clock is held to another's.
pub fn clock() -> Seen<bool> {
    crate::audit::sys::clock_is_held()
}

pub fn disks(place: &Place) -> Vec<Disk> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for path in DISKS.map(Path::new) {
        let real = place.path(path);
        // A server that is gone makes whoever asks wait; such are not among these.
        let Ok(device) = real.metadata().map(|about| about.dev()) else { continue };
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        found.extend(disk(&real, path.to_owned()));
    }
    found
}

fn disk(real: &Path, at: PathBuf) -> Option<Disk> {
    let told = rustix::fs::statvfs(real).ok()?;
    let share =
        |taken: u64, left: u64| (taken * 100).div_ceil((taken + left).max(1)).min(100) as u8;
    let taken = told.f_blocks.checked_sub(told.f_bfree)?;
    let files = told.f_files.saturating_sub(told.f_ffree);
    (told.f_blocks > 0).then(|| Disk {
        at,
        used: share(taken, told.f_bavail),
        // Some file systems do not count files.
        files: if told.f_files == 0 { 0 } else { share(files, told.f_ffree) },
    })
}
