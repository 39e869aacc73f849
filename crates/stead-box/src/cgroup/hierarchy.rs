//! Which cgroup hierarchies this host has, and where in each our groups may be.

use super::{CgroupError, OURS, Result, processes, read, tree, write};
use rustix::fs::{Access, access};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The v1 controllers that we use: for limits, for counting, for freezing.
const V1: [&str; 5] = ["memory", "cpu", "pids", "cpuacct", "freezer"];
/// The v2 controllers that we use.
const V2: [&str; 3] = ["memory", "cpu", "pids"];
/// The group that takes the processes of a delegated v2 group, which may have none itself once it has children that
/// are limited.
const SELF: &str = "stead.self";

/// One mounted hierarchy.
#[derive(Debug)]
pub(super) struct Hierarchy {
    v2: bool,
    /// The v1 controllers on it, in the kernel's order; empty for v2.
    controllers: Vec<String>,
    mount: PathBuf,
    /// The path in the hierarchy of the folder that is mounted.
    mount_root: String,
    /// Below which our groups go; `Err` says why nowhere.
    base: std::result::Result<PathBuf, String>,
}

/// The group of one sandbox in one hierarchy.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// What `/proc/PID/cgroup` says of a process in it.
    pub proc_path: String,
    /// Whether it is v2.
    pub v2: bool,
    /// The controllers that work on it.
    pub controllers: Vec<String>,
}

/// The hierarchies of a host.
#[derive(Debug)]
pub struct Hierarchies {
    list: Vec<Hierarchy>,
}

impl Hierarchies {
    /// Those of this host, as this process sees them.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn of_host() -> Result<Self> {
        let mounts = read(Path::new("/proc/self/mountinfo"))?;
        let own = read(Path::new("/proc/self/cgroup"))?;
        let mut list = parse_mountinfo(&mounts);
        let own = parse_proc_cgroup(&own);
        for hierarchy in &mut list {
            let key = hierarchy.proc_key();
            let path = own.iter().find(|(k, _)| *k == key).map(|(_, path)| path.as_str());
            hierarchy.base =
                base(hierarchy, path.and_then(|path| hierarchy.folder_of(path)).as_deref());
        }
        Ok(Self { list })
    }

    /// Those in a folder that is laid out like `/sys/fs/cgroup`; the caller's own group is the root of each. For tests,
    /// and for a file system of another host.
    pub fn at(root: &Path) -> Self {
        let v2 = |mount: &Path| Hierarchy::new(true, Vec::new(), mount.to_owned(), "/".into());
        let mut list = Vec::new();
        if root.join("cgroup.controllers").exists() {
            list.push(v2(root));
        } else if let Ok(entries) = fs::read_dir(root) {
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let known: Vec<String> =
                    name.split(',').filter(|c| V1.contains(c)).map(str::to_owned).collect();
                if path.join("cgroup.controllers").exists() {
                    list.push(v2(&path));
                } else if !known.is_empty() && !path.is_symlink() {
                    list.push(Hierarchy::new(false, known, path, "/".into()));
                }
            }
        }
        for hierarchy in &mut list {
            hierarchy.base = Ok(hierarchy.mount.clone());
        }
        Self { list }
    }

    pub(super) fn list(&self) -> &[Hierarchy] {
        &self.list
    }
}

impl Hierarchy {
    fn new(v2: bool, controllers: Vec<String>, mount: PathBuf, mount_root: String) -> Self {
        Self { v2, controllers, mount, mount_root, base: Err("nothing was looked at".into()) }
    }

    /// What names this hierarchy in `/proc/PID/cgroup`.
    pub fn proc_key(&self) -> String {
        self.controllers.join(",")
    }

    /// The folder of a group by its path in `/proc/PID/cgroup`.
    fn folder_of(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(&self.mount_root).ok()?;
        let climbs = below.components().any(|part| matches!(part, std::path::Component::ParentDir));
        // Joining nothing would add a slash.
        let whole = below.as_os_str().is_empty();
        (!climbs).then(|| if whole { self.mount.clone() } else { self.mount.join(below) })
    }

