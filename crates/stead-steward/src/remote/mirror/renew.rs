//! A copy that has what is not inside: the machine was put back to an earlier state, or a torn end was cut off inside.
//!
//! The copy is made anew, since the truth is inside. What had been printed and is not there any more is kept in `earlier`, and
//! `back.json` says from which offset on the history is another.

use super::super::link::Link;
use super::{copy_segment, same};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::path::Path;
use stead_hold::clock::now_ms;
use stead_hold::folder::{Folder, WentBack, create_private};
use stead_hold::history::{Reader, parting};
use stead_wire::bridge::FileStat;

/// Histories from before that are kept of one session.
const MOST: usize = 3;

/// Whether the copy has what the history inside has not.
pub async fn is_another(
    link: &Link,
    folder: &Folder,
    ours: &BTreeMap<String, u64>,
    theirs: &[&FileStat],
) -> Result<bool, String> {
    let first = theirs.first().map(|first| &first.file);
    for (name, len) in ours {
        match theirs.iter().find(|segment| segment.file == *name) {
            Some(segment) if segment.len >= *len => {}
            // Old ones may have been removed.
            None if first.is_some_and(|first| name < first) => {}
            _ => return Ok(true),
        }
    }
    match ours.last_key_value() {
        Some((name, len)) if theirs.iter().any(|segment| segment.file == *name) => {
            Ok(!same(link, folder, name, *len).await?)
        }
        _ => Ok(false),
    }
}

/// Makes the copy anew. Cut short, it is done again.
pub async fn renew(
    link: &Link,
    folder: &Folder,
    ours: &BTreeMap<String, u64>,
    theirs: &[&FileStat],
) -> Result<(), String> {
    let (now, new) = (folder.history(), folder.path().join("history.new"));
    clear(&new)?;
    create_private(&new).map_err(|e| e.to_string())?;
    for segment in theirs {
        let name = &segment.file;
        let whole = ours.get(name) == Some(&segment.len);
        if whole && same(link, folder, name, segment.len).await? {
            let linked = std::fs::hard_link(now.join(name), new.join(name));
            linked.map_err(|e| failed(&new.join(name), &e))?;
        } else {
            copy_segment(link, folder.id(), &new, segment).await?;
        }
    }
    let folder = folder.clone();
    let work = tokio::task::spawn_blocking(move || put(&folder, &now, &new));
    work.await.map_err(|e| e.to_string())?
}

/// Puts the new history in the place of the one from before, which is kept if it has something that the new one has not.
fn put(folder: &Folder, now: &Path, new: &Path) -> Result<(), String> {
    let end = Reader::open(now).and_then(|reader| reader.end()).map_err(|e| e.to_string())?;
    let offset = parting(now, new).map_err(|e| e.to_string())?;
    if offset < end {
        let mut all = folder.went_back().unwrap_or_default();
        // This may have been begun before.
        let begun = all.last().copied().filter(|last| (last.offset, last.to) == (offset, end));
        let this = begun.unwrap_or(WentBack { at: now_ms(), offset, to: end });
        keep(now, &folder.earlier(), this.at)?;
        // Those behind it are in what is kept.
        all.retain(|before| before.offset <= offset && *before != this);
        all.push(this);
        folder.write_went_back(&all).map_err(|e| e.to_string())?;
    }
    if renameat_with(CWD, new, CWD, now, RenameFlags::EXCHANGE).is_err() {
        // Not every file system can. Cut short here, all is copied anew.
        clear(now)?;
        std::fs::rename(new, now).map_err(|e| failed(now, &e))?;
    }
    clear(new)
}

/// Keeps a history beside those from before, and not too many of them.
fn keep(history: &Path, earlier: &Path, at: u64) -> Result<(), String> {
    let to = earlier.join(at.to_string());
    clear(&to)?;
    create_private(&to).map_err(|e| e.to_string())?;
    let entries = std::fs::read_dir(history).map_err(|e| failed(history, &e))?;
    for entry in entries.flatten() {
        let linked = std::fs::hard_link(entry.path(), to.join(entry.file_name()));
        linked.map_err(|e| failed(&to, &e))?;
    }
    let entries = std::fs::read_dir(earlier).map_err(|e| failed(earlier, &e))?;
    let name = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u64>().ok();
    let mut all: Vec<u64> = entries.flatten().filter_map(name).collect();
    all.sort_unstable();
    for at in all.iter().rev().skip(MOST) {
        clear(&earlier.join(at.to_string()))?;
    }
    Ok(())
}

fn clear(path: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(path, &e)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, e: &std::io::Error) -> String {
    format!("cannot write {}: {e}", path.display())
}
