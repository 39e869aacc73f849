//! Small things asked of the kernel in more than one place.

use crate::failure::{Result, Tried};
use rustix::process::{
    DumpableBehavior, Pid, WaitOptions, WaitStatus, set_dumpable_behavior, waitpid,
};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Takes the status of a child that has ended.
pub fn reap(pid: i32) -> Option<WaitStatus> {
    loop {
        match waitpid(Pid::from_raw(pid), WaitOptions::empty()) {
            Ok(found) => return found.map(|(_, status)| status),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Keeps everybody inside from looking into this process.
pub fn hide_self() -> Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried(|| "PR_SET_DUMPABLE")
}

/// Becomes root of the user namespace that was just joined. `range`: whether it has more ids than one.
pub fn become_root(range: bool) -> Result<()> {
    if range {
        set_thread_groups(&[]).tried(|| "setgroups")?;
    }
    let (gid, uid) = (Gid::ROOT, Uid::ROOT);
    set_thread_res_gid(gid, gid, gid).tried(|| "setresgid")?;
    set_thread_res_uid(uid, uid, uid).tried(|| "setresuid")
}