    /// The folder below which our groups are, if there can be one.
    pub fn ours(&self) -> Option<PathBuf> {
        self.base.as_ref().ok().map(|base| base.join(OURS))
    }

    /// Below which folder our groups can be; `Err` says why nowhere.
    pub fn base(&self) -> &std::result::Result<PathBuf, String> {
        &self.base
    }

    /// Whether its groups can be frozen.
    pub fn freezes(&self) -> bool {
        self.v2 || self.offers("freezer")
    }

    /// Whether it has, or would have, this controller.
    pub fn offers(&self, controller: &str) -> bool {
        if self.v2 {
            words(&self.mount.join("cgroup.controllers")).iter().any(|word| word == controller)
        } else {
            self.controllers.iter().any(|word| word == controller)
        }
    }

    /// Makes an empty group.
    pub fn make(&self, name: &str) -> Result<Place> {
        let base = self.base.as_ref().map_err(|why| CgroupError::Io {
            what: "make a cgroup in",
            path: self.mount.clone(),
            source: io::Error::new(io::ErrorKind::PermissionDenied, why.clone()),
        })?;
        // The last sandbox to go takes our folder with it, which may be between two steps of this.
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.make_below(base, name) {
                Err(error) if attempts < 100 && vanished(&error) => {}
                other => return other,
            }
        }
    }

    fn make_below(&self, base: &Path, name: &str) -> Result<Place> {
        let ours = base.join(OURS);
        make_folder(&ours)?;
        if self.v2 {
            hand_down(base)?;
            hand_down(&ours)?;
        }
        let folder = ours.join(name);
        // One left behind by somebody who died is removed with all below it, so that its counters begin at nothing.
        for group in tree(&folder) {
            match fs::remove_dir(&group) {
                Err(source) if source.kind() == io::ErrorKind::ResourceBusy => {
                    return Err(CgroupError::Io {
                        what: "make again the cgroup in use",
                        path: group,
                        source,
                    });
                }
                _ => {}
            }
        }
        make_folder(&folder)?;
        let controllers = if self.v2 {
            words(&folder.join("cgroup.controllers"))
        } else {
            self.controllers.clone()
        };
        let below = folder.strip_prefix(&self.mount).unwrap_or(&folder);
        let proc_path = Path::new(&self.mount_root).join(below).to_string_lossy().into_owned();
        Ok(Place { folder, proc_path, v2: self.v2, controllers })
    }
}

fn vanished(error: &CgroupError) -> bool {
    match error {
        CgroupError::Io { source, .. } | CgroupError::Refused { source, .. } => {
            source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(libc::ENODEV)
        }
        _ => false,
    }
}

/// Makes a group; one that is there is no error.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupError::Io { what: "make the cgroup", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Lets the children of a v2 group have the controllers that it has.
pub(super) fn hand_down(folder: &Path) -> Result<()> {
    let there = words(&folder.join("cgroup.subtree_control"));
    let has = words(&folder.join("cgroup.controllers"));
    let file = folder.join("cgroup.subtree_control");
    for controller in V2 {
        if !has.iter().any(|word| word == controller) || there.iter().any(|word| word == controller)
        {
            continue;
        }
        let asked = format!("+{controller}");
        if let Err(error) = write(&file, &asked) {
            match &error {
                CgroupError::Refused { source, .. }
                    if source.kind() == io::ErrorKind::ResourceBusy =>
                {
                    vacate(folder)?;
                    write(&file, &asked)?;
                }
                _ => return Err(error),
            }
        }
    }
    Ok(())
}

