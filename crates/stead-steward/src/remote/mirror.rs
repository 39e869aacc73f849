//! The folder on this host of a session inside a machine: a copy of what is inside, readable when the machine is not.
//!
//! Small files are written when the bridge tells of them. History and last screen are copied when somebody is about to
//! read them, and at the session's end. Segments only grow, so only what is missing is copied; the last one may
//! have been cut and written on, and is compared first. Where the machine was put back to an earlier state see [`renew`].

mod renew;

use super::link::Link;
use super::machine::Machine;
use crate::shared::Core;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stead_hold::folder::{Folder, create_private, replace};
use stead_wire::bridge::{Ask, FileStat, MAX_READ, Note, check_id, is_segment};
use stead_wire::session::{Exit, Spec};

/// How long the bridge may take for one piece.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest last screen and spec taken over, in bytes.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Largest segment taken over, in bytes: twice of what a hold writes.
const MAX_SEGMENT: u64 = 64 * 1024 * 1024;
/// Most history of one session taken over, in bytes.
const MAX_HISTORY: u64 = 4 * 1024 * 1024 * 1024;
/// Says which end the copy is of, once it is whole.
const COPIED: &str = "copied";

/// Writes down what a bridge has told of a session of its machine. Whether the session is over and its copy not yet
/// whole.
pub fn write(core: &Core, note: &Note) -> bool {
    let folder = core.places.session(&note.id);
    let Some(run) = &note.run else { return false };
    if !folder.path().exists() {
        return false;
    }
    let put = || {
        if folder.run().ok().flatten().as_ref() != Some(run) {
            folder.write_run(run)?;
        }
        let known = folder.exit().ok().flatten();
        match &note.exit {
            Some(exit) if known.as_ref() != Some(exit) => folder.write_exit(exit)?,
            None if note.alive && known.is_some() => folder.clear_exit()?,
            _ => {}
        }
        if let Some(conversation) = &note.conversation
            && folder.conversation().ok().flatten().as_ref() != Some(conversation)
        {
            folder.write_conversation(conversation)?;
        }
        if let Some(report) = &note.report
            && folder.report().ok().flatten().as_ref() != Some(report)
        {
            folder.write_report(report)?;
        }
        Ok::<_, stead_hold::folder::FolderError>(())
    };
    if let Err(e) = put() {
        core.change(&note.id, |session| session.warning = Some(e.to_string()));
    }
    is_over(note) && std::fs::read_to_string(folder.path().join(COPIED)).ok() != Some(end_of(note))
}

fn is_over(note: &Note) -> bool {
    !note.alive || note.exit.is_some()
}

fn end_of(note: &Note) -> String {
    let life = note.run.as_ref().map_or(0, |run| run.life);
    let at = note.exit.as_ref().map_or(0, |exit: &Exit| exit.at);
    format!("{life} {at}\n")
}

