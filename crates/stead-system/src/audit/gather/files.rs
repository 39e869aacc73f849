//! Files of a machine, whoever made them.

use crate::audit::evidence::Seen;
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much of a file is read.
pub const MUCH: u64 = 1 << 20;
/// How long a program may take, unless something else is asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many entries of a folder are looked at.
pub const MANY: usize = 2_000;

/// A machine's files: those of this one, or in a test those below a folder.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    /// How long a program of it may take.
    pub patience: Duration,
}

impl Place {
    /// This machine.
    pub fn here() -> Self {
        Place { root: "/".into(), patience: PATIENCE }
    }

    /// A machine whose root is this folder.
    pub fn below(root: &Path) -> Self {
        Place { root: root.to_owned(), patience: PATIENCE }
    }

    /// Where a path of the machine is.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file, if it is one and not too large.
    pub fn read(&self, path: impl AsRef<Path>) -> Seen<String> {
        self.read_to(path, MUCH)
    }

    /// The text of a file with at most so many bytes.
    pub fn read_to(&self, path: impl AsRef<Path>, most: u64) -> Seen<String> {
        let path = path.as_ref();
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        // Neither waits for whoever is at the other end of a pipe, nor takes a terminal.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(self.path(path), flags, Mode::empty())
            .map_err(|why| told(&std::io::Error::from(why)))?;
        let file = File::from(file);
        let about = file.metadata().map_err(|why| told(&why))?;
        if !about.is_file() {
            return Err(told(&"it is no file"));
        }
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(|why| told(&why))?;
        if bytes.len() as u64 > most {
            return Err(told(&format!("it has more than {most} bytes")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file; empty if there is none.
    pub fn read_or_none(&self, path: impl AsRef<Path>) -> Seen<String> {
        let path = path.as_ref();
        match self.path(path).symlink_metadata() {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(why) if why.kind() == std::io::ErrorKind::NotADirectory => Ok(String::new()),
            _ => self.read(path),
        }
    }

    /// What is in a folder, in order; nothing if there is none.
    pub fn list(&self, path: impl AsRef<Path>) -> Seen<Vec<PathBuf>> {
        let path = path.as_ref();
        let entries = match std::fs::read_dir(self.path(path)) {
            Ok(entries) => entries,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(format!("{}: {why}", path.display())),
        };
        let mut names: Vec<PathBuf> =
            entries.take(MANY).flatten().map(|entry| path.join(entry.file_name())).collect();
        names.sort();
        Ok(names)
    }

    /// Whether somebody who is neither its owner nor in its group can do to a file what `bits` (of `0o007`) say, and come to it.
    pub fn open_to_others(&self, path: &Path, mode: u32, bits: u32) -> bool {
        let mut folders = path.ancestors().skip(1);
        let enters = |folder: &Path| {
            self.path(folder).metadata().is_ok_and(|about| about.mode() & 0o001 > 0)
        };
        mode & bits > 0 && folders.all(enters)
    }

    /// The same of somebody in the group `gid`, which is the file's.
    pub fn open_to_group(&self, path: &Path, gid: u32, mode: u32, bits: u32) -> bool {
        let mut folders = path.ancestors().skip(1);
        let enters = |folder: &Path| {
            self.path(folder).metadata().is_ok_and(|about| {
                let bit = if about.gid() == gid { 0o010 } else { 0o001 };
                about.mode() & bit > 0
            })
        };
        mode & bits > 0 && folders.all(enters)
    }
}
