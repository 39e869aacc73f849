//! Folders, files and sockets of this host that appear inside.

use crate::failure::{BoxError, Result, Tried};
use crate::inside;
use crate::mounts::{self, NODEV, NOSUID, RO};
use crate::spec::Bind;
use crate::userns;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::path::{Component, Path, PathBuf};

/// A mount that is ready to be put in its place inside.
pub struct Ready {
    mount: OwnedFd,
    inside: PathBuf,
    folder: bool,
}

/// Takes what `bind` names on this host, while this host can still be seen. `shift`: how ids are shifted if it asks
/// for that; `None` where root inside is already the one who starts the sandbox.
pub fn take(bind: &Bind, shift: Option<&OwnedFd>, first: u32) -> Result<Ready> {
    let inside = &bind.inside;
    let proper = inside.is_absolute()
        && inside.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
        && inside != Path::new("/")
        && !["/proc", "/sys"].iter().any(|p| inside.starts_with(p));
    if !proper {
        return Err(BoxError::refused(format!(
            "{}: a bind needs an absolute path inside, without `..`, not `/` and not in /proc or /sys",
            inside.display()
        )));
    }
    // Whoever may write above it could have put a link in its place that leads anywhere.
    let file = real(&bind.host)?;
    let about = fstat(&file).tried(|| bind.host.display())?;
    let folder = FileType::from_raw_mode(about.st_mode).is_dir();
    let mount = mounts::whole_tree_at(&file).tried(|| bind.host.display())?;
    let attributes = NOSUID | NODEV | if bind.writable { 0 } else { RO };
    let shift = shift.filter(|_| bind.shifted);
    // Root inside is the folder's owner on disk, so that no program made inside is another's outside.
    let owner = match shift {
        Some(_) if about.st_uid != 0 => Some(userns::one(about.st_uid, about.st_gid, first)?),
        _ => None,
    };
    mounts::restrict(&mount, attributes, owner.as_ref().or(shift), true, &bind.host)?;
    Ok(Ready { mount, inside: inside.clone(), folder })
}

/// A file of this host by a path with no symbolic link in it.
pub fn real(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(|e| match e {
        Errno::LOOP => BoxError::refused(format!(
            "{}: there is a symbolic link in this path: name the real one",
            path.display()
        )),
        e => BoxError::Io { what: path.display().to_string(), source: e.into() },
    })
}

impl Ready {
    /// Puts it in its place below `root`.
    pub fn put(&self, root: BorrowedFd<'_>) -> Result<()> {
        let place = if self.folder {
            inside::folder(root, &self.inside, 0o755)?
        } else {
            inside::file(root, &self.inside)?
        };
        mounts::put(&self.mount, &place).tried(|| format!("{} inside", self.inside.display()))
    }
}
