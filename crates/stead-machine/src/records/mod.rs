//! What Stead knows of its machines: a folder a machine, with `machine.json`.
//!
//! A record is written before an engine makes anything and removed after it has destroyed everything, so that there is
//! never a machine that nobody knows of. One that cannot be read is reported; its machine is left alone.

mod claim;
mod record;

pub use claim::{Claim, MOST_MACHINES, valid_name};
pub(crate) use claim::{HOST, random_id};
pub use record::{Applied, Pending, Record, Status};

use crate::Error;
use crate::files::{self, Sync};
use crate::lock::Lock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The records of one data folder.
#[derive(Debug, Clone)]
pub struct Records {
    machines: PathBuf,
}

/// Every record, and those that cannot be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// By name.
    pub records: BTreeMap<String, Record>,
    /// By name, what is wrong.
    pub damaged: BTreeMap<String, Damaged>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl Records {
    /// Those below `machines` of this data folder.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let machines = data.join("machines");
        files::make_folder(&machines.join(".locks"))?;
        files::make_folder(&machines.join(".numbers"))?;
        Ok(Records { machines })
    }

    /// A machine's folder. What lies in it beside the record is its engine's.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.machines.join(name)
    }

    /// Every record.
    ///
    /// # Errors
    /// If the folder cannot be read. A single record that cannot be is in [`Listing::damaged`].
    pub fn list(&self) -> Result<Listing, Error> {
        let io = |e: std::io::Error| Error::io("read", &self.machines, &e);
        let mut listing = Listing::default();
        for entry in std::fs::read_dir(&self.machines).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let Some(name) = name.to_str().filter(|name| valid_name(name)) else { continue };
            match self.get(name) {
                Ok(Some(record)) => {
                    listing.records.insert(name.into(), record);
                }
                Ok(None) => {}
                Err(Error::Damaged { path, why, .. }) => {
                    listing.damaged.insert(name.into(), Damaged { path, why });
                }
                Err(e) => {
                    let damaged = Damaged { path: self.file(name), why: e.to_string() };
                    listing.damaged.insert(name.into(), damaged);
                }
            }
        }
        Ok(listing)
    }

    /// One record; `None` if there certainly is none.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Record>, Error> {
        if !valid_name(name) {
            return Ok(None);
        }
        let path = self.file(name);
        let damaged = |why: String| Error::Damaged { name: name.into(), path: path.clone(), why };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(damaged(e.to_string())),
        };
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if record.wanted.name != name {
            return Err(damaged(format!("it is the record of {:?}", record.wanted.name)));
        }
        Ok(Some(record))
    }

    /// One record that must be there.
    ///
    /// # Errors
    /// If there is none, with the nearest name that there is; if it cannot be read.
    pub fn find(&self, name: &str) -> Result<Record, Error> {
        match self.get(name)? {
            Some(record) => Ok(record),
            None if name == HOST => Err(Error::Host),
            None => Err(Error::NotFound { name: name.into(), near: self.nearest(name) }),
        }
    }

    /// Writes a record. The caller holds the machine.
    ///
    /// # Errors
    /// If it cannot be written; the one before is whole then.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Error> {
        let name = &record.wanted.name;
        files::make_folder(&self.folder(name))?;
        let mut bytes = serde_json::to_vec_pretty(record)
            .map_err(|e| Error::io("write", self.file(name), &e.into()))?;
        bytes.push(b'\n');
        // Before a state is replaced it must be on disk which one was kept. Anything else an engine still has after a
        // power cut, and a record that did not outlive one is told.
        let replaces = matches!(
            record.pending,
            Some(Pending::Restore { .. } | Pending::MoveFrom { .. } | Pending::MoveTo { .. })
        );
        // One that a switch has begun to change must not be taken for what it was before.
        let changes = record.system.as_ref().is_some_and(|system| system.at.is_none());
        let sync = if replaces || changes { Sync::Now } else { Sync::Later };
        files::replace(&self.file(name), &bytes, sync)
    }

    /// Removes a record and frees its number. The caller holds the machine, and it is destroyed.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn remove(&self, record: &Record) -> Result<(), Error> {
        let name = &record.wanted.name;
        files::remove(&self.folder(name).join("machine.json.new"))?;
        files::remove(&self.file(name))?;
        crate::instants::instant();
        // An engine that keeps something there has it still.
        let _ = std::fs::remove_dir(self.folder(name));
        self.free_number(record.wanted.number, name);
        Ok(())
    }

    /// Waits until nobody else works on these machines, and keeps everybody else from it. All names of one piece of work
    /// at once: they are taken in order, so that two pieces of work never wait for each other.
    pub(crate) async fn hold(&self, names: &[&str]) -> Result<Held, Error> {
        let mut names: Vec<&str> = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let mut locks = Vec::with_capacity(names.len());
        for name in names {
            if !valid_name(name) {
                return Err(Error::NotFound { name: name.into(), near: self.nearest(name) });
            }
            locks.push(Lock::taken(self.machines.join(".locks").join(name)).await?);
        }
        Ok(Held { _locks: locks })
    }

    /// Has a record put on disk, for a power cut. Nobody waits for it.
    pub(crate) fn sync_soon(&self, name: &str) {
        files::sync_soon(self.file(name));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder(name).join("machine.json")
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let listing = self.list().ok()?;
        let near = |known: &String| (distance(name, known), known.clone());
        let (distance, known) = listing.records.keys().map(near).min()?;
        (distance <= 2.max(name.len() / 3)).then_some(known)
    }
}

/// Machines that nobody else works on.
#[derive(Debug)]
pub(crate) struct Held {
    _locks: Vec<Lock>,
}

/// How many letters must be put in, left out or replaced to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
