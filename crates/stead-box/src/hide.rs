//! What of this host a sandbox does not see: a layer that covers every secret.
//!
//! The layer goes directly above the view of this host's `/` in an overlay. It is made of whiteouts (nothing is
//! there), opaque folders (nothing is in there but what the layer has) and files made anew. [`rules::RULES`] lists
//! what is *shown*; everything else is not, and within what is shown, whatever the host itself does not let everybody
//! read is covered too ([`walk`]). `docs/sandbox-hides.md` says it to people.
//!
//! A layer never changes once it is there: its name is a digest of what it covers, so sandboxes go on with the one
//! that they were started with while later ones get another.

mod build;
pub mod rules;
mod walk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a layer stays after it was last handed out, although nobody is known to use it: whoever got it may be
/// about to.
const GRACE: Duration = Duration::from_mins(10);
/// The file beside the layer whose time says when it was handed out.
const STAMP: &str = "used";
/// The layer's own folder.
const LAYER: &str = "layer";
/// What the names of unfinished layers begin with.
const UNFINISHED: &str = ".new-";

/// Which host is covered, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its root.
    pub root: PathBuf,
    /// Whether the overlay is mounted with `userxattr`, as an ordinary user has to.
    pub userxattr: bool,
}

/// A layer that covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// Its folder, to be put directly above the host's `/`. Ids in it are as on the host.
    pub path: PathBuf,
    /// What is hidden against expectation, a line each.
    pub notes: Vec<String>,
}

/// Why there is no cover. Nothing of the host may be shown then.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {what} {path}: {source}; without a cover this host's secrets would be seen, so nothing is started"
)]
pub struct HideError {
    /// What was tried.
    pub what: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl HideError {
    fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { what, path: path.to_owned(), source }
    }
}

/// Looks at the host as it is now, and gives the layer that covers it: one that is in `folder` already if nothing has
/// changed. May be called by several at once.
///
/// `folder` must not be on the file system of the host's `/`, if the overlay is made over `/` as a whole: the kernel
/// refuses layers of which one is inside another.
///
/// # Errors
/// If the host's root or `folder` cannot be used. What cannot be looked at within the host is hidden.
pub fn cover(folder: &Path, host: &Host) -> Result<Cover, HideError> {
    let found = walk::walk(&host.root)?;
    let notes = found.notes.clone();
    let home = folder.join(found.digest(host.userxattr));
    let path = home.join(LAYER);
    if !path.is_dir() {
        build::build(folder, &home, &found, host.userxattr)?;
    }
    let stamp = home.join(STAMP);
    // Also renews the time of one that is there.
    fs::File::create(&stamp)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .map_err(HideError::at("write", &stamp))?;
    Ok(Cover { path, notes })
}

/// Removes the layers in `folder` that are not among `in_use`, were not handed out in the last ten minutes, and what
/// is left of those whose making was cut off.
///
/// # Errors
/// If the folder cannot be read or something in it cannot be removed.
pub fn sweep(folder: &Path, in_use: &[PathBuf]) -> Result<(), HideError> {
    sweep_at(folder, in_use, SystemTime::now())
}

/// [`sweep`] as if it were another time.
#[doc(hidden)]
pub fn sweep_at(folder: &Path, in_use: &[PathBuf], now: SystemTime) -> Result<(), HideError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HideError::at("read", folder)(error)),
    };
    for home in entries.flatten().map(|entry| entry.path()) {
        let name = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = name.starts_with(UNFINISHED);
        if in_use.contains(&home.join(LAYER)) || !(unfinished || build::is_digest(&name)) {
            continue;
        }
        let stamp = if unfinished { home.clone() } else { home.join(STAMP) };
        let used = fs::metadata(&stamp).and_then(|meta| meta.modified());
        if used.is_ok_and(|used| now.duration_since(used).unwrap_or_default() < GRACE) {
            continue;
        }
        // First out of the way, so that nobody is handed what is half gone.
        let aside = build::unfinished(folder);
        if fs::rename(&home, &aside).is_ok() {
            fs::remove_dir_all(&aside).map_err(HideError::at("remove", &aside))?;
        }
    }
    Ok(())
}
