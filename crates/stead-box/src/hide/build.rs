//! Makes the layer on disk: beside its place, then renamed.

use super::walk::{Covered, Found, Rights};
use super::{HideError, LAYER, STAMP, UNFINISHED};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes the layer for `found` at `home`, unless somebody else was faster.
pub(super) fn build(
    folder: &Path,
    home: &Path,
    found: &Found,
    userxattr: bool,
) -> Result<(), HideError> {
    fs::create_dir_all(folder).map_err(HideError::at("make", folder))?;
    // The names alone say something about this host.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(HideError::at("close", folder))?;
    let beside = unfinished(folder);
    let done = fill(&beside, found, userxattr).and_then(|()| match fs::rename(&beside, home) {
        Err(_) if home.join(LAYER).is_dir() => Ok(()),
        other => other.map_err(HideError::at("put in place", home)),
    });
    if beside.exists() {
        // It was not needed, or failed: that is the error to report, and `sweep` finds what stays.
        let _ = fs::remove_dir_all(&beside);
    }
    done
}

/// A name for what is not finished, that nobody else uses.
pub(super) fn unfinished(folder: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The time tells apart processes with one number, as in several process namespaces.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{UNFINISHED}{}-{time}-{next}", std::process::id()))
}

/// Whether this is the name of a finished layer.
pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fill(beside: &Path, found: &Found, userxattr: bool) -> Result<(), HideError> {
    fs::create_dir(beside).map_err(HideError::at("make", beside))?;
    let stamp = beside.join(STAMP);
    fs::write(&stamp, "").map_err(HideError::at("write", &stamp))?;
    let layer = beside.join(LAYER);
    let opaque = if userxattr { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
    for (path, covered) in &found.covered {
        // Joining nothing would add a slash.
        let path = if path.as_os_str().is_empty() { layer.clone() } else { layer.join(path) };
        one(&path, covered, opaque).map_err(HideError::at("make", &path))?;
    }
    // Folders get their rights last, as they may not let their owner in.
    for (path, covered) in found.covered.iter().rev() {
        if let Covered::Through(rights) | Covered::Empty(rights) = covered {
            let path = layer.join(path);
            give(&path, *rights).map_err(HideError::at("give away", &path))?;
        }
    }
    Ok(())
}

fn one(path: &Path, covered: &Covered, opaque: &str) -> io::Result<()> {
    match covered {
        Covered::Through(_) => fs::create_dir(path),
        Covered::Empty(_) => {
            fs::create_dir(path)?;
            setxattr(path, opaque, b"y", XattrFlags::empty())?;
            Ok(())
        }
        // The kernel lets anybody make this one device.
        Covered::Gone => Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0)?),
        Covered::File(rights, content) => {
            fs::write(path, content)?;
            give(path, *rights)
        }
    }
}

fn give(path: &Path, rights: Rights) -> io::Result<()> {
    match lchown(path, Some(rights.uid), Some(rights.gid)) {
        // An ordinary user is root inside, and owns what root has.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => other?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(rights.mode))
}