impl Machine {
    /// Brings the copy of a session up to what is inside now.
    ///
    /// # Errors
    /// In a sentence, why it may be behind.
    pub async fn copy(self: &Arc<Self>, id: &str) -> Result<(), String> {
        let copying = self.copying(id);
        let _copying = copying.lock().await;
        let Some(core) = self.core() else { return Ok(()) };
        let folder = core.places.session(id);
        let Some(link) = self.link_now() else {
            return Err(self.unreachable().to_string());
        };
        let Some(note) = self.note(id).filter(|_| folder.path().exists()) else { return Ok(()) };
        let files: Vec<FileStat> =
            link.ask(Ask::Stat { id: id.to_owned() }, PATIENCE).await.map_err(|e| e.to_string())?;
        let mut segments: Vec<&FileStat> = files.iter().filter(|f| is_segment(&f.file)).collect();
        segments.sort_by(|a, b| a.file.cmp(&b.file));
        let all = segments.iter().map(|f| f.len).fold(0, u64::saturating_add);
        if segments.iter().any(|f| f.len > MAX_SEGMENT) || all > MAX_HISTORY {
            return Err("its history inside is larger than a history can be".into());
        }
        let ours = segments_of(&folder.history());
        if renew::is_another(&link, &folder, &ours, &segments).await? {
            renew::renew(&link, &folder, &ours, &segments).await?;
        } else {
            let last = ours.last_key_value().map(|(name, _)| name.as_str());
            for segment in segments {
                if last != Some(&segment.file) && ours.get(&segment.file) == Some(&segment.len) {
                    continue;
                }
                copy_segment(&link, id, &folder.history(), segment).await?;
            }
        }
        if is_over(&note) {
            if let Some(screen) = files.iter().find(|f| f.file == "screen.ansi") {
                let bytes = whole(&link, id, &screen.file, screen.len).await?;
                folder.write_last_screen(&bytes).map_err(|e| e.to_string())?;
            }
            // Another life may have begun meanwhile: then this is not its end.
            if self.note(id).as_ref() == Some(&note) {
                let copied = folder.path().join(COPIED);
                replace(&copied, end_of(&note).as_bytes()).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// A session that was made inside, without the steward: it gets a folder here.
    pub fn stranger(self: &Arc<Self>, core: &Arc<Core>, id: &str) {
        let folder = core.places.session(id);
        let known = core.lock().starting.contains(id);
        if known || folder.path().symlink_metadata().is_ok() || self.was_removed(core, id) {
            return;
        }
        let (machine, id) = (self.clone(), id.to_owned());
        let adopt = async move {
            // Connected first: a bridge that has not told of everything may not be one.
            let Some(link) = machine.connected().await else { return };
            let Some(core) = machine.core() else { return };
            let _ = machine.adopt(&core, &link, &id).await;
        };
        self.keep(tokio::spawn(adopt).abort_handle());
    }

    async fn adopt(
        self: &Arc<Self>,
        core: &Arc<Core>,
        link: &Link,
        id: &str,
    ) -> Result<(), String> {
        let bytes = whole(link, id, "spec.json", MAX_FILE / 8).await?;
        let mut spec: Spec = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        let Some(note) = self.note(id).filter(|_| spec.id == id && !spec.command.is_empty()) else {
            return Err("it is another session's".into());
        };
        let folder = core.places.session(id);
        {
            let mut table = core.lock();
            if table.entries.contains_key(id) || table.starting.contains(id) {
                return Ok(());
            }
            spec.name = super::check::name(&spec.name, id, |name| table.taken(name));
            table.starting.insert(id.to_owned());
        }
        spec.machine.clone_from(&self.name);
        spec.size = spec.size.clamped();
        let made = folder.create(&spec);
        if made.is_ok() {
            core.insert(&crate::record::from_spec(&spec, note.run.as_ref()));
        }
        core.lock().starting.remove(id);
        made.map_err(|e| e.to_string())?;
        self.take_over(core, &note);
        Ok(())
    }

    fn removed_mark(core: &Core, id: &str) -> PathBuf {
        core.places.data.join("removed").join(id)
    }

    /// Notes that a session was removed here while the machine could not be told.
    pub fn mark_removed(&self, core: &Core, id: &str) {
        let mark = Self::removed_mark(core, id);
        let _ = create_private(mark.parent().expect("it has one"));
        let _ = replace(&mark, self.name.as_bytes());
    }

    fn was_removed(&self, core: &Core, id: &str) -> bool {
        std::fs::read_to_string(Self::removed_mark(core, id)).is_ok_and(|name| name == self.name)
    }

    /// Removes inside what was removed here while the machine could not be told.
    pub async fn catch_up(self: &Arc<Self>, link: &Link) {
        let Some(core) = self.core() else { return };
        for id in self.told_of().into_iter().filter(|id| check_id(id)) {
            if self.was_removed(&core, &id)
                && link.ask::<()>(Ask::Remove { id: id.clone() }, PATIENCE).await.is_ok()
            {
                let _ = std::fs::remove_file(Self::removed_mark(&core, &id));
            }
        }
    }
}

/// The segments that were copied, with their lengths.
fn segments_of(history: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(history).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| is_segment(name))?;
            Some((name, entry.metadata().ok()?.len()))
        })
        .collect()
}

async fn whole(link: &Link, id: &str, file: &str, len: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len.min(MAX_FILE) {
        let part = piece(link, id, file, bytes.len() as u64).await?;
        bytes.extend_from_slice(&part);
        if part.len() < MAX_READ {
            break;
        }
    }
    Ok(bytes)
}

async fn piece(link: &Link, id: &str, file: &str, offset: u64) -> Result<Vec<u8>, String> {
    let ask = Ask::Read { id: id.to_owned(), file: file.to_owned(), offset, len: MAX_READ };
    link.bytes(ask, MAX_READ, PATIENCE).await.map_err(|e| e.to_string())
}

/// Copies what is missing of a segment into a history.
async fn copy_segment(
    link: &Link,
    id: &str,
    history: &Path,
    segment: &FileStat,
) -> Result<(), String> {
    let path = history.join(&segment.file);
    let mut have = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    create_private(history).map_err(|e| e.to_string())?;
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(&path)
        .map_err(failed)?;
    while have < segment.len {
        let mut part = piece(link, id, &segment.file, have).await?;
        part.truncate((segment.len - have) as usize);
        if part.is_empty() {
            return Err("its history inside has become shorter".into());
        }
        file.write_all(&part).map_err(failed)?;
        have += part.len() as u64;
    }
    Ok(())
}

/// Whether `have` bytes of what was copied of a segment are how it begins inside.
async fn same(link: &Link, folder: &Folder, file: &str, have: u64) -> Result<bool, String> {
    let ask = Ask::Sum { id: folder.id().to_owned(), file: file.to_owned(), len: have };
    let theirs: u32 = link.ask(ask, PATIENCE).await.map_err(|e| e.to_string())?;
    let path = folder.history().join(file);
    let ours = tokio::task::spawn_blocking(move || stead_hold::bridge::checksum(&path, have));
    Ok(ours.await.is_ok_and(|ours| ours.is_ok_and(|ours| ours == theirs)))
}
