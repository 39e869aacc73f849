//! This program's own file, so that a process in the sandbox of an ordinary user can be a run of it.
//!
//! Root inside is the owner of the user's files there, and the user must be able to look into the first process to join
//! it, so everybody inside opens `/proc/1/exe`. It is therefore executed once more, from a mount on which nothing can be
//! written, nor rights changed.

use crate::failure::{BoxError, Result, Tried};
use crate::mounts::{self, NODEV, NOSUID, RO};
use crate::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, statat};
use std::path::PathBuf;

/// The word on the command line that has it go on as the first process.
pub const GO_ON: &str = "first";

/// The file, on a mount of its own. Before the host's files are left.
pub fn sealed() -> Result<OwnedFd> {
    let own = "/proc/self/exe";
    let path: PathBuf = std::fs::read_link(own).tried(|| own)?;
    // The mount that it was executed from is not one of this mount namespace.
    let mount = mounts::tree(&path, false)?;
    mounts::restrict(&mount, RO | NODEV | NOSUID, None, false, &path)?;
    let about = |fd, path, flags| statat(fd, path, flags).tried(|| own);
    let running = about(CWD, own, AtFlags::empty())?;
    let found = about(mount.as_fd(), "", AtFlags::EMPTY_PATH)?;
    if (running.st_dev, running.st_ino) != (found.st_dev, found.st_ino) {
        return Err(BoxError::refused(format!(
            "{}: replaced while it was starting a sandbox; start it again",
            path.display()
        )));
    }
    Ok(mount)
}

/// Executes it, with `lifeline` and `launcher` as descriptors 3 and 4. Returns only why not.
pub fn execute(program: &OwnedFd, lifeline: OwnedFd, launcher: OwnedFd) -> std::io::Error {
    let args = [c"stead-box".to_owned(), std::ffi::CString::new(GO_ON).expect("no zero byte")];
    sys::exec_file(program, [lifeline, launcher], &args)
}
