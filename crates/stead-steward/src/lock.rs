//! One steward for the sessions of one data folder, whatever runtime folder each caller has.

use crate::StewardError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use stead_hold::folder::Places;
use stead_hold::trust::distrust;

/// Held for as long as this steward is the one. The kernel lets go of it however the steward ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Lets go in words: a child between fork and exec still has the descriptor, and would keep the lock.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Makes the folders and takes the lock in the data folder: it must not go with a runtime folder that is removed.
    ///
    /// # Errors
    /// [`StewardError::Runs`] if another steward holds it; [`StewardError::Place`] if the runtime folder
    /// belongs to somebody else or is open to others.
    pub fn take(places: &Places) -> Result<Self, StewardError> {
        places.create()?;
        trusted(&places.runtime)?;
        let path = places.data.join("steward.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StewardError::io(format!("open {}", path.display())))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(StewardError::Runs(pid.trim().parse().ok()));
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        // The process number is a courtesy to the next steward; a full disk must not stop this one.
        drop(written);
        Ok(Lock { file })
    }
}

/// Checks that nobody else can put a socket into the runtime folder.
fn trusted(path: &Path) -> Result<(), StewardError> {
    match distrust(path).map_err(StewardError::io(format!("read {}", path.display())))? {
        None => Ok(()),
        Some(why) => Err(StewardError::Place { path: path.to_owned(), why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn places(dir: &Path) -> Places {
        Places { data: dir.join("data"), runtime: dir.join("run"), config: dir.join("config") }
    }

    #[test]
    fn the_second_steward_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let first = Lock::take(&places).unwrap();
        let error = Lock::take(&places).unwrap_err();
        assert!(matches!(error, StewardError::Runs(Some(pid)) if pid == std::process::id() as i32));
        drop(first);
        Lock::take(&places).unwrap();
    }

    #[test]
    fn an_open_runtime_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        places.create().unwrap();
        std::fs::set_permissions(&places.runtime, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Lock::take(&places).unwrap_err().to_string();
        assert!(error.contains("open to others (mode 755)"), "{error}");
    }
}
