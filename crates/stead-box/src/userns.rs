//! The user namespace of a sandbox, made before anybody is in it.

use crate::failure::{BoxError, Result, Tried};
use crate::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::io::{Read, Write, pipe};

/// How many ids a sandbox has when it has a range.
pub const IDS: u32 = 65536;

/// Makes a user namespace in which `count` ids from 0 on are `first` and following outside.
pub fn make(first: u32, count: u32) -> Result<OwnedFd> {
    made(|pid| name(pid, first, count))
}

/// Makes a user namespace that shifts one user and one group to `outside`, for a mount.
pub fn one(uid: u32, gid: u32, outside: u32) -> Result<OwnedFd> {
    made(|pid| {
        write(pid, "setgroups", "deny")?;
        write(pid, "uid_map", &format!("{uid} {outside} 1\n"))?;
        write(pid, "gid_map", &format!("{gid} {outside} 1\n"))
    })
}

fn made(map: impl FnOnce(i32) -> Result<()>) -> Result<OwnedFd> {
    let (mut wait, go) = pipe().tried(|| "a pipe")?;
    let Some(helper) = sys::clone(sys::CLONE_NEWUSER, None).tried(
        || "a user namespace (is user.max_user_namespaces 0, or are they forbidden here?)",
    )?
    else {
        // Holds the namespace open until its other end has a handle on it, or is gone.
        drop(go);
        let _ = wait.read(&mut [0]);
        sys::leave(0);
    };
    let made = map(helper.pid).and_then(|()| {
        let path = format!("/proc/{}/ns/user", helper.pid);
        openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(|| path)
    });
    drop(go);
    let _ = crate::process::wait_end(helper.pidfd.as_fd(), None);
    crate::kernel::reap(helper.pid);
    made
}

/// Says who the ids in the user namespace of process `pid` are.
pub fn name(pid: i32, first: u32, count: u32) -> Result<()> {
    let line = format!("0 {first} {count}\n");
    if count == 1 {
        write(pid, "setgroups", "deny")?;
    }
    write(pid, "uid_map", &line)?;
    write(pid, "gid_map", &line)
}

/// Moves this process into a user namespace in which it is root, and the only one.
pub fn own() -> Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    sys::unshare(sys::CLONE_NEWUSER).tried(
        || "a user namespace (is user.max_user_namespaces 0, or are they forbidden here?)",
    )?;
    let pid = rustix::process::getpid().as_raw_pid();
    write(pid, "setgroups", "deny")?;
    write(pid, "uid_map", &format!("0 {uid} 1\n"))?;
    write(pid, "gid_map", &format!("0 {gid} 1\n"))
}

fn write(pid: i32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|source| BoxError::Io { what: path, source })
}
