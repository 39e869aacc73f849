//! Files and links of root's, one at a time and whole.

use crate::File;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{} cannot be {what}: {error}", path.display())
}

/// A file as it is; `None` where there is none, or something that is no file of text.
pub(super) fn read(path: &Path) -> Option<File> {
    let about = fs::symlink_metadata(path).ok()?;
    if !about.is_file() || about.len() > 8 << 20 {
        return None;
    }
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    Some(File { text, mode: about.mode() & 0o7777 })
}

/// Whether a file is just so.
pub(super) fn same(path: &Path, file: &File) -> bool {
    let about = fs::symlink_metadata(path);
    about.is_ok_and(|about| {
        about.is_file()
            && about.mode() & 0o7777 == file.mode
            && about.len() == file.text.len() as u64
            && fs::read(path).is_ok_and(|there| there == file.text.as_bytes())
    })
}

/// Puts a file in place, so that at any instant there is the whole old one or the whole new one.
pub(super) fn write(path: &Path, file: &File) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    open_folder(folder)?;
    if path.is_dir() && !path.is_symlink() {
        return Err(format!("{} is a folder, and should be a file: remove it", path.display()));
    }
    let next = beside(path);
    let _ = fs::remove_file(&next);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).and_then(
        |mut to| {
            to.write_all(file.text.as_bytes())?;
            to.set_permissions(Permissions::from_mode(file.mode))?;
            to.sync_all()
        },
    );
    made.and_then(|()| fs::rename(&next, path)).map_err(|error| {
        let _ = fs::remove_file(&next);
        format!("{} cannot be written: {error}", path.display())
    })
}

/// Makes a folder, and those above it, that all may look into, whoever started this with whatever mask: sshd reads keys
/// with the rights of who comes in.
fn open_folder(path: &Path) -> Result<(), String> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
            .map_err(failed("made", folder))?;
    }
    Ok(())
}

/// A name beside it that no program takes for a configuration.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.stead-new"))
}

/// What stands in the way of something of Stead's is kept under this name.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.before-stead"))
}

/// Keeps what is there beside its place, whatever it is but a folder. Gives the name it has now.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, String> {
    let kept = aside(path);
    if fs::symlink_metadata(&kept).is_ok() {
        return Err(format!(
            "{} would be kept as {}, which is there already",
            path.display(),
            kept.display()
        ));
    }
    fs::rename(path, &kept).map_err(failed("set aside", path))?;
    Ok(kept)
}

/// Puts back what was set aside. Whether it was there.
pub(super) fn put_back_aside(path: &Path) -> Result<bool, String> {
    match fs::rename(aside(path), path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("put back", path)(error)),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("removed", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a file what it was.
pub(super) fn put_back(path: &Path, before: Option<&File>) -> Result<(), String> {
    match before {
        Some(file) => write(path, file),
        None => remove(path),
    }
}

/// Makes a link lead there.
pub(super) fn link(path: &Path, target: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    open_folder(folder)?;
    let next = beside(path);
    let _ = fs::remove_file(&next);
    symlink(target, &next).and_then(|()| fs::rename(&next, path)).map_err(|error| {
        let _ = fs::remove_file(&next);
        format!("{} cannot be linked: {error}", path.display())
    })
}

/// Makes a folder that root alone sees into.
pub(super) fn private_folder(path: &Path) -> Result<(), String> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("made", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("closed", path))
}
