//! Sessions: starting, showing and ending them.

use super::Json;
use super::value::{duration, variable};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `stead run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Machine to run on; this host by default. "scratch" is a sandbox that needs no stead.toml
    #[arg(short, long, default_value = "host")]
    pub machine: String,
    /// The session's name; made up when absent
    #[arg(short, long)]
    pub name: Option<String>,
    /// Agent: claude, codex, opencode, gemini, shell, or one of your own
    #[arg(short, long)]
    pub agent: Option<String>,
    /// Do not show it
    #[arg(short, long)]
    pub detach: bool,
    /// Wait for its end and hand on its exit status, without showing it
    #[arg(long, conflicts_with = "detach")]
    pub wait: bool,
    /// Work in a git worktree of its own, on this branch
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "BRANCH", require_equals = true)]
    pub worktree: Option<String>,
    /// When it is started again by itself
    #[arg(long, value_enum, default_value = "resume")]
    pub restart: RestartWord,
    /// Folder to start in; this one by default. On a machine: a folder there
    #[arg(short = 'C', long)]
    pub cwd: Option<PathBuf>,
    /// A variable for the command; on a machine nothing else of this environment goes with it
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
    /// The command, or arguments for the agent; your shell when there is neither
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// When a session is started again.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RestartWord {
    /// Never by itself
    Never,
    /// After the machine went down under it
    Resume,
    /// Whenever it ends, unless you killed it
    Always,
}

/// `stead attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The session's name or id
    pub name: String,
    /// Look, do not type
    #[arg(short, long)]
    pub read_only: bool,
    /// Do not print earlier output above the screen
    #[arg(long)]
    pub no_scrollback: bool,
}

/// `stead send`.
#[derive(Debug, Args)]
pub struct Send {
    /// The session's name or id
    pub name: String,
    /// Text to type, as it is
    #[arg(required_unless_present_any = ["key", "stdin"])]
    pub text: Option<String>,
    /// Keys to press after the text: enter, tab, esc, up, ctrl-c, alt-x, f1, ...
    #[arg(short, long, value_delimiter = ',')]
    pub key: Vec<String>,
    /// Type what comes on standard input
    #[arg(long, conflicts_with = "text")]
    pub stdin: bool,
    /// Send the text as a paste, where the program asks for that
    #[arg(long)]
    pub paste: bool,
}

/// `stead wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// The session's name or id
    pub name: String,
    /// exit, idle, waiting, or a text on the screen
    #[arg(long = "for", default_value = "exit", value_name = "WHAT")]
    pub what: String,
    /// Give up after this long (exit status 124)
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The session's name or id
    pub name: String,
    /// Show all the evidence
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// The sessions' names or ids
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Send this signal to what runs in the foreground, instead of ending the session
    #[arg(short, long)]
    pub signal: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// The sessions' names or ids
    #[arg(required_unless_present = "ended")]
    pub names: Vec<String>,
    /// All sessions that have ended
    #[arg(long, conflicts_with = "names")]
    pub ended: bool,
    /// End those that still run
    #[arg(short, long)]
    pub force: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `stead rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// The session's name or id
    pub old: String,
    /// Its other name
    pub new: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// The name of a session or a machine
    pub name: String,
    /// It is a machine's name
    #[arg(short, long)]
    pub machine: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}
