//! A rendered tree onto the disk, around what a person has taken over.

use crate::{File, Tree};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The file in which it is kept what was written.
pub const MANIFEST: &str = ".stead.json";

/// What became of each file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Written anew or for the first time.
    pub written: Vec<PathBuf>,
    /// As they were.
    pub same: Vec<PathBuf>,
    /// Left alone: a person has taken them over.
    pub left: Vec<PathBuf>,
    /// No longer rendered, and removed.
    pub removed: Vec<PathBuf>,
}

/// What was written, by path: the hash of each.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    #[serde(default)]
    files: BTreeMap<PathBuf, String>,
}

/// Writes a tree into a folder. A file that is there and is not as it was last written is left as it is; so is one that is there
/// and was never written. What is no longer in the tree goes, if nobody touched it.
pub fn write(tree: &Tree, dir: &Path) -> io::Result<Written> {
    fs::create_dir_all(dir)?;
    let kept = dir.join(MANIFEST);
    let before: Manifest = match fs::read(&kept) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| {
            let message = format!(
                "{}: {error}; remove it, and every file that differs counts as yours",
                kept.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Manifest::default(),
        Err(error) => return Err(error),
    };
    let mut done = Written::default();
    let mut after = Manifest::default();
    for (path, file) in tree {
        let place = inside(dir, path)?;
        let ours = before.files.get(path);
        let new = hash(file.text.as_bytes());
        let list = match look(dir, path)? {
            Found::Nothing => {
                put(&place, file)?;
                &mut done.written
            }
            Found::File(old) if old == new => &mut done.same,
            Found::File(old) if ours == Some(&old) => {
                put(&place, file)?;
                &mut done.written
            }
            Found::File(_) | Found::Other => {
                // It stays known as it was: put back so by a person, it is ours again.
                after.files.extend(ours.map(|hash| (path.clone(), hash.clone())));
                done.left.push(path.clone());
                continue;
            }
        };
        list.push(path.clone());
        after.files.insert(path.clone(), new);
    }
    for (path, hash) in before.files.iter().filter(|(path, _)| !tree.contains_key(*path)) {
        let place = inside(dir, path)?;
        match look(dir, path)? {
            Found::Nothing => {}
            Found::File(old) if old == *hash => {
                fs::remove_file(&place)?;
                prune(dir, path);
                done.removed.push(path.clone());
            }
            Found::File(_) | Found::Other => {
                after.files.insert(path.clone(), hash.clone());
                done.left.push(path.clone());
            }
        }
    }
    let text = serde_json::to_string_pretty(&after).map_err(io::Error::other)? + "\n";
    if fs::read(&kept).ok().as_deref() != Some(text.as_bytes()) {
        put(&kept, &File::new(text))?;
    }
    Ok(done)
}

enum Found {
    Nothing,
    /// A file, by its hash.
    File(String),
    /// What is never written to: a folder, a link, or something beyond a link.
    Other,
}

/// What is at a path, without going through links.
fn look(dir: &Path, path: &Path) -> io::Result<Found> {
    let mut place = dir.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let kind = match fs::symlink_metadata(&place) {
            Ok(meta) => meta.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let last = parts.peek().is_none();
        if (last && !kind.is_file()) || (!last && !kind.is_dir()) {
            return Ok(Found::Other);
        }
    }
    Ok(Found::File(hash(&fs::read(&place)?)))
}

/// A path below the folder, which no manifest and no tree leads out of.
fn inside(dir: &Path, path: &Path) -> io::Result<PathBuf> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.as_os_str().is_empty() {
        let message = format!("{} does not lead to a file below {}", path.display(), dir.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(dir.join(path))
}

/// Writes a file so that it is there whole or not at all.
fn put(place: &Path, file: &File) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        // From its first byte on nobody reads it who may not.
        let mut out = fs::OpenOptions::new();
        let mut out = out.write(true).create(true).truncate(true).mode(file.mode).open(&beside)?;
        out.write_all(file.text.as_bytes())?;
        out.set_permissions(fs::Permissions::from_mode(file.mode))?;
        fs::rename(&beside, place)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Removes folders that are empty now.
fn prune(dir: &Path, path: &Path) {
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(dir.join(folder)).is_err() {
            return;
        }
    }
}

/// The SHA-256 in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    Sha256::digest(bytes).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
