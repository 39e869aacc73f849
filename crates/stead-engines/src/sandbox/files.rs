//! Small files of the engine: read strictly, replaced as a whole.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use stead_machine::EngineError;

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
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), EngineError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| EngineError::Failed(format!("write {}: {e}", path.display())))?;
    text.push(b'\n');
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    let beside = path.with_extension("next");
    let replace = || -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&text)?;
        std::fs::rename(&beside, path)
    };
    replace().map_err(|e| {
        // A full disk is no fuller for it.
        let _ = std::fs::remove_file(&beside);
        failed(format!("write {}", path.display()))(e)
    })
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