/// Moves the processes of a delegated group one down.
fn vacate(folder: &Path) -> Result<()> {
    let inner = folder.join(SELF);
    make_folder(&inner)?;
    let target = inner.join("cgroup.procs");
    // A process may fork while it is looked at, so look again until there is none.
    for _ in 0..100 {
        let there = processes(folder);
        if there.is_empty() {
            break;
        }
        for pid in there {
            match write(&target, &pid.to_string()) {
                Err(CgroupError::Refused { source, .. })
                    if source.raw_os_error() == Some(libc::ESRCH) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Below which folder our groups go.
fn base(hierarchy: &Hierarchy, own: Option<&Path>) -> std::result::Result<PathBuf, String> {
    // Our own moving aside must not nest deeper each time.
    let own = own.map(|own| {
        if own.file_name().is_some_and(|name| name == SELF) {
            own.parent().unwrap_or(own)
        } else {
            own
        }
    });
    if let Some(own) = own
        && delegated(own)
        && may_make(own)
    {
        return Ok(own.to_owned());
    }
    if rustix::process::geteuid().is_root() && may_make(&hierarchy.mount) {
        return Ok(hierarchy.mount.clone());
    }
    match own {
        Some(own) if may_make(own) => Ok(own.to_owned()),
        Some(own) => Err(format!("{} may not be written by this user", own.display())),
        None => Err(format!("our own group is not below {}", hierarchy.mount.display())),
    }
}

/// Whether systemd gave this group to its processes (`Delegate=yes`).
fn delegated(folder: &Path) -> bool {
    ["trusted.delegate", "user.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        matches!(rustix::fs::getxattr(folder, *name, value.as_mut_slice()), Ok(1..) if value[0] == b'1')
    })
}

fn may_make(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK).is_ok()
        && access(folder.join("cgroup.procs"), Access::WRITE_OK).is_ok()
}

fn words(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The hierarchies in `/proc/PID/mountinfo` that have something for us; of several mounts of one, the fullest.
fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let mut list: Vec<Hierarchy> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, root, mount, ..], &[kind, _, options, ..]) =
            (left.as_slice(), right.as_slice())
        else {
            continue;
        };
        let (v2, controllers) = match kind {
            "cgroup2" => (true, Vec::new()),
            "cgroup" => {
                let all: Vec<String> = options
                    .split(',')
                    .filter(|word| V1.contains(word))
                    .map(str::to_owned)
                    .collect();
                if all.is_empty() {
                    continue;
                }
                (false, all)
            }
            _ => continue,
        };
        let found = Hierarchy::new(v2, controllers, PathBuf::from(unescape(mount)), unescape(root));
        match list.iter_mut().find(|h| h.v2 == found.v2 && h.controllers == found.controllers) {
            Some(before) if found.mount_root.len() < before.mount_root.len() => *before = found,
            Some(_) => {}
            None => list.push(found),
        }
    }
    list
}

/// Undoes the `\040` of mountinfo.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Each line of `/proc/PID/cgroup` as the controllers (those we use, in the kernel's order; empty for v2) and the path.
pub(super) fn parse_proc_cgroup(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let known: Vec<&str> =
                controllers.split(',').filter(|word| V1.contains(word)).collect();
            if !controllers.is_empty() && known.is_empty() {
                return None;
            }
            Some((known.join(","), path.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 29 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
31 29 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
32 29 0:28 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 29 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn hierarchies_are_found_and_named_as_in_proc() {
        let list = parse_mountinfo(HYBRID);
        let keys: Vec<String> = list.iter().map(Hierarchy::proc_key).collect();
        assert_eq!(keys, ["cpu,cpuacct", "memory", ""]);
        let own =
            parse_proc_cgroup("5:cpu,cpuacct:/a\n4:name=systemd:/b\n3:memory:/docker/1/c\n0::/d/e");
        let names = [("cpu,cpuacct", "/a"), ("memory", "/docker/1/c"), ("", "/d/e")];
        assert_eq!(own, names.map(|(k, p)| (k.to_owned(), p.to_owned())));
        assert_eq!(list[1].folder_of("/docker/1/c").unwrap(), Path::new("/sys/fs/cgroup/memory/c"));
        assert_eq!(list[1].folder_of("/docker/2"), None);
        assert_eq!(
            list[2].folder_of("/../x"),
            None,
            "a path that climbs out of the mount names no folder"
        );
    }
}
