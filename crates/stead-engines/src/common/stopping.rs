//! Machines that are being stopped: what has been told to end may still be there for a while when the program that told it
//! is killed, and is not to be taken for a machine that runs.

use super::files::{self, Sync};
use super::running::{lives, started};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use stead_machine::EngineError;

/// Who stops it.
#[derive(Serialize, Deserialize)]
struct Mark {
    owner: i32,
    owner_start: u64,
}

/// Puts down that this program stops the sandbox whose run folder this is. The mark goes with the folder.
///
/// # Errors
/// If it cannot be written.
pub fn mark(run: &Path) -> Result<(), EngineError> {
    let owner = std::process::id().cast_signed();
    let owner_start = started(owner)?.unwrap_or_default();
    files::write(&path(run), &Mark { owner, owner_start }, Sync::Later)
}

/// Whether somebody began to stop it.
pub fn was_begun(run: &Path) -> bool {
    path(run).exists()
}

/// Whether whoever stops it is gone.
///
/// # Errors
/// If that cannot be told.
pub fn was_cut_short(run: &Path) -> Result<bool, EngineError> {
    match files::read::<Mark>(&path(run))? {
        Some(mark) => Ok(!lives(mark.owner, mark.owner_start)?),
        None => Ok(false),
    }
}

fn path(run: &Path) -> PathBuf {
    run.join("stopping.json")
}
