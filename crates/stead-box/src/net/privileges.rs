//! Giving up what the process does not need once everything is there.

use super::sys;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;
use std::path::{Path, PathBuf};

/// Becomes a user of an own user namespace, who is root there and nobody else outside. For one thread only.
pub fn own_users() -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    sys::unshare(rustix::thread::UnshareFlags::NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// No more files than the run folder's and the name servers' list, and no program with more rights; for this thread.
/// Whether the kernel can close files.
pub fn close_files(run: &Path) -> io::Result<bool> {
    rustix::thread::set_no_new_privs(true)?;
    // The list of name servers is often a link into /run; its folder, since the file is replaced when it changes.
    let list = std::fs::canonicalize("/etc/resolv.conf").ok();
    let folder = list.as_deref().and_then(Path::parent).map(PathBuf::from);
    let mut readable = vec![Path::new("/etc")];
    readable.extend(folder.as_deref());
    sys::close_files(&[run], &readable)
}

/// Has the kernel end others first when the sandbox's memory is used up. Only root may; an ordinary user's process is small.
pub fn be_spared() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "-500");
}

/// No capability, for this thread.
pub fn drop_capabilities() -> io::Result<()> {
    for number in 0..64 {
        if rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(
            1 << number,
        ))
        .is_err()
        {
            break;
        }
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}
