//! The folder of a machine: `wanted.json`, `since`, `moved`, `fs/`, `snapshots/NAME/{about.json,fs/}`.

use crate::Steps;
use crate::engine::{EngineError, Result};
use crate::model::{Change, ChangeKind, Snapshot, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a machine is made from: path and text.
const BASE: [(&str, &str); 3] =
    [("etc/motd", "welcome\n"), ("etc/shells", "/bin/sh\n"), ("root/.profile", "true\n")];

/// What every machine has of its own.
const IDENTITY: [&str; 2] = ["etc/machine-id", "etc/hostname"];

pub(super) struct Folder {
    root: PathBuf,
    path: PathBuf,
    name: String,
}

impl Folder {
    pub(super) fn new(root: &Path, name: &str) -> Self {
        Folder { root: root.into(), path: root.join(name), name: name.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fs(&self) -> PathBuf {
        self.path.join("fs")
    }

    pub(super) fn exists(&self) -> Result<bool> {
        self.path.try_exists().map_err(|e| EngineError::Unreachable(e.to_string()))
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    pub(super) fn wanted(&self) -> Option<Wanted> {
        serde_json::from_slice(&std::fs::read(self.path.join("wanted.json")).ok()?).ok()
    }

    pub(super) fn write_wanted(&self, wanted: &Wanted) -> Result<()> {
        let text = serde_json::to_vec(wanted).map_err(|e| EngineError::Failed(e.to_string()))?;
        crate::files::replace(&self.path.join("wanted.json"), &text, crate::files::Sync::Later)
            .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub(super) fn since(&self) -> Option<u64> {
        std::fs::read_to_string(self.path.join("since")).ok()?.parse().ok()
    }

    pub(super) fn write_since(&self, since: u64) -> Result<()> {
        crate::files::replace(
            &self.path.join("since"),
            since.to_string().as_bytes(),
            crate::files::Sync::Later,
        )
        .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub(super) fn remove_since(&self) -> Result<()> {
        gone(std::fs::remove_file(self.path.join("since")))
    }

    pub(super) fn make_fresh(&self) -> Result<()> {
        let beside = self.path.join("fs.new");
        gone(std::fs::remove_dir_all(&beside))?;
        for (path, text) in BASE {
            let path = beside.join(path);
            failed(std::fs::create_dir_all(path.parent().unwrap_or(&beside)))?;
            failed(std::fs::write(path, text))?;
        }
        self.put(&beside)
    }

    pub(super) fn make_from(&self, files: &Path) -> Result<()> {
        let beside = self.path.join("fs.new");
        gone(std::fs::remove_dir_all(&beside))?;
        copy(files, &beside)?;
        self.put(&beside)
    }

    pub(super) fn identify(&self, wanted: &Wanted) -> Result<()> {
        let texts = [format!("{}\n", wanted.id), format!("{}\n", wanted.name)];
        for (path, text) in IDENTITY.iter().zip(texts) {
            failed(std::fs::write(self.fs().join(path), text))?;
        }
        Ok(())
    }

    /// Puts files in the place of those that there are.
    fn put(&self, files: &Path) -> Result<()> {
        let old = self.path.join("fs.old");
        if self.fs().exists() {
            gone(std::fs::remove_dir_all(&old))?;
            failed(std::fs::rename(self.fs(), &old))?;
        }
        failed(std::fs::rename(files, self.fs()))?;
        gone(std::fs::remove_dir_all(&old))
    }

    pub(super) fn set_aside(&self) -> Result<()> {
        self.remove_aside()?;
        failed(std::fs::rename(&self.path, self.aside()))
    }

    pub(super) fn remove_aside(&self) -> Result<()> {
        gone(std::fs::remove_dir_all(self.aside()))
    }

    fn aside(&self) -> PathBuf {
        self.root.join(format!(".going-{}", self.name))
    }

    pub(super) fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let entries = match std::fs::read_dir(self.path.join("snapshots")) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => failed(entries)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let folder = failed(entry)?.path();
            if let Ok(about) = std::fs::read(folder.join("about.json")) {
                let about = serde_json::from_slice(&about);
                all.push(about.map_err(|e| EngineError::Failed(e.to_string()))?);
            }
        }
        all.sort_by(|a: &Snapshot, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        Ok(all)
    }

    /// The first time from this one on that no snapshot has.
    pub(super) fn free_time(&self, now: u64) -> Result<u64> {
        let taken: BTreeSet<u64> = self.snapshots()?.into_iter().map(|s| s.at).collect();
        let last = now + taken.len() as u64;
        Ok((now..=last).find(|at| !taken.contains(at)).unwrap_or(last))
    }

    pub(super) fn snapshot(&self, about: &Snapshot, steps: &Steps) -> Result<()> {
        let folder = self.path.join("snapshots").join(&about.name);
        if folder.join("about.json").exists() {
            return Err(EngineError::NotNow(format!("there is a snapshot {} already", about.name)));
        }
        steps.step("copy the state")?;
        gone(std::fs::remove_dir_all(&folder))?;
        failed(std::fs::create_dir_all(&folder))?;
        copy(&self.fs(), &folder.join("fs"))?;
        steps.step("say that it is whole")?;
        let text = serde_json::to_vec(about).map_err(|e| EngineError::Failed(e.to_string()))?;
        crate::files::replace(&folder.join("about.json"), &text, crate::files::Sync::Later)
            .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub(super) fn remove_snapshot(&self, name: &str) -> Result<()> {
        let folder = self.path.join("snapshots").join(name);
        gone(std::fs::remove_file(folder.join("about.json")))?;
        gone(std::fs::remove_dir_all(folder))
    }

    pub(super) fn files_of(&self, snapshot: Option<&str>) -> Result<PathBuf> {
        let Some(snapshot) = snapshot else { return Ok(self.fs()) };
        let folder = self.path.join("snapshots").join(snapshot);
        if !folder.join("about.json").exists() {
            return Err(EngineError::NotFound(format!("snapshot {snapshot}")));
        }
        Ok(folder.join("fs"))
    }

    pub(super) fn restore(&self, snapshot: &str, steps: &Steps) -> Result<()> {
        let kept = self.files_of(Some(snapshot))?;
        let beside = self.path.join("fs.new");
        steps.step("copy what was kept")?;
        gone(std::fs::remove_dir_all(&beside))?;
        copy(&kept, &beside)?;
        steps.step("take the old state away")?;
        if self.fs().exists() {
            gone(std::fs::remove_dir_all(self.path.join("fs.old")))?;
            failed(std::fs::rename(self.fs(), self.path.join("fs.old")))?;
        }
        steps.step("put the kept one in its place")?;
        failed(std::fs::rename(&beside, self.fs()))?;
        steps.step("remove the old state")?;
        gone(std::fs::remove_dir_all(self.path.join("fs.old")))
    }

    /// Takes another machine's state. What was done last under this token is not done again.
    pub(super) fn take_from(&self, source: &Folder, token: &str, steps: &Steps) -> Result<()> {
        let (Some(wanted), Some(other)) = (self.wanted(), source.wanted()) else {
            return Err(EngineError::NotNow("one of the two was never finished".into()));
        };
        let coming = self.path.join(format!("fs.coming-{token}"));
        let moved = self.path.join("moved");
        if std::fs::read_to_string(&moved).is_ok_and(|done| done == token) {
            return source.refill(&other, steps);
        }
        if !coming.exists() && source.fs().exists() {
            steps.step("take the state out")?;
            failed(std::fs::rename(source.fs(), &coming))?;
        }
        if coming.exists() {
            steps.step("put it in")?;
            self.put(&coming)?;
        }
        steps.step("give it its identity")?;
        self.identify(&wanted)?;
        crate::files::replace(&moved, token.as_bytes(), crate::files::Sync::Later)
            .map_err(|e| EngineError::Failed(e.to_string()))?;
        source.refill(&other, steps)
    }

    fn refill(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        if self.fs().exists() {
            return Ok(());
        }
        steps.step("make the other afresh")?;
        self.make_fresh()?;
        self.identify(wanted)
    }

    /// Paths inside are those of the host: nothing is isolated.
    pub(super) fn diff(&self) -> Result<Vec<Change>> {
        let mut there = BTreeMap::new();
        read_all(&self.fs(), &self.fs(), &mut there)?;
        there.retain(|path, _| !IDENTITY.iter().any(|own| **path == self.fs().join(own)));
        let base: BTreeMap<PathBuf, Vec<u8>> = BASE
            .iter()
            .map(|(path, text)| (self.fs().join(path), text.as_bytes().to_vec()))
            .collect();
        let mut changes: Vec<Change> = there
            .iter()
            .filter_map(|(path, bytes)| {
                let kind = match base.get(path) {
                    None => ChangeKind::Added,
                    Some(before) if before != bytes => ChangeKind::Changed,
                    Some(_) => return None,
                };
                Some(Change { path: path.clone(), kind })
            })
            .collect();
        let deleted = base.keys().filter(|path| !there.contains_key(*path));
        changes
            .extend(deleted.map(|path| Change { path: path.clone(), kind: ChangeKind::Deleted }));
        changes.sort();
        Ok(changes)
    }
}

/// Removes what destroyed machines left.
pub(super) fn remove_all_aside(root: &Path) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for entry in failed(std::fs::read_dir(root))?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".going-") {
            gone(std::fs::remove_dir_all(entry.path()))?;
            removed.push(format!("folder {}", entry.path().display()));
        }
    }
    Ok(removed)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    failed(std::fs::create_dir_all(to))?;
    for entry in failed(std::fs::read_dir(from))? {
        let entry = failed(entry)?;
        let target = to.join(entry.file_name());
        if failed(entry.file_type())?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            failed(std::fs::copy(entry.path(), target))?;
        }
    }
    Ok(())
}

fn read_all(folder: &Path, inside: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in failed(std::fs::read_dir(folder))? {
        let entry = failed(entry)?;
        let path = inside.join(entry.file_name());
        if failed(entry.file_type())?.is_dir() {
            read_all(&entry.path(), &path, into)?;
        } else {
            into.insert(path, failed(std::fs::read(entry.path()))?);
        }
    }
    Ok(())
}

fn failed<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|e| EngineError::Failed(e.to_string()))
}

fn gone(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(EngineError::Failed(e.to_string())),
        _ => Ok(()),
    }
}
