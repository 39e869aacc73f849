//! Changes in folders, told by the kernel.

use crate::waitable::waitable;
use rustix::fs::inotify;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

pub use rustix::fs::inotify::{ReadFlags, WatchFlags};

/// What happened in a watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The watch, as [`Folders::watch`] numbered it; -1 when the kernel dropped changes.
    pub watch: i32,
    /// What happened.
    pub what: ReadFlags,
    /// The entry it happened to; empty for the folder itself.
    pub name: String,
}

impl Change {
    /// Whether changes were lost or the watch is no more, so that everything must be looked at again.
    pub fn blind(&self) -> bool {
        self.what.intersects(
            ReadFlags::QUEUE_OVERFLOW
                | ReadFlags::IGNORED
                | ReadFlags::UNMOUNT
                | ReadFlags::DELETE_SELF
                | ReadFlags::MOVE_SELF,
        )
    }
}

/// A set of watched folders.
#[derive(Debug)]
pub struct Folders {
    fd: AsyncFd<OwnedFd>,
}

impl Folders {
    /// Watches nothing yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If the kernel gives no more inotify instances.
    pub fn new() -> io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        Ok(Folders { fd: waitable(fd)? })
    }

    /// Watches a folder; again, if it was watched before. Returns the watch's number.
    ///
    /// # Errors
    /// If the folder is not there or the kernel gives no more watches.
    pub fn watch(&self, path: &Path, what: WatchFlags) -> io::Result<i32> {
        Ok(inotify::add_watch(self.fd.get_ref(), path, what)?)
    }

    /// Waits for the next changes.
    ///
    /// # Errors
    /// If the kernel's queue cannot be read.
    pub async fn next(&self) -> io::Result<Vec<Change>> {
        loop {
            let mut ready = self.fd.readable().await?;
            let mut buf = [MaybeUninit::uninit(); 4096];
            let mut changes = Vec::new();
            let mut reader = inotify::Reader::new(self.fd.get_ref(), &mut buf);
            loop {
                match reader.next() {
                    Ok(event) => changes.push(Change {
                        watch: event.wd(),
                        what: event.events(),
                        name: event
                            .file_name()
                            .map(|name| name.to_string_lossy().into_owned())
                            .unwrap_or_default(),
                    }),
                    Err(rustix::io::Errno::AGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}
