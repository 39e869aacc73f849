//! Daemons and timers of people's own.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A systemd unit, hardened unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// What it is.
    pub kind: ServiceKind,
    /// What it is for, in a few words.
    pub description: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Who it runs as. `None`: a user of its own that is there while it runs.
    pub user: Option<String>,
    /// The folder it starts in.
    pub cwd: Option<PathBuf>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Secrets it reads, each as a file in `$CREDENTIALS_DIRECTORY`.
    pub secrets: Vec<String>,
    /// Folders it writes to, besides its own (`/var/lib/NAME`).
    pub writes: Vec<PathBuf>,
    /// Whether it connects to anything.
    pub network: bool,
    /// When it is started again: `always`, `on-failure`, `no`.
    pub restart: String,
    /// When it runs, as `OnCalendar=` has it. `None`: all the time.
    pub calendar: Option<String>,
    /// Units it comes after.
    pub after: Vec<String>,
    /// Directives of hardening it does without, by name.
    pub relax: Vec<String>,
    /// Whether its failure is told, if anything is.
    pub alert: bool,
    /// Labels of its lines in Loki.
    pub labels: BTreeMap<String, String>,
}

impl Default for Service {
    fn default() -> Self {
        Service {
            kind: ServiceKind::Command,
            description: String::new(),
            command: Vec::new(),
            user: None,
            cwd: None,
            env: BTreeMap::new(),
            secrets: Vec::new(),
            writes: Vec::new(),
            network: true,
            restart: "on-failure".into(),
            calendar: None,
            after: Vec::new(),
            relax: Vec::new(),
            alert: true,
            labels: BTreeMap::new(),
        }
    }
}

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// A command of the user's.
    #[default]
    Command,
    /// `claude remote-control`: an agent that is steered from elsewhere.
    RemoteControl,
}

/// Where a failed unit is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Alerts {
    /// The address of a topic at an ntfy server.
    pub ntfy: Option<String>,
    /// The secret with the token for it.
    pub token: Option<String>,
}

/// Where the journal goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logs {
    /// The address of Loki's push endpoint.
    pub loki: Option<String>,
    /// Labels of every line.
    pub labels: BTreeMap<String, String>,
}
