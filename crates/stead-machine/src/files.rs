//! Files that are whole after a kill at any instant.

use crate::Error;
use crate::instants::instant;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder for this user only, with those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
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

/// Writes a whole file beside the old one and puts it in its place. One writer at a time; what a killed one left is
/// written over. With `sync` it is on disk, too, for a power cut.
pub(crate) fn replace(path: &Path, bytes: &[u8], sync: bool) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(beside)?;
        file.write_all(bytes)?;
        if sync {
            file.sync_data()?;
        }
        instant();
        std::fs::rename(beside, path)?;
        if sync && let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        instant();
        Ok(())
    };
    write().map_err(|e| Error::io("write", path, &e))
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, &e)),
        _ => Ok(()),
    }
}
