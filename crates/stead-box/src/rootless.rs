//! The root of a sandbox of an ordinary user on this host's own files.
//!
//! The kernel lets nobody else than root look under what root has mounted, so there is no overlay over `/`: each
//! folder in `/` under which nothing is mounted gets one, and a folder under which something is mounted is made in
//! memory and its folders treated the same way. What is made directly in such a folder in memory (`/new`) is gone
//! when the sandbox stops.

use crate::failure::{Result, Tried};
use crate::mounts::{self, NODEV, NOSUID, RO};
use crate::root::{Cover, Stage};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Not of the host: the sandbox has its own, or none.
const OWN: [&str; 8] = ["proc", "sys", "dev", "run", "tmp", "lost+found", "mnt", "media"];

/// Where something is mounted in this mount namespace.
pub fn mounted() -> Result<Vec<PathBuf>> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read(path).tried(|| path)?;
    let lines = text.split(|b| *b == b'\n');
    Ok(lines.filter_map(|line| line.split(|b| *b == b' ').nth(4)).map(unescape).collect())
}

/// Mount points are written with spaces and the like as octal numbers.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

/// Lays the root of this host on the stage.
pub fn lay(stage: &mut Stage<'_>, notes: &mut Vec<String>) -> Result<()> {
    let root = mounts::fresh("tmpfs", &[("mode", "755"), ("size", "1m")], NODEV | NOSUID)?;
    mounts::put_at(&root, "m")?;
    let mounted = mounted()?;
    descend(stage, Path::new(""), &mounted, notes)
}

fn descend(
    stage: &mut Stage<'_>,
    path: &Path,
    mounted: &[PathBuf],
    notes: &mut Vec<String>,
) -> Result<()> {
    let host = Path::new("/").join(path);
    let Ok(entries) = std::fs::read_dir(&host) else { return Ok(()) };
    for entry in entries {
        let entry = entry.tried(|| host.display())?;
        let relative = path.join(entry.file_name());
        if path.as_os_str().is_empty() && OWN.iter().any(|own| relative == Path::new(own)) {
            continue;
        }
        let cover = stage.cover(&relative)?;
        let target = Path::new("m").join(&relative);
        let kind = entry.file_type().tried(|| host.display())?;
        if cover == Cover::Gone {
        } else if kind.is_symlink() {
            let points =
                std::fs::read_link(entry.path()).tried(|| entry.path().display().to_string())?;
            symlink(points, &target).tried(|| target.display())?;
        } else if kind.is_dir() {
            std::fs::DirBuilder::new().mode(0o755).create(&target).tried(|| target.display())?;
            place(stage, &relative, cover, mounted, notes)?;
        }
    }
    Ok(())
}

fn place(
    stage: &mut Stage<'_>,
    path: &Path,
    cover: Cover,
    mounted: &[PathBuf],
    notes: &mut Vec<String>,
) -> Result<()> {
    let host = Path::new("/").join(path);
    if cover == Cover::Whole {
        return stage.lay(path, None, false);
    }
    if mounted.iter().any(|m| m != &host && m.starts_with(&host)) {
        return descend(stage, path, mounted, notes);
    }
    let Err(why) = stage.lay(path, Some(&host), false) else { return Ok(()) };
    if cover == Cover::Partly {
        // Without an overlay, what the cover hides would be seen.
        notes.push(format!("{} is not there inside: {why}", host.display()));
        return Ok(());
    }
    let bound = mounts::tree(&host, false).and_then(|mount| {
        mounts::restrict(&mount, RO | NODEV | NOSUID, None, false, &host)?;
        mounts::put_at(&mount, &Path::new("m").join(path).to_string_lossy())
    });
    notes.push(match bound {
        Ok(()) => format!("{} cannot be written inside: {why}", host.display()),
        Err(_) => format!("{} is not there inside: {why}", host.display()),
    });
    Ok(())
}
