//! What the kernel shows inside: /proc, /sys, /dev, and the folders that live in memory.

use crate::failure::{Result, Tried};
use crate::inside;
use crate::mounts::{self, NODEV, NOEXEC, NOSUID, RO, beneath};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::path::Path;

/// For file systems of the kernel.
const PLAIN: u64 = NOSUID | NODEV | NOEXEC;

/// Character devices that everybody may have: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Files that tell too much of this host or change it: `/dev/null` lies over them.
const COVERED_FILES: [&str; 8] = [
    "proc/kcore",
    "proc/keys",
    "proc/timer_list",
    "proc/sched_debug",
    "proc/latency_stats",
    "proc/interrupts",
    "proc/kpagecount",
    "proc/kpageflags",
];

/// Folders of the same kind: an empty one lies over them.
const COVERED_FOLDERS: [&str; 5] =
    ["proc/acpi", "proc/scsi", "proc/asound", "sys/firmware", "sys/devices/virtual/powercap"];

/// What may be read but not written.
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// How memory folders and devices are made here.
pub struct Devices {
    /// Device nodes of this host, where this process may not make its own.
    nodes: Vec<(&'static str, OwnedFd)>,
    /// /proc of the present process namespace.
    proc: OwnedFd,
    /// /sys, where it can only be had while this host's is seen.
    sys: Option<Result<OwnedFd>>,
    /// Root inside, outside.
    owner: u32,
    /// The group `tty` outside, if there is one inside.
    tty: Option<u32>,
    /// Bytes that each folder in memory may hold.
    size: String,
}

impl Devices {
    /// Takes what is needed of this host, while it can still be seen. `own_nodes`: with the power of root. Without,
    /// the kernel gives /proc and /sys only to who sees them already.
    pub fn take(owner: u32, own_nodes: bool, size: Option<u64>) -> Result<Self> {
        let mut nodes = Vec::new();
        if !own_nodes {
            for (name, ..) in DEVICES {
                nodes.push((name, mounts::tree(&Path::new("/dev").join(name), false)?));
            }
        }
        let proc = mounts::fresh("proc", &[], PLAIN)?;
        let sys = (!own_nodes).then(|| mounts::fresh("sysfs", &[], PLAIN | RO));
        let size = size.map_or("50%".to_owned(), |s| s.to_string());
        Ok(Devices { nodes, proc, sys, owner, tty: own_nodes.then(|| owner + 5), size })
    }

    fn memory(&self, mode: &str, attributes: u64) -> Result<OwnedFd> {
        let owner = self.owner.to_string();
        let options = [("mode", mode), ("uid", &*owner), ("gid", &*owner), ("size", &*self.size)];
        mounts::fresh("tmpfs", &options, attributes)
    }

    /// Mounts everything but /sys below `root`. `nested`: /proc stays as the kernel made it, because the kernel lets nobody
    /// mount another one (as containers inside must) while parts of it are covered.
    pub fn put(&self, root: BorrowedFd<'_>, nested: bool) -> Result<()> {
        place(root, "proc", &self.proc)?;
        place(root, "dev", &self.memory("755", NOSUID | NOEXEC)?)?;
        self.fill_dev(root)?;
        place(root, "tmp", &self.memory("1777", NOSUID | NODEV)?)?;
        place(root, "run", &self.memory("755", NOSUID | NODEV)?)?;
        inside::folder(root, Path::new("run/lock"), 0o755)?;
        if nested { Ok(()) } else { cover(root, "proc/") }
    }

    /// Mounts /sys, which shows the network namespace that this process is in by now. `nested`: as with /proc.
    pub fn put_sys(
        &mut self,
        root: BorrowedFd<'_>,
        nested: bool,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        match self.sys.take().unwrap_or_else(|| mounts::fresh("sysfs", &[], PLAIN | RO)) {
            Ok(sys) => place(root, "sys", &sys)?,
            Err(e) => {
                notes.push(format!("/sys is empty inside: {e}"));
                place(root, "sys", &self.memory("755", PLAIN | RO)?)?;
            }
        }
        if nested { Ok(()) } else { cover(root, "sys/") }
    }

