//! Freezing and ending everything in a group.

use super::hierarchy::{Hierarchies, Hierarchy};
use super::{CgroupError, OURS, Result, processes, read, tree, write};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends whatever is inside these groups and removes them. Folders that are not there are no error.
///
/// # Errors
/// If a folder is not one of ours, or a process does not end.
pub fn remove(folders: &[PathBuf]) -> Result<()> {
    for folder in folders {
        ours(folder)?;
    }
    let there: Vec<&PathBuf> = folders.iter().filter(|folder| folder.exists()).collect();
    let until = Instant::now() + PATIENCE;
    for folder in &there {
        let kill = folder.join("cgroup.kill");
        if kill.exists() {
            // What is frozen by the v1 freezer dies when it is thawed, below.
            write(&kill, "1")?;
        }
    }
    while there.iter().any(|folder| !everything(folder).is_empty()) {
        sweep(&there, until)?;
    }
    for folder in there {
        for group in tree(folder) {
            remove_folder(&group, until)?;
        }
        if let Some(parent) = folder.parent() {
            // It stays while it holds the group of another sandbox.
            let _ = fs::remove_dir(parent);
        }
    }
    Ok(())
}

/// One round of ending what is inside. Nothing in the groups can make processes meanwhile, so a few rounds end all.
fn sweep(folders: &[&PathBuf], until: Instant) -> Result<()> {
    for folder in folders {
        for group in tree(folder) {
            let limit = group.join("pids.max");
            if limit.exists() {
                write(&limit, "0")?;
            }
        }
    }
    let mut waiting = Vec::new();
    for folder in folders {
        for pid in everything(folder) {
            // One that is gone already, or is not of our process namespace, has no handle.
            if let Some(pid) = Pid::from_raw(pid)
                && let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
                && processes_again(folder, pid)
            {
                // It may have ended by itself.
                let _ = pidfd_send_signal(&handle, Signal::KILL);
                waiting.push(handle);
            }
        }
    }
    for folder in folders {
        thaw_one(folder)?;
    }
    for handle in waiting {
        wait_for(&handle, PollFlags::IN, until);
    }
    if Instant::now() >= until
        && let Some(folder) = folders.iter().find(|folder| !everything(folder).is_empty())
    {
        return Err(CgroupError::Stay { path: (*folder).clone(), processes: everything(folder) });
    }
    Ok(())
}

/// Whether the number still is a process of this group, now that a handle is held: numbers are used again.
fn processes_again(folder: &Path, pid: Pid) -> bool {
    everything(folder).contains(&pid.as_raw_nonzero().get())
}

/// Whether there can be groups here that [`freeze`] stops.
///
/// # Errors
/// What is in the way.
pub fn can_freeze() -> std::result::Result<(), String> {
    let hierarchies = Hierarchies::of_host().map_err(|e| e.to_string())?;
    let bases: Vec<_> =
        hierarchies.list().iter().filter(|h| h.freezes()).map(Hierarchy::base).collect();
    if bases.iter().any(|base| base.is_ok()) {
        return Ok(());
    }
    let why = bases.into_iter().find_map(|base| base.as_ref().err());
    Err(why.cloned().unwrap_or_else(|| CgroupError::NoFreezer.to_string()))
}

