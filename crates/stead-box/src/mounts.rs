//! Mounts by file descriptors: nothing is visible anywhere until it is put in its place.

use crate::failure::{Result, Tried};
use crate::sys;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::ffi::CString;
use std::path::Path;

/// Read-only.
pub const RO: u64 = libc::MOUNT_ATTR_RDONLY;
/// Set-user-id has no effect.
pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// Device nodes have no effect.
pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// Nothing can be executed.
pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// A copy of the mount at `path`, whose root is `path`. `deep`: with what is mounted below it.
pub fn tree(path: &Path, deep: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if deep {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).tried(|| path.display())
}

/// As [`tree_at`], with all that is mounted below.
pub fn whole_tree_at(fd: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(fd, "", flags)
}

/// A copy of the mount of an open file, whose root is that file.
pub fn tree_at(fd: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(fd, "", flags)
}

/// Sets attributes of a mount that is not in its place yet, and shifts its ids if asked.
pub fn restrict(
    mount: &OwnedFd,
    attributes: u64,
    shift: Option<&OwnedFd>,
    deep: bool,
    path: &Path,
) -> Result<()> {
    sys::mount_attributes(mount.as_fd(), attributes, None, deep).tried(|| path.display())?;
    if shift.is_some() {
        sys::mount_attributes(mount.as_fd(), 0, shift.map(AsFd::as_fd), deep).tried(|| {
            format!("{}: its file system cannot shift ids (idmapped mounts)", path.display())
        })?;
    }
    Ok(())
}

/// A new file system of `kind`.
pub fn fresh(kind: &str, options: &[(&str, &str)], attributes: u64) -> Result<OwnedFd> {
    let made = || -> rustix::io::Result<OwnedFd> {
        let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            fsconfig_set_string(&fs, *key, *value)?;
        }
        fsconfig_create(&fs)?;
        let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    made().tried(|| format!("a file system {kind}"))
}

/// Puts a mount in its place.
pub fn put(mount: impl AsFd, place: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Puts a mount at `name` in the folder where this process stands.
pub fn put_at(mount: impl AsFd, name: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount, "", CWD, name, flags).tried(|| format!("mounting {name}"))
}

/// Mounts an overlay at `target`. All names are relative to where this process stands.
pub fn overlay(
    lowers: &[String],
    upper: Option<(&str, &str)>,
    target: &str,
    user: bool,
) -> rustix::io::Result<()> {
    let mut options = format!("lowerdir={}", lowers.join(":"));
    if let Some((upper, work)) = upper {
        options += ",upperdir=";
        options += upper;
        options += ",workdir=";
        options += work;
    }
    options += if user { ",userxattr" } else { ",redirect_dir=off" };
    options += ",index=off,metacopy=off";
    let options = CString::new(options).map_err(|_| rustix::io::Errno::INVAL)?;
    let flags = MountFlags::NODEV | MountFlags::NOATIME;
    rustix::mount::mount("overlay", target, "overlay", flags, &*options)
}

/// What is at `path` below `root`, without going through any symbolic link.
pub fn beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how)
}
