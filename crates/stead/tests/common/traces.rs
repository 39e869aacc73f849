//! What the machines of a world are on this host: processes, namespaces, mounts, control groups, disks, interfaces, files.
//! Counted before the first is made and after the last is gone.

use super::{World, processes};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl World {
    /// All that there is, a line each. Processes are told apart from those of other worlds by their mounts, and by their
    /// programs if this world has its own. Interfaces, and namespaces that are kept by a mount, are those of the whole host:
    /// nobody can tell whose they are.
    pub fn traces(&self) -> BTreeSet<String> {
        let dir = self.path().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut all: BTreeSet<String> = mounts
            .lines()
            .filter(|line| line.contains(&dir) || line.contains(" - nsfs "))
            .map(|line| format!("mount {line}"))
            .collect();
        // An ordinary user's first process runs from a mount of its own: the file is the same, and its path is not.
        let of_file = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
        let sandbox = of_file(&self.programs().join("stead-box"));
        for pid in processes() {
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let sees = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
            // By its path, since worlds may have the same file.
            let runs = of_file(Path::new(&format!("/proc/{pid}/exe")));
            let of_a_machine = exe == self.programs().join("stead-box")
                || (runs == sandbox && of_file(&exe) != sandbox)
                || (sees.is_ok_and(|sees| sees.contains(&dir)) && has_other_mounts(pid));
            if of_a_machine {
                all.insert(format!("process {pid} {}", exe.display()));
            }
            if of_a_machine || exe.parent() == Some(self.programs()) {
                all.extend(namespaces(pid).into_iter().map(|space| format!("namespace {space}")));
            }
        }
        let mine = group_prefix(&self.places().data);
        let groups = groups(Path::new("/sys/fs/cgroup"), 0).into_iter();
        all.extend(groups.filter(|group| group.contains(&mine)).map(|g| format!("group {g}")));
        for name in entries(Path::new("/sys/block")) {
            let file = std::fs::read_to_string(name.join("loop/backing_file"));
            all.extend(file.ok().filter(|f| f.contains(&dir)).map(|f| format!("loop {f}")));
        }
        let interfaces = entries(Path::new("/sys/class/net"));
        all.extend(interfaces.iter().map(|path| format!("interface {}", path.display())));
        let places = self.places();
        for folder in [
            places.data.join("machines"),
            places.data.join("layers"),
            places.runtime.join("machines"),
            places.data.join("claims"),
        ] {
            let there = entries(&folder).into_iter();
            let hidden = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes()[0] == b'.';
            all.extend(there.filter(|p| !hidden(p)).map(|path| format!("file {}", path.display())));
        }
        all
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Whether a process of which that can be told is in another mount namespace than this one.
fn has_other_mounts(pid: i32) -> bool {
    let space = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    space(&pid.to_string()).is_some_and(|other| Some(other) != space("self"))
}

/// The namespaces that a process is in, makes its children in, or has open, and this one is not in.
fn namespaces(pid: i32) -> BTreeSet<String> {
    let links = |folder: String| {
        entries(Path::new(&folder)).into_iter().filter_map(|path| {
            let space = std::fs::read_link(path).ok()?.into_os_string().into_string().ok()?;
            // `net:[4026531840]`, and no socket or pipe.
            let (kind, _) = space.split_once(":[")?;
            let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
            kinds.contains(&kind).then_some(space)
        })
    };
    let ours: BTreeSet<String> = links("/proc/self/ns".into()).collect();
    let mut all: BTreeSet<String> =
        links(format!("/proc/{pid}/ns")).chain(links(format!("/proc/{pid}/fd"))).collect();
    all.retain(|space| !ours.contains(space));
    all
}

/// What the control groups of an engine's data folder begin with.
fn group_prefix(data: &Path) -> String {
    let bytes = data.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-", hash >> 32)
}

/// The groups in a folder `stead`.
fn groups(folder: &Path, depth: u32) -> Vec<String> {
    let ours = folder.file_name().is_some_and(|name| name == "stead");
    let mut found = Vec::new();
    for path in entries(folder) {
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        if ours {
            found.push(path.display().to_string());
        } else if depth < 6 {
            found.extend(groups(&path, depth + 1));
        }
    }
    found
}
