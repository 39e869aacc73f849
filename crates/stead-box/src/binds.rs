//! Folders, files and sockets of this host that appear inside.

use crate::failure::{BoxError, Result, Tried};
use crate::inside;
use crate::mounts::{self, NODEV, NOSUID, RO};
use crate::spec::Bind;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// A mount that is ready to be put in its place inside.
pub struct Ready {
    mount: OwnedFd,
    inside: PathBuf,
    folder: bool,
}

/// Takes what `bind` names on this host, while this host can still be seen. `shift`: how ids are shifted if it asks
/// for that; `None` where root inside is already the one who starts the sandbox.
pub fn take(bind: &Bind, shift: Option<&OwnedFd>) -> Result<Ready> {
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
    let folder = std::fs::metadata(&bind.host).tried(|| bind.host.display())?.is_dir();
    let mount = mounts::tree(&bind.host, true)?;
    let attributes = NOSUID | NODEV | if bind.writable { 0 } else { RO };
    let shift = shift.filter(|_| bind.shifted);
    mounts::restrict(&mount, attributes, shift, true, &bind.host)?;
    Ok(Ready { mount, inside: inside.clone(), folder })
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
