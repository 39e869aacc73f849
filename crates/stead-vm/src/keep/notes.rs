//! What a person should know of a machine that runs: the file [`crate::files::NOTES`].

use crate::files::NOTES;
use std::path::{Path, PathBuf};

/// The notes.
pub struct Notes {
    path: PathBuf,
    all: Vec<String>,
}

impl Notes {
    /// None yet.
    pub fn none(folder: &Path) -> Self {
        Notes { path: folder.join(NOTES), all: Vec::new() }
    }

    /// Those that there are.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// Adds one, if it is not there.
    pub fn add(&mut self, note: String) {
        if !self.all.contains(&note) {
            self.all.push(note);
            self.write();
        }
    }

    /// Removes one, if it is there.
    pub fn take_back(&mut self, note: &str) {
        let before = self.all.len();
        self.all.retain(|other| other != note);
        if self.all.len() != before {
            self.write();
        }
    }

    /// Whoever reads sees all or none.
    fn write(&self) {
        if self.all.is_empty() {
            let _ = std::fs::remove_file(&self.path);
            return;
        }
        let new = self.path.with_extension("new");
        if std::fs::write(&new, self.all.join("\n")).is_ok() {
            let _ = std::fs::rename(&new, &self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_there_once_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let read = || std::fs::read_to_string(folder.path().join(NOTES)).ok();
        let mut notes = Notes::none(folder.path());
        notes.add("one".into());
        notes.add("two".into());
        notes.add("one".into());
        assert_eq!(read().as_deref(), Some("one\ntwo"));
        notes.take_back("one");
        notes.take_back("three");
        assert_eq!(read().as_deref(), Some("two"));
        notes.take_back("two");
        assert_eq!(read(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
