//! A session: as it was asked for, as it runs, as it ended.
//!
//! [`Spec`], [`Run`], [`Conversation`] and [`Exit`] are also the JSON files in a session's folder. Unknown
//! fields in them are ignored, absent ones have defaults, so that programs of different age can read
//! each other's folders.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest name of a session, in bytes.
pub const MAX_NAME: usize = 63;

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

impl Size {
    /// Largest size that a session takes; more is cut to this.
    pub const MAX: Size = Size { cols: 1000, rows: 500 };

    /// The size that the terminal model can hold: at least 1x1, at most [`Size::MAX`].
    #[must_use]
    pub fn clamped(self) -> Self {
        Size { cols: self.cols.clamp(1, Self::MAX.cols), rows: self.rows.clamp(1, Self::MAX.rows) }
    }
}

impl Default for Size {
    fn default() -> Self {
        Size { cols: 80, rows: 24 }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.cols, self.rows)
    }
}

/// When a session is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// Never by itself.
    Never,
    /// After its machine went down under it, never after it ended by itself.
    #[default]
    Resume,
    /// Whenever it ends, unless a person killed it.
    Always,
}

impl Restart {
    /// The word in stead files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Restart::Never => "never",
            Restart::Resume => "resume",
            Restart::Always => "always",
        }
    }
}

/// How long a hold stays after its command has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linger {
    /// Until somebody has read the exit status.
    #[default]
    Read,
    /// Not at all: the folder keeps the exit status.
    None,
}

/// How a headless agent reports what it does on its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// `claude -p --output-format stream-json`.
    ClaudeStreamJson,
    /// `codex exec --json`.
    CodexJson,
}

/// What a hold needs to know of the agent in its session. Made from a profile by the steward; a hold
/// alone has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSpec {
    /// The profile's name, for example `claude`.
    pub profile: String,
    /// Hook events and what they say: `"Stop" -> "idle"`. A key may be narrowed by a field of the
    /// payload: `"Notification:notification_type=permission_prompt"`.
    pub hooks: BTreeMap<String, crate::status::State>,
    /// Field of a hook's payload that carries the conversation's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_field: Option<String>,
    /// The conversation's id where it was chosen beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The structured stream that the command prints, if it runs headless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// What the agent tells its terminal, and what it says of its state: `"title=✳" -> "idle"` for a title
    /// that begins so, `"notify=Approval requested" -> "waiting"` for a notification that begins so.
    pub signals: BTreeMap<String, crate::status::State>,
    /// Texts that mean "waiting" when they are on the screen (regular expressions are not
    /// understood here), used only while no stronger source has spoken.
    pub screen_waiting: Vec<String>,
}

/// What was asked for: `spec.json`, written once before the session starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Identity, made once: lower-case letters and digits.
    pub id: String,
    /// The name that people use. Unique among the sessions of a host; may change.
    pub name: String,
    /// The machine it runs on; `host` is this one.
    #[serde(default = "host")]
    pub machine: String,
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The folder it starts in.
    pub cwd: PathBuf,
    /// The whole environment of the command.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The terminal's first size.
    #[serde(default)]
    pub size: Size,
    /// When it is started again.
    #[serde(default)]
    pub restart: Restart,
    /// How long the hold stays after the end.
    #[serde(default)]
    pub linger: Linger,
    /// The agent in it, if it is one that a profile describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSpec>,
    /// When it was asked for; milliseconds since the Unix epoch.
    pub created: u64,
    /// The command as a person gave it, before a profile added to it. Restarts begin from this.
    #[serde(default)]
    pub asked: Vec<String>,
}

fn host() -> String {
    "host".into()
}

/// One life of a session: `run.json`, written by the hold when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The hold's process id.
    pub hold: i32,
    /// The hold's start time in clock ticks since boot (field 22 of `/proc/PID/stat`): with the boot id it
    /// tells this process from a later one of the same number.
    pub hold_start: u64,
    /// The kernel's boot id.
    pub boot: String,
    /// The command's process id.
    pub pid: i32,
    /// When this life began; milliseconds since the Unix epoch.
    pub started: u64,
    /// Which life this is, from 1.
    pub life: u32,
}

