//! Disks that stand still for a moment, so that what the host copies of them is whole.

use crate::failure::{Result, Tried, VmError};
use crate::guest::{PERSIST, root, say};
use crate::line::spoken::{Answer, write_line};
use crate::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::Duration;

/// After how long everybody may write again, whatever the host does.
const LIMIT: Duration = Duration::from_secs(30);

/// What is frozen; `None` while nothing is.
#[derive(Default)]
pub struct Frozen(Mutex<Option<Vec<OwnedFd>>>);

impl Frozen {
    /// Has the disks stand still for as long as the host holds the other end of `stream`.
    pub fn hold(&self, stream: &mut UnixStream) {
        // Before anything stands still: what comes after the freeze must not fail.
        let limited = stream.set_read_timeout(Some(LIMIT)).tried(|| "a channel");
        let done = limited.and_then(|()| self.freeze());
        let is_frozen = done.is_ok();
        let told = write_line(stream, &Answer::from(done)).is_ok();
        if !is_frozen {
            return;
        }
        let late = told
            && match stream.read(&mut [0]) {
                Ok(_) => false,
                Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            };
        let was = self.thaw();
        if late {
            say("the disks were not thawed in time, and are now");
        }
        let whole = (was && !late).then_some(());
        let whole = whole.ok_or_else(|| VmError::refused("the disks were thawed before"));
        let _ = write_line(stream, &Answer::from(whole));
    }

    /// Writes everything to the disks and lets nobody write.
    fn freeze(&self) -> Result<()> {
        root::sync();
        let mut now = self.0.lock().expect("nobody fails with it");
        if now.is_some() {
            return Err(VmError::refused("the disks stand still for somebody else"));
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
        *now = Some(frozen);
        Ok(())
    }

    /// Lets everybody write again. Whether anybody was kept from it.
    pub fn thaw(&self) -> bool {
        let frozen = self.0.lock().expect("nobody fails with it").take();
        frozen.map(|mut frozen| thaw(&mut frozen)).is_some()
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
