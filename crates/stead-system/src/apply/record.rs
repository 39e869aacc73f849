//! What on a machine is Stead's, written down there.

use super::files;
use super::machine::Machine;
use crate::File;
use crate::debian::{Rule, Task};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where Stead's own things are on a machine.
pub(super) const FOLDER: &str = "/var/lib/stead-system";

/// What is Stead's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Files, and what they were before.
    pub files: BTreeMap<PathBuf, Option<File>>,
    /// Links, and where they led before.
    pub links: BTreeMap<PathBuf, Option<PathBuf>>,
    /// What is no text in whose place something of Stead's is: it lies beside that, as `files::aside` names it.
    pub aside: BTreeSet<PathBuf>,
    /// Files in homes, and what they were before.
    pub homes: BTreeMap<String, BTreeMap<PathBuf, Option<File>>>,
    /// MCP servers in homes, by name.
    pub servers: BTreeMap<String, BTreeSet<String>>,
    /// Files of package sources, and their keys.
    pub sources: BTreeSet<PathBuf>,
    /// Packages that it installed.
    pub packages: BTreeSet<String>,
    /// Groups that it made.
    pub groups: BTreeSet<String>,
    /// Users that it made, and those that it takes care of.
    pub users: BTreeMap<String, Known>,
    /// Units of packages that it enabled.
    pub enabled: BTreeSet<String>,
    /// All units that it runs.
    pub units: BTreeSet<String>,
    /// Units that it masked.
    pub masked: BTreeSet<String>,
    /// What was done once.
    pub tasks: BTreeMap<String, Task>,
    /// Secrets.
    pub secrets: BTreeSet<String>,
    /// The rules of the last time, for what is removed.
    pub rules: Vec<Rule>,
}

/// A user it knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// It made it.
    pub made: bool,
    /// It is locked, because it is declared no more.
    pub locked: bool,
    /// Groups into which it put it.
    pub groups: BTreeSet<String>,
}

impl Record {
    pub fn read(machine: &Machine) -> Result<Self, String> {
        let path = machine.at(&path());
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                format!(
                    "{} cannot be read, so that nobody knows what is Stead's here: {error}",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }

    pub fn write(&self, machine: &Machine) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let path = machine.at(&path());
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        files::private_folder(path.parent().unwrap_or(Path::new("/")))?;
        files::write(&path, &File::private(text))
    }
}

fn path() -> PathBuf {
    Path::new(FOLDER).join("applied.json")
}
