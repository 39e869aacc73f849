//! What a session is doing, who says so, and since when.

use serde::{Deserialize, Serialize};

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is at work.
    Running,
    /// It waits for a person: a question, a permission, a login.
    Waiting,
    /// Its turn is over; it would take the next task.
    Idle,
    /// Its process has ended.
    Exited,
    /// Nobody can say. Never the same as idle.
    Unknown,
}

impl State {
    /// The word that people and scripts see.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Idle => "idle",
            State::Exited => "exited",
            State::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// Who says so, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The kernel, about a process that has ended.
    Exit,
    /// The agent's own hooks.
    Hook,
    /// The structured stream of a headless run.
    Stream,
    /// Escape sequences meant for terminals: OSC 9, 99, 133, 777, progress.
    Osc,
    /// The foreground process and what it sleeps on.
    Process,
    /// What is on the screen.
    Screen,
    /// Nobody has said anything yet.
    None,
}

impl Source {
    /// The word that people and scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Source::Exit => "exit",
            Source::Hook => "hook",
            Source::Stream => "stream",
            Source::Osc => "osc",
            Source::Process => "process",
            Source::Screen => "screen",
            Source::None => "none",
        }
    }
}

/// The state of a session with its source and age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Who says so.
    pub source: Source,
    /// Since when it is in this state; milliseconds since the Unix epoch.
    pub since: u64,
    /// The evidence in one line, fit for a person.
    pub detail: String,
}

impl Status {
    /// Nobody has said anything yet.
    pub fn unknown(now: u64, why: impl Into<String>) -> Self {
        Status { state: State::Unknown, source: Source::None, since: now, detail: why.into() }
    }
}

/// One thing that speaks for a state, kept for `stead status --explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who says it.
    pub source: Source,
    /// What it says.
    pub state: State,
    /// When it said so; milliseconds since the Unix epoch.
    pub at: u64,
    /// In its own words.
    pub detail: String,
    /// Whether the present status rests on it.
    pub decides: bool,
}
