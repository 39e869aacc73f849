//! The JSON bodies of the steward's HTTP interface on its unix socket.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/version` | | [`Version`] |
//! | `GET /v1/sessions` | | list of [`Session`] |
//! | `POST /v1/sessions` | [`Create`] | [`Session`], 201 |
//! | `GET /v1/sessions/NAME` | | [`Session`] |
//! | `GET /v1/sessions/NAME/explain` | | list of [`crate::status::Evidence`] |
//! | `POST /v1/sessions/NAME/kill` | [`Kill`] | [`Session`] |
//! | `POST /v1/sessions/NAME/rename` | [`Rename`] | [`Session`] |
//! | `POST /v1/sessions/NAME/restart` | | [`Session`] |
//! | `POST /v1/sessions/NAME/sync` | | why what is on this host's disk may be old, or null: its history has been brought here |
//! | `DELETE /v1/sessions/NAME` | | nothing, 204 |
//! | `GET /v1/events` | | [`Event`]s, one JSON object a line, for as long as the client listens |
//! | `POST /v1/stop` | | nothing, 204; the steward ends, sessions do not |
//!
//! `NAME` is a session's name or id. Anything but success is a [`Problem`] with a fitting HTTP status. Terminals do
//! not pass through here: a client connects to the hold's own socket.

use crate::session::{Linger, Restart, Session, Size};
use crate::status::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The program's version.
    pub version: String,
    /// The steward's process id.
    pub pid: i32,
    /// Since when it runs; milliseconds since the Unix epoch.
    pub started: u64,
    /// Messages from its start that a person should see, such as an index that was rebuilt.
    pub messages: Vec<String>,
}

/// A session to be made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Create {
    /// Name; made up when absent.
    pub name: Option<String>,
    /// Machine; `host` when absent.
    pub machine: Option<String>,
    /// Profile of the agent.
    pub agent: Option<String>,
    /// Command, or arguments to the agent's own. Empty: the agent's command, or the user's shell.
    pub command: Vec<String>,
    /// Folder to start in. On another machine than `host`: a folder there, or empty for the one that is usual there.
    pub cwd: PathBuf,
    /// The caller's environment; the agent's profile may refuse parts of it. Other machines than `host` have their own:
    /// there it is not used, but for `LANG`.
    pub env: BTreeMap<String, String>,
    /// Variables that a person asked for by name; they go to every machine and come before all others.
    pub set_env: BTreeMap<String, String>,
    /// First size of the terminal.
    pub size: Size,
    /// When it is started again.
    pub restart: Restart,
    /// How long the hold stays after the end.
    pub linger: Linger,
    /// Work in a git worktree of its own (on `host` only); the branch's name, or empty to have one made up.
    pub worktree: Option<String>,
}

/// A session to be ended or signalled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kill {
    /// Signal number; 0 ends the session.
    pub signal: i32,
}

/// A session's other name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The name.
    pub name: String,
}

/// What went wrong, for a person and for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// One of `not-found`, `exists`, `invalid`, `ended`, `failed`.
    pub code: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Something happened to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// It is there, or is as described now.
    Session {
        /// All of it.
        session: Session,
    },
    /// Its status has changed.
    Status {
        /// The session's id.
        id: String,
        /// The status before.
        before: Status,
        /// The status now.
        now: Status,
    },
    /// It has been removed.
    Removed {
        /// The session's id.
        id: String,
    },
}
