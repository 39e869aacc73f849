//! Cgroups below the one of a sandbox, which containers inside make for themselves.

use super::{CgroupError, OURS, Result, hierarchy, seats};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// What the owner of a group may write: where processes are and what its children may use, and no limit. As the
/// kernel's documentation of cgroup v2 has it under "Delegation".
const DELEGATED: [&str; 4] = ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];

/// Lets this user (and group) make groups below where everybody inside sits, in the version 2 group among `folders`.
/// The limits of the group itself stay ours. Whether there is such a group.
///
/// # Errors
/// If the kernel refuses.
pub fn hand_over(folders: &[PathBuf], owner: u32) -> Result<bool> {
    let Some(folder) = folders.iter().find(|folder| is_second(folder)) else { return Ok(false) };
    hierarchy::hand_down(folder)?;
    let folder = seats::inside(folder);
    // While there is room for it.
    hierarchy::make_folder(&folder.join(OURS))?;
    for name in DELEGATED {
        let path = if name.is_empty() { folder.clone() } else { folder.join(name) };
        chown(&path, Some(owner), Some(owner)).map_err(|source| CgroupError::Io {
            what: "hand over",
            path,
            source,
        })?;
    }
    Ok(true)
}

/// Where in this version 2 group processes may be: in itself, or in a child once somebody inside has given controllers
/// to its children. The kernel wants that.
pub fn habitable(folder: &Path) -> PathBuf {
    let divided =
        fs::read(folder.join("cgroup.subtree_control")).is_ok_and(|text| !text.is_empty());
    let child = folder.join(OURS);
    if divided && (child.is_dir() || fs::create_dir(&child).is_ok()) {
        child
    } else {
        folder.to_owned()
    }
}

fn is_second(folder: &Path) -> bool {
    folder.join("cgroup.subtree_control").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_go_into_a_child_once_the_children_have_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let control = folder.path().join("cgroup.subtree_control");
        fs::write(&control, "").unwrap();
        assert_eq!(habitable(folder.path()), folder.path());
        fs::write(&control, "memory pids\n").unwrap();
        let child = folder.path().join(OURS);
        assert_eq!(habitable(folder.path()), child);
        assert!(child.is_dir());
        assert_eq!(habitable(folder.path()), child, "the second time it is there");
    }
}
