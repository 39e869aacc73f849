//! Locks that end with the process that holds them.

use crate::Error;
use rustix::fs::{FlockOperation, flock, fstat, stat};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A lock that is held. Letting it go removes its file, so that nothing is left of it.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held: whoever waits for it sees that its file is gone, and opens another.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Lock {
    /// Waits until nobody holds it, in this process or another.
    pub(crate) fn wait(path: &Path) -> Result<Lock, Error> {
        Ok(Lock { path: path.to_owned(), _file: lock_file(path)? })
    }

    /// As [`Lock::wait`], on a thread of its own, so that no thread of the runtime waits. A program may end while it does.
    pub(crate) async fn taken(path: PathBuf) -> Result<Lock, Error> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let at = path.clone();
        std::thread::Builder::new()
            .name("lock".into())
            .spawn(move || {
                // Nobody there to take it any more: it is let go.
                let _ = send.send(Lock::wait(&at));
            })
            .map_err(|e| Error::io("lock", &path, &e))?;
        receive.await.unwrap_or_else(|_| {
            Err(Error::io("lock", &path, &std::io::Error::other("the thread that waited is gone")))
        })
    }
}

/// Opens a file for appending and waits for its lock, which holds until the file is closed. It is the file that lies
/// there, not one that was removed meanwhile.
pub(crate) fn lock_file(path: &Path) -> Result<File, Error> {
    loop {
        let file = crate::files::open_append(path).map_err(|e| Error::io("open", path, &e))?;
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(Error::io("lock", path, &e.into())),
        }
        if still_there(&file, path) {
            return Ok(file);
        }
    }
}

/// Takes a lock on an open file if nobody has it. It holds until the file is closed.
pub(crate) fn try_lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn still_there(file: &File, path: &Path) -> bool {
    match (fstat(file), stat(path)) {
        (Ok(ours), Ok(there)) => ours.st_ino == there.st_ino && ours.st_dev == there.st_dev,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn one_at_a_time_and_nothing_left() {
        static INSIDE: AtomicBool = AtomicBool::new(false);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = Lock::wait(&path).unwrap();
                        assert!(!INSIDE.swap(true, Ordering::SeqCst), "two inside");
                        std::thread::yield_now();
                        INSIDE.store(false, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
