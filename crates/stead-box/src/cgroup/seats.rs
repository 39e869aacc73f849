//! Who of a sandbox sits where in its version 2 group. The process that serves the network sits in the group itself, and
//! everybody inside below it: all count for the limits, and those inside can be made to stand still alone. Where containers
//! inside are to have controllers, the kernel wants nobody in the group itself, and the process is moved beside them.

use super::hierarchy::make_folder;
use super::{Result, write};
use std::path::{Path, PathBuf};

/// Below the group: everybody inside.
const INSIDE: &str = "inside";

/// So many groups may be made inside, so that nobody fills the kernel's memory with them.
const MOST: u32 = 1001;
/// So deep may they lie: with names of 255 bytes each, a path to the deepest is one that the kernel takes.
const DEEPEST: u32 = 12;

/// Makes the seat below a version 2 group; in version 1 groups all sit together. What bounds the groups that are made
/// inside is written above the seat, where nobody inside sees it.
pub(super) fn make(folder: &Path) -> Result<()> {
    for (file, bound) in [("cgroup.max.descendants", MOST), ("cgroup.max.depth", DEEPEST)] {
        let path = folder.join(file);
        if path.exists() {
            write(&path, &bound.to_string())?;
        }
    }
    make_folder(&folder.join(INSIDE))
}

/// Where everybody inside sits.
pub fn inside(folder: &Path) -> PathBuf {
    let seat = folder.join(INSIDE);
    if seat.is_dir() { seat } else { folder.to_owned() }
}

/// Where the process sits that serves the network. `None`: not in this group, because it freezes whoever is in it.
pub fn net(folder: &Path) -> Option<PathBuf> {
    (!folder.join("freezer.state").exists()).then(|| folder.to_owned())
}

/// Whether the kernel's path `found` is of somebody inside the group with the path `wanted`.
pub(super) fn is_inside(found: &str, wanted: &str) -> bool {
    found == wanted || Path::new(found) == Path::new(wanted).join(INSIDE)
}
