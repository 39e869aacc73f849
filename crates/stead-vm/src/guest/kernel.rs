//! What the kernel is to have before anything else: its file systems, the modules that were packed.

use crate::failure::{Result, Tried};
use crate::guest::place;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs::File;

/// The list of modules, one path a line, in the order in which they are loaded.
const MODULES: &str = "/modules";

/// Mounts `kind` at the folder `at`, which is made. One that is mounted already is fine.
fn put(kind: &str, at: &str, flags: MountFlags, options: &str) -> Result<()> {
    place::make(at)?;
    let options = CString::new(options).expect("no zero byte");
    match mount(kind, at, kind, flags, &*options) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(e) => Err(e).tried(|| format!("mounting {kind} at {at}")),
    }
}

const NO: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// What is needed before the root is there; it moves to the root then.
pub fn first() -> Result<()> {
    put("proc", "/proc", NO, "")?;
    put("sysfs", "/sys", NO, "")?;
    put("devtmpfs", "/dev", MountFlags::NOSUID, "mode=755")?;
    put("tmpfs", "/run", MountFlags::NOSUID | MountFlags::NODEV, "mode=755")
}

/// What a guest has where nobody else mounts it.
pub fn rest() -> Result<()> {
    put(
        "devpts",
        "/dev/pts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        "mode=620,ptmxmode=666,gid=5",
    )?;
    put("tmpfs", "/dev/shm", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")?;
    put("tmpfs", "/tmp", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")?;
    // Not every kernel has these, and nothing here needs them.
    let _ = put("mqueue", "/dev/mqueue", NO, "");
    let _ = put("cgroup2", "/sys/fs/cgroup", NO, "nsdelegate");
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let _ = std::os::unix::fs::symlink(target, format!("/dev/{name}"));
    }
    // As systemd has it, and containers expect it.
    for (name, value) in [
        ("net/ipv4/ping_group_range", "0 2147483647"),
        ("net/ipv4/ip_forward", "1"),
        ("fs/inotify/max_user_instances", "1024"),
        ("fs/inotify/max_user_watches", "524288"),
        ("vm/max_map_count", "1048576"),
        ("kernel/pid_max", "4194304"),
    ] {
        let _ = std::fs::write(format!("/proc/sys/{name}"), value);
    }
    for controllers in ["+cpu", "+memory", "+io", "+pids", "+cpuset"] {
        let _ = std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", controllers);
    }
    Ok(())
}

/// Modules that only some machines need before they have their root, where all others are. Loading them takes an emulated
/// processor longer than all that comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// By every machine.
    Always,
    /// Where devices are on PCI.
    Pci,
    /// Where they are not.
    Mmio,
    /// Where the root is one in memory.
    Overlay,
    /// For shares by a process beside QEMU.
    Virtiofs,
    /// For shares by QEMU itself.
    NineP,
}

impl Needed {
    /// When the module in this file is needed.
    fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).split('.').next().unwrap_or_default();
        match name {
            "virtio_pci" | "virtio_pci_modern_dev" | "virtio_pci_legacy_dev" => Needed::Pci,
            "virtio_mmio" => Needed::Mmio,
            "overlay" => Needed::Overlay,
            "fuse" | "virtiofs" => Needed::Virtiofs,
            "9pnet" | "9pnet_virtio" | "netfs" | "fscache" | "9p" => Needed::NineP,
            _ => Needed::Always,
        }
    }
}

/// Loads what every machine needs, and its devices are reached by.
pub fn load_first_modules() -> Result<()> {
    let pci = std::fs::read_dir("/sys/bus/pci/devices").is_ok_and(|mut all| all.next().is_some());
    load(&[Needed::Always, if pci { Needed::Pci } else { Needed::Mmio }])
}

/// Loads those of the modules that were packed which are needed for this.
pub fn load_modules(needed: Needed) -> Result<()> {
    load(&[needed])
}

fn load(needed: &[Needed]) -> Result<()> {
    let Ok(list) = std::fs::read_to_string(MODULES) else { return Ok(()) };
    let paths = list.lines().map(str::trim).filter(|line| !line.is_empty());
    for path in paths.filter(|path| needed.contains(&Needed::of(path))) {
        let file = File::open(path).tried(|| path)?;
        let compressed = [".xz", ".zst", ".gz"].iter().any(|end| path.ends_with(end));
        // MODULE_INIT_COMPRESSED_FILE
        let flags = if compressed { 4 } else { 0 };
        match rustix::system::finit_module(&file, c"", flags) {
            // It is there already, or the processor has not what it is for.
            Ok(()) | Err(Errno::EXIST | Errno::NODEV) => {}
            Err(e) => return Err(e).tried(|| format!("loading {path}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_file() {
        assert_eq!(Needed::of("/lib/modules/9pnet_virtio.ko"), Needed::NineP);
        assert_eq!(Needed::of("/lib/modules/virtiofs.ko.xz"), Needed::Virtiofs);
        assert_eq!(Needed::of("/lib/modules/overlay.ko"), Needed::Overlay);
        assert_eq!(Needed::of("/lib/modules/virtio_blk.ko"), Needed::Always);
        assert_eq!(Needed::of("/lib/modules/virtio_pci_modern_dev.ko"), Needed::Pci);
        assert_eq!(Needed::of("/lib/modules/virtio_mmio.ko.zst"), Needed::Mmio);
    }
}