    /// Mounts the sandbox's own cgroups, for containers inside. An ordinary user's sandbox may only look at them: there,
    /// root inside owns the limits.
    pub fn put_cgroups(&self, root: BorrowedFd<'_>, notes: &mut Vec<String>) -> Result<()> {
        let attributes = if self.nodes.is_empty() { PLAIN } else { PLAIN | RO };
        match mounts::fresh("cgroup2", &[], attributes) {
            Ok(cgroups) => place(root, "sys/fs/cgroup", &cgroups),
            Err(e) => {
                notes.push(format!("containers inside have no cgroups: {e}"));
                Ok(())
            }
        }
    }

    fn fill_dev(&self, root: BorrowedFd<'_>) -> Result<()> {
        let dev = inside::folder(root, Path::new("dev"), 0o755)?;
        if self.nodes.is_empty() {
            for (name, major, minor) in DEVICES {
                let mode = Mode::from_raw_mode(0o666);
                mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor))
                    .and_then(|()| chmodat(&dev, name, mode, AtFlags::empty()))
                    .tried(|| format!("/dev/{name} inside"))?;
            }
        } else {
            for (name, node) in &self.nodes {
                let at = inside::file(root, &Path::new("/dev").join(name))?;
                mounts::put(node, &at).tried(|| format!("/dev/{name} inside"))?;
            }
        }
        for (name, target) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlinkat(target, &dev, name).tried(|| format!("/dev/{name} inside"))?;
        }
        let put = |name: &str, mount: OwnedFd| {
            mkdirat(&dev, name, Mode::from_raw_mode(0o755))
                .and_then(|()| beneath(dev.as_fd(), Path::new(name), OFlags::PATH))
                .and_then(|at| mounts::put(&mount, &at))
                .tried(|| format!("/dev/{name} inside"))
        };
        let tty = self.tty.map(|gid| gid.to_string());
        let mut options = vec![("ptmxmode", "0666"), ("mode", "0620")];
        options.extend(tty.iter().map(|gid| ("gid", &**gid)));
        put("pts", mounts::fresh("devpts", &options, NOSUID | NOEXEC)?)?;
        put("shm", self.memory("1777", NOSUID | NODEV | NOEXEC)?)?;
        put("mqueue", mounts::fresh("mqueue", &[], NOSUID | NODEV | NOEXEC)?)
    }
}

fn place(root: BorrowedFd<'_>, path: &str, mount: &OwnedFd) -> Result<()> {
    let at = inside::folder(root, Path::new(path), 0o755)?;
    mounts::put(mount, &at).tried(|| format!("/{path} inside"))
}

/// Covers what begins with `which`.
fn cover(root: BorrowedFd<'_>, which: &str) -> Result<()> {
    let null = beneath(root, Path::new("dev/null"), OFlags::PATH).tried(|| "/dev/null inside")?;
    let nothing = RO | NOSUID | NODEV | NOEXEC;
    let wanted = |path: &&&str| path.starts_with(which);
    for path in COVERED_FILES.iter().filter(wanted) {
        over(root, path, || mounts::tree_at(&null).tried(|| "/dev/null"), 0)?;
    }
    let mut empty: Option<OwnedFd> = None;
    for path in COVERED_FOLDERS.iter().filter(wanted) {
        let make = || match &empty {
            Some(empty) => mounts::tree_at(empty).tried(|| "an empty folder"),
            None => mounts::fresh("tmpfs", &[("mode", "755"), ("size", "4k")], nothing),
        };
        if let Some(put) = over(root, path, make, 0)? {
            empty.get_or_insert(put);
        }
    }
    for path in READ_ONLY.iter().filter(wanted) {
        let copy = || {
            beneath(root, Path::new(path), OFlags::PATH)
                .and_then(mounts::tree_at)
                .tried(|| format!("/{path} inside"))
        };
        over(root, path, copy, nothing)?;
    }
    Ok(())
}

/// Puts what `make` makes over `path`, if this kernel has such a path, and returns it.
fn over(
    root: BorrowedFd<'_>,
    path: &str,
    make: impl FnOnce() -> Result<OwnedFd>,
    attributes: u64,
) -> Result<Option<OwnedFd>> {
    let at = match beneath(root, Path::new(path), OFlags::PATH) {
        Ok(at) => at,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e).tried(|| format!("/{path} inside")),
    };
    let mount = make()?;
    if attributes != 0 {
        mounts::restrict(&mount, attributes, None, false, Path::new(path))?;
    }
    mounts::put(&mount, at).tried(|| format!("/{path} inside"))?;
    Ok(Some(mount))
}
