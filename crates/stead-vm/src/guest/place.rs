//! Folders and files in the machine's root. What the kernel mounts may lie behind a symbolic link of the root's; what is written
//! never does: the link is replaced.

use crate::failure::{Result, Tried, VmError};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2, renameat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// A folder that is the root of what is done.
pub fn root(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).tried(|| path)
}

/// The path by which the kernel finds an open folder.
pub fn by_fd(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn beneath(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    links: bool,
) -> rustix::io::Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    how.set(ResolveFlags::NO_SYMLINKS, !links);
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how)
}

/// The folder `path` below `root`, made where it is missing. `links`: whether symbolic links are followed, below `root`.
pub fn folder(root: BorrowedFd<'_>, path: &Path, mode: u32, links: bool) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let tried = || format!("{} inside", path.display());
    let mut walked = PathBuf::from("/");
    let mut at = beneath(root, &walked, flags, links).tried(tried)?;
    for part in path.components() {
        let name = match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => name,
            _ => return Err(VmError::refused(format!("{}: `..` is not allowed", path.display()))),
        };
        walked.push(name);
        at = match beneath(root, &walked, flags, links) {
            Err(Errno::NOENT) => {
                match mkdirat(&at, name, Mode::from_raw_mode(mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e).tried(tried),
                }
                beneath(root, &walked, flags, links).tried(tried)?
            }
            found => found.tried(tried)?,
        };
    }
    Ok(at)
}

/// The plain file `path` below `root`, if it is one; no link is followed.
pub fn file(root: BorrowedFd<'_>, path: &Path) -> Option<OwnedFd> {
    let found = beneath(root, path, OFlags::PATH, false).ok()?;
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found).ok()?.st_mode);
    (kind == rustix::fs::FileType::RegularFile).then_some(found)
}

/// What is in the plain file `path` below `root`, if it is text of at most `most` bytes; no link is followed.
pub fn read(root: BorrowedFd<'_>, path: &str, most: u64) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = std::fs::File::from(beneath(root, Path::new(path), flags, false).ok()?);
    file.metadata().ok().filter(|about| about.is_file() && about.len() <= most)?;
    let mut text = String::new();
    file.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Makes `text` what is in the file `path` below `root`. Whatever else is in its place is replaced, unless it is a folder.
pub fn write(root: BorrowedFd<'_>, path: &str, text: &str, mode: u32) -> Result<()> {
    let path = Path::new(path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(VmError::refused(format!("{}: not a place for a file", path.display())));
    };
    let tried = || format!("{} inside", path.display());
    let parent = folder(root, parent, 0o755, false)?;
    if has(&parent, name, text, mode) {
        return Ok(());
    }
    let new = format!(".{}.stead", name.display());
    let _ = unlinkat(&parent, &new, AtFlags::empty());
    let make = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&parent, &new, make, Mode::from_raw_mode(mode)).tried(tried)?;
    let mut file = std::fs::File::from(file);
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .and_then(|()| file.write_all(text.as_bytes()))
        .tried(tried)?;
    renameat(&parent, &new, &parent, name).tried(tried)
}

/// Whether `name` is a plain file with just `text` in it.
fn has(parent: &OwnedFd, name: &OsStr, text: &str, mode: u32) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = openat(parent, name, flags, Mode::empty()) else { return false };
    let file = std::fs::File::from(file);
    let plain = file.metadata().is_ok_and(|about| {
        about.is_file()
            && about.len() == text.len() as u64
            && about.permissions().mode() & 0o7777 == mode
    });
    let mut found = String::new();
    plain && file.take(text.len() as u64 + 1).read_to_string(&mut found).is_ok() && found == text
}

/// Removes the file `name` in the folder `parent` below `root`, if it is there.
pub fn remove(root: BorrowedFd<'_>, parent: &str, name: &OsStr) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let Ok(parent) = beneath(root, Path::new(parent), flags, false) else { return Ok(()) };
    match unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(e) => Err(e).tried(|| format!("removing {} inside", name.display())),
    }
}

/// Names in the folder `path` below `root`; none if it is not there.
pub fn names(root: BorrowedFd<'_>, path: &str) -> Vec<std::ffi::OsString> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let Ok(folder) = beneath(root, Path::new(path), flags, false) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(by_fd(&folder)) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

/// Removes the folder `path` below `root` with all that is in it, if it is a folder and no link.
pub fn remove_folder(root: BorrowedFd<'_>, path: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let Some(parent) = Path::new(path).parent() else { return Ok(()) };
    let Ok(parent) = beneath(root, parent, flags, false) else { return Ok(()) };
    let whole = Path::new(&by_fd(&parent)).join(Path::new(path).file_name().unwrap_or_default());
    // Links are not followed by this.
    match std::fs::remove_dir_all(&whole) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // A folder of the disk that is kept is mounted there: it is empty now.
        Err(e) if e.kind() == std::io::ErrorKind::ResourceBusy => Ok(()),
        removed => removed.tried(|| format!("removing {path} inside")),
    }
}

/// Makes a folder of this process's own root.
pub fn make(path: &str) -> Result<()> {
    match mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e).tried(|| path),
    }
}
