//! Who of a sandbox sits where in its version 2 group: both sorts count for its limits, and one can be frozen alone.

use super::{CgroupError, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Below the group: everybody inside.
const INSIDE: &str = "inside";
/// Below the group: the process that serves the network. Others ask it while everybody inside stands still.
const NET: &str = "net";

/// Makes both below a version 2 group; in version 1 groups all sit together.
pub(super) fn make(folder: &Path) -> Result<()> {
    for seat in [INSIDE, NET] {
        let path = folder.join(seat);
        match fs::create_dir(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::Io { what: "make the cgroup", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where everybody inside sits.
pub fn inside(folder: &Path) -> PathBuf {
    seat(folder, INSIDE)
}

/// Where the process sits that serves the network. `None`: not in this group, because it freezes whoever is in it.
pub fn net(folder: &Path) -> Option<PathBuf> {
    (!folder.join("freezer.state").exists()).then(|| seat(folder, NET))
}

/// Whether the kernel's path `found` is of somebody inside the group with the path `wanted`.
pub(super) fn is_inside(found: &str, wanted: &str) -> bool {
    found == wanted || Path::new(found) == Path::new(wanted).join(INSIDE)
}

fn seat(folder: &Path, name: &str) -> PathBuf {
    let seat = folder.join(name);
    if seat.is_dir() { seat } else { folder.to_owned() }
}
