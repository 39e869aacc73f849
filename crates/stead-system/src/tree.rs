//! Files that are to be somewhere.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Files by path: relative to a folder, or absolute on a machine.
pub type Tree = BTreeMap<PathBuf, File>;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What is in it.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
}

impl File {
    /// One that all may read.
    pub fn new(text: impl Into<String>) -> Self {
        File { text: text.into(), mode: 0o644 }
    }

    /// One that all may run.
    pub fn program(text: impl Into<String>) -> Self {
        File { text: text.into(), mode: 0o755 }
    }

    /// One that root alone reads.
    pub fn private(text: impl Into<String>) -> Self {
        File { text: text.into(), mode: 0o600 }
    }
}
