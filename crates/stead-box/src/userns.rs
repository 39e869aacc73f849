//! The user namespace of a sandbox, made before anybody is in it.

use crate::failure::{BoxError, Result, Tried};
use crate::share::Share;
use crate::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::{
    CapabilitiesSecureBits, Uid, capabilities_secure_bits, set_capabilities_secure_bits,
    set_thread_res_uid,
};
use std::io::{PipeWriter, Read, Write, pipe};

/// How many ids a sandbox has when it has a range.
const IDS: u32 = 65536;

/// Makes a user namespace in which the ids from 0 on are `first` and following outside. It is `first`'s: what is used
/// in it counts for that id, and not for root, who makes it. For a process of one thread.
pub fn make(first: u32) -> Result<OwnedFd> {
    let as_root = |done: rustix::io::Result<()>| done.tried(|| format!("the id {first}"));
    let before = capabilities_secure_bits().tried(|| "keeping capabilities")?;
    set_capabilities_secure_bits(before | CapabilitiesSecureBits::NO_SETUID_FIXUP)
        .tried(|| "keeping capabilities")?;
    as_root(set_thread_res_uid(Uid::ROOT, Uid::from_raw(first), Uid::ROOT))?;
    let helper = Helper::start(|| true);
    as_root(set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))?;
    set_capabilities_secure_bits(before).tried(|| "keeping capabilities")?;
    helper?.hand_over(|pid| name(pid, first, IDS)).map(|(users, _)| users)
}

/// Makes a user namespace in which there is only the root of the present one. Also whether it is limited to `share`.
pub fn make_alone(share: &Share) -> Result<(OwnedFd, bool)> {
    Helper::start(|| share.take().is_ok())?.hand_over(|pid| name(pid, 0, 1))
}

/// Makes a user namespace that shifts one user and one group to `outside`, for a mount.
pub fn one(uid: u32, gid: u32, outside: u32) -> Result<OwnedFd> {
    let map = |pid| {
        write(pid, "setgroups", "deny")?;
        write(pid, "uid_map", &format!("{uid} {outside} 1\n"))?;
        write(pid, "gid_map", &format!("{gid} {outside} 1\n"))
    };
    Helper::start(|| true)?.hand_over(map).map(|(users, _)| users)
}

/// A process that holds a new user namespace open until there is a handle on it.
struct Helper {
    process: sys::Cloned,
    go: PipeWriter,
}

impl Helper {
    /// Starts it; the first that it does is `first`.
    fn start(first: impl FnOnce() -> bool) -> Result<Self> {
        let (mut wait, go) = pipe().tried(|| "a pipe")?;
        let cloned = sys::clone(sys::CLONE_NEWUSER, None).tried(
            || "a user namespace (is user.max_user_namespaces 0, or are they forbidden here?)",
        )?;
        let Some(process) = cloned else {
            // Until its other end has what it wants, or is gone.
            drop(go);
            let done = first();
            let _ = wait.read(&mut [0]);
            sys::leave(i32::from(!done));
        };
        Ok(Helper { process, go })
    }

    /// Has the ids of the namespace named, and ends the process. The namespace, and whether what it did first succeeded.
    fn hand_over(self, map: impl FnOnce(i32) -> Result<()>) -> Result<(OwnedFd, bool)> {
        let Helper { process, go } = self;
        let made = map(process.pid).and_then(|()| {
            let path = format!("/proc/{}/ns/user", process.pid);
            openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(|| path)
        });
        drop(go);
        let _ = crate::process::wait_end(process.pidfd.as_fd(), None);
        let status = crate::kernel::reap(process.pid);
        let done = status.is_some_and(|status| status.exit_status() == Some(0));
        made.map(|users| (users, done))
    }
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
