//! Disks that stand still for a moment, so that what the host copies of them is whole.

use crate::failure::{Result, Tried};
use crate::guest::{PERSIST, say};
use crate::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// After how long everybody may write again, whatever the host does.
const LIMIT: Duration = Duration::from_secs(30);

/// What is frozen, and how often anything was.
#[derive(Default)]
pub struct Frozen {
    now: Mutex<(Vec<OwnedFd>, u64)>,
    changed: Condvar,
}

impl Frozen {
    /// Writes everything to the disks and lets nobody write.
    pub fn freeze(&'static self) -> Result<()> {
        rustix::fs::sync();
        let mut now = self.now.lock().expect("nobody fails with it");
        if !now.0.is_empty() {
            return Ok(());
        }
        let mut frozen = Vec::new();
        for path in ["/", PERSIST] {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let Ok(folder) = open(path, flags, Mode::empty()) else { continue };
            match sys::freeze(folder.as_fd()) {
                Ok(()) => frozen.push(folder),
                // It is no disk (a root in memory, a folder in one), or it is frozen already.
                Err(e)
                    if matches!(
                        e.raw_os_error(),
                        Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EBUSY)
                    ) => {}
                Err(e) => {
                    thaw(&mut frozen);
                    return Err(e).tried(|| format!("freezing {path}"));
                }
            }
        }
        now.0 = frozen;
        now.1 += 1;
        let turn = now.1;
        drop(now);
        std::thread::spawn(move || self.thaw_late(turn));
        Ok(())
    }

    /// Lets everybody write again.
    pub fn thaw(&self) {
        let mut now = self.now.lock().expect("nobody fails with it");
        thaw(&mut now.0);
        now.1 += 1;
        self.changed.notify_all();
    }

    fn thaw_late(&self, turn: u64) {
        let now = self.now.lock().expect("nobody fails with it");
        let waited = self.changed.wait_timeout_while(now, LIMIT, |now| now.1 == turn);
        let (mut now, waited) = waited.expect("nobody fails with it");
        if waited.timed_out() && now.1 == turn {
            thaw(&mut now.0);
            drop(now);
            say("the disks were not thawed in time, and are now");
        }
    }
}

fn thaw(frozen: &mut Vec<OwnedFd>) {
    for folder in frozen.drain(..).rev() {
        let _ = sys::thaw(folder.as_fd());
    }
}

/// Lets everybody write who was kept from it by one who is there no more.
pub fn thaw_others() {
    for path in ["/", PERSIST] {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(folder) = open(path, flags, Mode::empty()) {
            let _ = sys::thaw(folder.as_fd());
        }
    }
}
