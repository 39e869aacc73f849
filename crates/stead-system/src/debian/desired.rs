//! What a Debian is to be like, so that a program inside can compare and act without knowing what it was declared as.

use crate::Tree;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A Debian as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Desired {
    /// Package sources besides Debian's, by name.
    pub repositories: BTreeMap<String, Repository>,
    /// Packages.
    pub packages: BTreeSet<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Logins.
    pub users: BTreeMap<String, Login>,
    /// Files of root's, by absolute path.
    pub files: Tree,
    /// Files in homes, by user and relative path; they are the user's own.
    pub homes: BTreeMap<String, Tree>,
    /// Symbolic links and what they lead to.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Units that run, by name.
    pub units: BTreeMap<String, Unit>,
    /// Units that must not run.
    pub masked: BTreeSet<String>,
    /// What is checked and done when files have changed, in order.
    pub rules: Vec<Rule>,
    /// What is done once.
    pub tasks: Vec<Task>,
    /// Names of secrets that it reads, each with the units that do.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// What a person is told: what Debian has no means for.
    pub remarks: Vec<String>,
}

/// A package source of another's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repository {
    /// Where its key is had.
    pub key: String,
    /// The keys it may be, by fingerprint: any other is refused.
    #[serde(default)]
    pub fingerprints: BTreeSet<String>,
    /// The address of its packages.
    pub address: String,
    /// Its suite; one that ends in `/` has no components.
    pub suite: String,
    /// Its components.
    pub components: String,
    /// What is installed from it.
    pub packages: BTreeSet<String>,
}

impl Repository {
    /// Where its key is kept.
    pub fn key_path(&self, name: &str) -> PathBuf {
        // By its own content it is one or the other, and apt goes by the ending.
        let kind = if self.key.rsplit_once('.').is_some_and(|(_, kind)| kind == "gpg") {
            "gpg"
        } else {
            "asc"
        };
        format!("/etc/apt/keyrings/stead-{name}.{kind}").into()
    }

    /// Where it is written.
    pub fn path(name: &str) -> PathBuf {
        format!("/etc/apt/sources.list.d/stead-{name}.sources").into()
    }

    /// What is written there.
    pub fn text(&self, name: &str) -> String {
        let mut text = format!("Types: deb\nURIs: {}\nSuites: {}\n", self.address, self.suite);
        if !self.components.is_empty() {
            text += &format!("Components: {}\n", self.components);
        }
        // With fingerprints beside it, apt takes no other key that is in the file.
        text += &format!("Signed-By: {}", self.key_path(name).display());
        for fingerprint in &self.fingerprints {
            text += &format!(" {fingerprint}");
        }
        text + "\n"
    }
}

/// A person's login. None has a password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Login {
    /// The shell, whole path.
    pub shell: String,
    /// Groups besides its own.
    pub groups: BTreeSet<String>,
}

/// A unit that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unit {
    /// It came with a package, so systemd is asked to enable it; Stead's own are by `links`.
    pub packaged: bool,
    /// It may end by itself, and is started again only when it has changed.
    pub once: bool,
}

/// What is done about files that have changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// What it is about.
    pub name: String,
    /// Files, or folders with a `/` at the end.
    pub files: Vec<String>,
    /// What must succeed before anything takes effect. What has changed is put back where it does not.
    pub check: Vec<String>,
    /// The check is for one file at a time, which is its last argument.
    pub each: bool,
    /// What makes it take effect.
    pub act: Act,
    /// A port of TCP on which something must listen afterwards.
    pub listens: Option<u16>,
}

/// What makes files take effect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// They do by themselves.
    #[default]
    Nothing,
    /// This unit is told to read them.
    Reload(String),
    /// This unit is started again.
    Restart(String),
    /// This program reads them.
    Run(Vec<String>),
}

/// Something that is done once, and again when it is declared otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// What it does, in a few words.
    pub name: String,
    /// Who does it. `None`: root.
    pub user: Option<String>,
    /// What is there afterwards; without it the task is done again.
    pub creates: Option<PathBuf>,
    /// It is done once units run.
    pub after_units: bool,
    /// Program and arguments.
    pub run: Vec<String>,
    /// Program and arguments that undo it.
    pub undo: Vec<String>,
}