/// The conversation that the agent of a session holds: `conversation.json`. Once known, an id is replaced
/// only by another id that the agent itself reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The agent's own id of it.
    pub id: String,
    /// Where it was learned: `hook`, `stream`, `chosen`.
    pub source: String,
    /// When; milliseconds since the Unix epoch.
    pub learned: u64,
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// It ended by itself.
    Itself,
    /// A person killed it.
    Person,
    /// Its machine or its hold went down under it.
    Lost,
}

/// How a session ended: `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit status, if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When; milliseconds since the Unix epoch.
    pub at: u64,
    /// Who ended it.
    pub by: EndedBy,
    /// Why it never started, if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Exit {
    /// The status that a shell would show: the code, or 128 + the signal.
    pub fn shell_status(&self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 1,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.failed, self.code, self.signal) {
            (Some(why), _, _) => write!(f, "did not start: {why}"),
            (None, Some(code), _) => write!(f, "exited({code})"),
            (None, None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None, None) => f.write_str("lost: its machine went down"),
        }
    }
}

/// What an agent's own reports add up to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentReport {
    /// Turns taken.
    pub turns: u32,
    /// What it cost, in US dollars, where the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens read and written, where the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The final result of a headless run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Whether the agent itself calls the result an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// The model it says it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Tokens of an agent's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Read by the model.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
}

/// Everything that is known of a session: what `stead ls --json` prints, what a hold answers when asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Identity.
    pub id: String,
    /// The name that people use.
    pub name: String,
    /// The machine it runs on.
    pub machine: String,
    /// The agent's profile, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The command that runs.
    pub command: Vec<String>,
    /// The folder it started in.
    pub cwd: PathBuf,
    /// What it is doing, who says so, since when.
    pub status: Status,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// When it is started again.
    pub restart: Restart,
    /// The terminal's size.
    pub size: Size,
    /// The title that the program gave its terminal.
    #[serde(default)]
    pub title: String,
    /// When it was asked for; milliseconds since the Unix epoch.
    pub created: u64,
    /// When its present life began; milliseconds since the Unix epoch.
    pub started: u64,
    /// When it last printed something; milliseconds since the Unix epoch.
    #[serde(default)]
    pub active: u64,
    /// Which life this is, from 1.
    #[serde(default)]
    pub life: u32,
    /// The command's process id while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Bytes printed so far, over all lives.
    #[serde(default)]
    pub output: u64,
    /// Clients attached now.
    #[serde(default)]
    pub attached: u32,
    /// The agent's conversation, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// What the agent reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<AgentReport>,
    /// Something that a person should know: history that could not be written, an index rebuilt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

use crate::status::Status;

/// Whether `name` can name a session: 1 to [`MAX_NAME`] of `A-Z a-z 0-9 _ - .`, not beginning with a dash or
/// a dot.
///
/// # Errors
/// A sentence that says what is wrong with it and what would be right.
pub fn check_name(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    let shown = if name.chars().count() > 40 { format!("{shown}…") } else { shown };
    if name.is_empty() {
        return Err("a name cannot be empty: use letters, digits, '-', '_' and '.'".into());
    }
    if name.len() > MAX_NAME {
        return Err(format!(
            "the name \"{shown}\" has {} bytes; at most {MAX_NAME} are allowed",
            name.len()
        ));
    }
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        return Err(format!(
            "the name \"{shown}\" contains {bad:?}; use letters, digits, '-', '_' and '.'"
        ));
    }
    if name.starts_with(['-', '.']) {
        return Err(format!(
            "the name \"{shown}\" begins with {:?}; begin with a letter or digit",
            &name[..1]
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "fix-login_2", "v1.2", &"x".repeat(63)] {
            check_name(good).unwrap();
        }
        for (bad, says) in [
            ("", "empty"),
            ("a/b", "'/'"),
            ("a b", "' '"),
            ("añb", "'ñ'"),
            ("-a", "begins"),
            ("..", "begins"),
            (&"x".repeat(10_000), "10000 bytes"),
        ] {
            let why = check_name(bad).unwrap_err();
            assert!(why.contains(says) && why.len() < 200, "{bad:.20}: {why}");
        }
    }

    #[test]
    fn an_old_spec_with_few_fields_is_read() {
        let spec: Spec = serde_json::from_str(
            r#"{"id":"x","name":"n","command":["sh"],"cwd":"/","created":1,"later":true}"#,
        )
        .unwrap();
        assert_eq!(spec.machine, "host");
        assert_eq!(spec.restart, Restart::Resume);
    }
}
