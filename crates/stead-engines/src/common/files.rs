//! Small files of the engine: read strictly, replaced as a whole.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use stead_machine::EngineError;
use stead_machine::files::replace;
pub use stead_machine::files::{Sync, beside, sync_soon};

/// An error of this file system, with what was tried.
pub fn failed(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> EngineError {
    move |e| EngineError::Failed(format!("{what}: {e}"))
}

/// Reads a JSON file; `None` if it is not there.
///
/// # Errors
/// If it is there and cannot be read: that is not "not there".
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(EngineError::Unreachable(format!("read {}: {e}", path.display()))),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| EngineError::Unreachable(format!("{} is damaged: {e}", path.display())))
}

/// Replaces a JSON file as a whole (mode 0600), also under kill -9.
///
/// # Errors
/// If it cannot be written; it is as it was then.
pub fn write(path: &Path, value: &impl Serialize, sync: Sync) -> Result<(), EngineError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| EngineError::Failed(format!("write {}: {e}", path.display())))?;
    text.push(b'\n');
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    replace(path, &text, sync).map_err(|e| EngineError::Failed(e.to_string()))
}

/// Waits until everything that was written to the file system of a folder is on disk.
///
/// # Errors
/// If something could not be written.
pub fn settle(folder: &Path) -> Result<(), EngineError> {
    let what = || format!("write out {}", folder.display());
    let open = std::fs::File::open(folder).map_err(failed(what()))?;
    rustix::fs::syncfs(&open).map_err(|e| failed(what())(e.into()))
}

/// Makes a private folder and those above it; one that is there is no error.
///
/// # Errors
/// If it cannot be made.
pub fn make(path: &Path) -> Result<(), EngineError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(format!("make {}", path.display())))
}

/// Removes a folder with all that is in it, also what its owner may not enter (an overlay's work folder).
/// One that is not there is no error.
///
/// # Errors
/// If something in it cannot be removed.
pub fn remove(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => open_up(path),
    }
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(failed(format!("remove {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

/// Gives the owner the right to enter and empty every folder below.
fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(failed(format!("remove {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

/// The names of the entries of a folder, in order; none if it is not there.
///
/// # Errors
/// If it cannot be read.
pub fn names(folder: &Path) -> Result<Vec<String>, EngineError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(EngineError::Unreachable(format!("read {}: {e}", folder.display()))),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry
            .map_err(|e| EngineError::Unreachable(format!("read {}: {e}", folder.display())))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