/// Stops everything in the groups until [`thaw`].
///
/// # Errors
/// If this host cannot, or the kernel refuses.
pub fn freeze(folders: &[PathBuf]) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    if let Some(folder) = folders.iter().find(|folder| folder.join("cgroup.freeze").exists()) {
        let folder = &super::inside(folder);
        write(&folder.join("cgroup.freeze"), "1")?;
        let path = folder.join("cgroup.events");
        let open = || {
            fs::File::open(&path).map_err(|source| CgroupError::Io {
                what: "open",
                path: path.clone(),
                source,
            })
        };
        let events = open()?;
        // The first read arms the notice of the next change.
        while !rest(&events)?.contains("frozen 1") {
            if Instant::now() >= until {
                return Err(CgroupError::Stay {
                    path: folder.clone(),
                    processes: processes(folder),
                });
            }
            wait_for(&events, PollFlags::PRI, until);
        }
        return Ok(());
    }
    let state = freezer(folders).ok_or(CgroupError::NoFreezer)?;
    write(&state, "FROZEN")?;
    // The kernel brings the state up to date when it is read.
    while read(&state)?.trim() != "FROZEN" {
        if Instant::now() >= until {
            return Err(CgroupError::Stay { path: state, processes: Vec::new() });
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Lets everything in the groups go on.
///
/// # Errors
/// If this host cannot, or the kernel refuses.
pub fn thaw(folders: &[PathBuf]) -> Result<()> {
    if !folders.iter().any(|folder| folder.join("cgroup.freeze").exists())
        && freezer(folders).is_none()
    {
        return Err(CgroupError::NoFreezer);
    }
    folders.iter().try_for_each(|folder| thaw_one(folder))
}

/// The folders of the group `name` that are there, whoever is still inside.
pub fn folders(name: &str) -> Vec<PathBuf> {
    let hierarchies = Hierarchies::of_host();
    let ours = hierarchies.iter().flat_map(Hierarchies::list).filter_map(Hierarchy::ours);
    ours.map(|ours| ours.join(name)).filter(|folder| folder.is_dir()).collect()
}

/// Our groups whose name begins with `prefix` and that have no process. One that is just being made has none either:
/// the caller knows which names it is using.
pub fn leftovers(prefix: &str) -> Vec<PathBuf> {
    Hierarchies::of_host().map(|hierarchies| leftovers_in(&hierarchies, prefix)).unwrap_or_default()
}

fn leftovers_in(hierarchies: &Hierarchies, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for ours in hierarchies.list().iter().filter_map(Hierarchy::ours) {
        let Ok(entries) = fs::read_dir(ours) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_group
                && entry.file_name().to_string_lossy().starts_with(prefix)
                && everything(&path).is_empty()
            {
                found.push(path);
            }
        }
    }
    found
}

/// A mistake here would end every process of the host, so only what we made is touched.
fn ours(folder: &Path) -> Result<()> {
    let plain = folder.is_absolute()
        && !folder.components().any(|part| part == std::path::Component::ParentDir);
    if plain && folder.parent().and_then(Path::file_name).is_some_and(|name| name == OURS) {
        return Ok(());
    }
    Err(CgroupError::NotOurs(folder.to_owned()))
}

fn everything(folder: &Path) -> Vec<i32> {
    tree(folder).iter().flat_map(|group| processes(group)).collect()
}

fn freezer(folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join("freezer.state")).find(|state| state.exists())
}

fn thaw_one(folder: &Path) -> Result<()> {
    let second = super::inside(folder).join("cgroup.freeze");
    for (path, value) in [(folder.join("freezer.state"), "THAWED"), (second, "0")] {
        if path.exists() {
            write(&path, value)?;
        }
    }
    Ok(())
}

fn remove_folder(group: &Path, until: Instant) -> Result<()> {
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // v1 tells nobody when the last process has left, and a process that is gone from the list may still be
            // on its way out.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                std::thread::yield_now();
            }
            Err(source) => {
                return Err(CgroupError::Io {
                    what: "remove the cgroup",
                    path: group.to_owned(),
                    source,
                });
            }
        }
    }
}

fn rest(file: &fs::File) -> Result<String> {
    use std::io::{Read, Seek};
    let mut text = String::new();
    let mut file = file;
    file.rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .map_err(|source| CgroupError::Io { what: "read", path: "cgroup.events".into(), source })?;
    Ok(text)
}

/// Waits until the file says so, or the time is over.
fn wait_for(file: &impl std::os::fd::AsFd, what: PollFlags, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    if let Ok(left) = Timespec::try_from(left) {
        // Interrupted or not: the caller looks again.
        let _ = poll(&mut [PollFd::new(file, what)], Some(&left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_never_touched() {
        for path in [
            "/sys/fs/cgroup/memory",
            "/sys/fs/cgroup/stead",
            "/sys/fs/cgroup/stead/..",
            "stead/x",
            "/",
        ] {
            assert!(matches!(ours(Path::new(path)), Err(CgroupError::NotOurs(_))), "{path}");
        }
        ours(Path::new("/sys/fs/cgroup/memory/stead/x")).unwrap();
    }

    #[test]
    fn leftovers_are_our_groups_without_processes() {
        let root = tempfile::tempdir().unwrap();
        let mount = root.path().join("pids");
        for (name, content) in [("a-1", ""), ("a-2", "77\n"), ("b-1", "")] {
            let folder = mount.join(OURS).join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cgroup.procs"), content).unwrap();
        }
        assert_eq!(leftovers_in(&Hierarchies::at(root.path()), "a-"), [mount.join("stead/a-1")]);
    }
}
