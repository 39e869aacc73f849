//! Making folders and files in a sandbox's root. No symbolic link in it is ever followed: whoever works inside may
//! have planted it.

use crate::failure::{BoxError, Result, Tried};
use crate::mounts::beneath;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

fn refuse(path: &Path, e: Errno) -> BoxError {
    match e {
        Errno::LOOP => BoxError::refused(format!(
            "{} inside: there is a symbolic link on the way, and none is followed",
            path.display()
        )),
        Errno::NOTDIR => BoxError::refused(format!(
            "{} inside: something on the way is not a folder",
            path.display()
        )),
        e => BoxError::Io { what: format!("{} inside", path.display()), source: e.into() },
    }
}

/// The folder `path` below `root`, made with mode `mode` where it is missing.
pub fn folder(root: BorrowedFd<'_>, path: &Path, mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    match beneath(root, path, flags) {
        Ok(found) => return Ok(found),
        Err(Errno::NOENT) => {}
        Err(e) => return Err(refuse(path, e)),
    }
    let mut at = beneath(root, Path::new("/"), flags).map_err(|e| refuse(path, e))?;
    let mut walked = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                walked.push(name);
                match mkdirat(&at, name, Mode::from_raw_mode(mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(refuse(&walked, e)),
                }
                at = beneath(at.as_fd(), Path::new(name), flags).map_err(|e| refuse(&walked, e))?;
            }
            _ => {
                return Err(BoxError::refused(format!(
                    "{}: `..` is not allowed here",
                    path.display()
                )));
            }
        }
    }
    Ok(at)
}

/// The file (or socket) `path` below `root`; an empty file is made if there is nothing.
pub fn file(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let (parent, name) = split(path)?;
    let parent = folder(root, parent, 0o755)?;
    let make = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&parent, name, make, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(e) => return Err(refuse(path, e)),
    }
    beneath(parent.as_fd(), Path::new(name), OFlags::PATH | OFlags::NOFOLLOW)
        .map_err(|e| refuse(path, e))
}

/// Makes `text` what is in the file `path` below `root`; a symbolic link in its place is replaced.
pub fn write(root: BorrowedFd<'_>, path: &Path, text: &str) -> Result<()> {
    let (parent, name) = split(path)?;
    let parent = folder(root, parent, 0o755)?;
    let parent = beneath(parent.as_fd(), Path::new("."), OFlags::DIRECTORY | OFlags::RDONLY)
        .map_err(|e| refuse(path, e))?;
    if has(&parent, name, text) {
        return Ok(());
    }
    let new = format!(".{}.stead", name.display());
    let _ = unlinkat(&parent, &new, AtFlags::empty());
    let make = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        openat(&parent, &new, make, Mode::from_raw_mode(0o644)).map_err(|e| refuse(path, e))?;
    std::fs::File::from(file).write_all(text.as_bytes()).tried(|| path.display())?;
    renameat(&parent, &new, &parent, name).map_err(|e| refuse(path, e))
}

/// Whether `name` is a plain file with just `text` in it. Anything else is not even opened.
fn has(parent: &OwnedFd, name: &std::ffi::OsStr, text: &str) -> bool {
    let plain = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|s| {
        FileType::from_raw_mode(s.st_mode) == FileType::RegularFile
            && s.st_size == text.len() as i64
            && s.st_mode & 0o7777 == 0o644
    });
    if !plain {
        return false;
    }
    let Ok(fd) = beneath(parent.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK) else {
        return false;
    };
    let mut found = String::new();
    std::fs::File::from(fd).take(text.len() as u64 + 1).read_to_string(&mut found).is_ok()
        && found == text
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(BoxError::refused(format!("{}: not a place for a file inside", path.display()))),
    }
}
