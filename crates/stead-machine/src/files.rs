//! Files that are whole after a kill at any instant.

use crate::Error;
use crate::instants::instant;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// Makes a folder for this user only, with those above it.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::io("make", path, &e))
}

/// Opens a file for appending, for this user only; made if it is not there.
pub(crate) fn open_append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

/// When a file is to be on disk, for a power cut. A kill of the program takes nothing that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before anything else is done.
    Now,
    /// Whenever the system does it, or [`sync_soon`].
    Later,
}

/// Where a file is written before it is put in place. A program that is killed leaves it.
pub fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    beside.into()
}

/// Writes a whole file beside the old one and puts it in its place. One writer at a time; what a killed one left is
/// written over.
///
/// # Errors
/// If it cannot be written; the old one is as it was then.
pub fn replace(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), Error> {
    let beside = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        if sync == Sync::Now {
            file.sync_data()?;
        }
        instant();
        std::fs::rename(&beside, path)?;
        if sync == Sync::Now {
            sync_folder_of(path)?;
        }
        instant();
        Ok(())
    };
    write().map_err(|e| {
        // A full disk is no fuller for it.
        let _ = std::fs::remove_file(&beside);
        Error::io("write", path, &e)
    })
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Has a file put on disk by a thread that waits for the disk, so that nobody else does.
pub fn sync_soon(path: PathBuf) {
    static THREAD: OnceLock<Option<Sender<PathBuf>>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (send, receive) = channel::<PathBuf>();
        let work = move || {
            for path in receive {
                // What cannot be synced now, the system writes later; it may be gone again.
                let _ = File::open(&path)
                    .and_then(|file| file.sync_data())
                    .and_then(|()| sync_folder_of(&path));
            }
        };
        std::thread::Builder::new().name("disk".into()).spawn(work).ok().map(|_| send)
    });
    if let Some(thread) = thread {
        let _ = thread.send(path);
    }
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, &e)),
        _ => Ok(()),
    }
}
