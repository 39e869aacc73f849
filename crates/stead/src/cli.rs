//! The command line, as clap reads it. Completions, man pages and `--help` all come from here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// A steady place for coding agents to work.
///
/// Sessions outlive your connection, your laptop, the steward and the reboot. Without a command, opens the
/// dashboard.
#[derive(Debug, Parser)]
#[command(name = "stead", version, max_term_width = 100, subcommand_help_heading = "Commands")]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a session and show it
    Run(Run),
    /// Show a session; leave with ctrl-\ d
    Attach(Attach),
    /// List machines and sessions with what they are doing
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Print what is on a session's screen now
    Screen(Screen),
    /// Print everything a session ever printed
    Logs(Logs),
    /// Type into a session
    Send(Send),
    /// Wait until a session ends, is idle, waits for you, or shows a text
    Wait(Wait),
    /// Say what a session is doing, who says so, and since when
    Status(Status),
    /// Search what sessions have printed
    Search(Search),
    /// Play a session again as it happened
    Replay(Replay),
    /// Write a session's history to a file
    Export(Export),
    /// End a session, or send it a signal
    Kill(Kill),
    /// Remove ended sessions with their history
    Rm(Rm),
    /// Give a session another name
    Rename(Rename),
    /// Start an ended session again, its agent with its conversation; or a machine
    Restart(Restart),
    /// Run a command inside a machine and hand on its exit status
    Exec(Exec),
    /// Open a shell inside a machine
    Shell(Shell),
    /// Copy files into or out of a machine
    Cp(Cp),
    /// Lead ports of this host into a machine for as long as this runs
    Forward(Forward),
    /// Write a first stead.toml
    Init(Init),
    /// Show what would change for the machines to be as stead.toml says (exit status 3: something would)
    Plan(Plan),
    /// Make the machines as stead.toml says
    Apply(Apply),
    /// Start machines
    Up(Machines),
    /// Stop machines; their states stay
    Down(Machines),
    /// Remove machines with their states and snapshots
    Destroy(Destroy),
    /// Show what a machine changed against its base
    Diff(Diff),
    /// Keep a machine's state, and put it back
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Make a machine from another one's state
    Clone(CloneMachine),
    /// Put a machine's state into another machine
    Move(Move),
    /// Show what was done to machines
    Operations(Operations),
    /// Say what this host can do for machines, and why not; or what is wrong with one (exit status 1: something is)
    Doctor(Doctor),
    /// Print the JSON Schema of stead.toml
    Schema,
    /// List the agents that `run -a` knows
    Agents(Json),
    /// The daemon of this host
    #[command(subcommand)]
    Steward(Steward),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man(Man),
}

/// `--json`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Json {
    /// Print JSON (its shape is described in docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// A session by name.
#[derive(Debug, Args)]
pub struct Named {
    /// The session's name or id
    pub name: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

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

/// `stead exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The machine
    pub machine: String,
    /// Folder inside to start in
    #[arg(short = 'C', long)]
    pub cwd: Option<PathBuf>,
    /// A variable for the command
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// `stead shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// The machine
    pub machine: String,
    /// Folder inside to start in
    #[arg(short = 'C', long)]
    pub cwd: Option<PathBuf>,
}

/// `stead cp`.
#[derive(Debug, Args)]
pub struct Cp {
    /// What to copy: PATH on this host, or MACHINE:PATH
    pub from: String,
    /// Where to: PATH on this host, or MACHINE:PATH
    pub to: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead forward`.
#[derive(Debug, Args)]
pub struct Forward {
    /// The machine
    pub machine: String,
    /// Ports: 8080, 8080:80, 0.0.0.0:8080:80
    #[arg(required = true)]
    pub ports: Vec<String>,
}

/// Where the stead file is.
#[derive(Debug, Args)]
pub struct SteadFile {
    /// The stead file; stead.toml here or in a folder above by default
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// `stead init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder; this one by default
    pub folder: Option<PathBuf>,
}

/// `stead plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Only these machines
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Only these machines
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    /// Do not ask before something is destroyed
    #[arg(short, long)]
    pub yes: bool,
    /// Machines that are worked on at once
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub parallel: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// Machines by name.
#[derive(Debug, Args)]
pub struct Machines {
    /// The machines
    #[arg(required = true)]
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead destroy`.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The machines
    #[arg(required = true)]
    pub machines: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The machine
    pub machine: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead snapshot`.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Keep a machine's state as it is now
    Create {
        /// The machine
        machine: String,
        /// The snapshot's name; the time when absent
        name: Option<String>,
        /// Something to remember it by
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// List a machine's snapshots
    #[command(visible_alias = "list")]
    Ls {
        /// The machine
        machine: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// Put a kept state back; the one that is replaced is kept as a snapshot first
    Restore {
        /// The machine
        machine: String,
        /// The snapshot
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// Remove snapshots
    Rm {
        /// The machine
        machine: String,
        /// The snapshots
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
}

/// `stead clone`.
#[derive(Debug, Args)]
pub struct CloneMachine {
    /// The machine to copy
    pub from: String,
    /// The machine to make
    pub to: String,
    /// From this snapshot instead of its present state
    #[arg(short, long)]
    pub snapshot: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead move`.
#[derive(Debug, Args)]
pub struct Move {
    /// The machine whose state goes
    pub from: String,
    /// The machine that gets it; its own state is kept as a snapshot first
    pub to: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead operations`.
#[derive(Debug, Args)]
pub struct Operations {
    /// One operation, with all its steps
    pub id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The machine; this host when absent
    pub machine: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
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

/// `stead ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only this machine and its sessions
    #[arg(short, long)]
    pub machine: Option<String>,
    /// Only machines
    #[arg(long)]
    pub machines: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead screen`.
#[derive(Debug, Args)]
pub struct Screen {
    /// The session's name or id
    pub name: String,
    /// As text, as escape sequences that paint it, or as cells
    #[arg(long, value_enum, default_value = "text")]
    pub format: ScreenFormat,
}

/// Formats of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScreenFormat {
    /// Lines of text
    Text,
    /// Escape sequences that paint it
    Ansi,
    /// Cells with attributes, cursor, title
    Json,
}

/// `stead logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The session's name or id
    pub name: String,
    /// Go on until the session ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only what was printed in the last while (30s, 5m, 2h, 1d)
    #[arg(long, value_parser = duration)]
    pub since: Option<Duration>,
    /// The bytes as they were printed, escape sequences and all
    #[arg(long)]
    pub raw: bool,
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

/// `stead search`.
#[derive(Debug, Args)]
pub struct Search {
    /// Text to find; a regular expression with --regex
    pub pattern: String,
    /// Only in these sessions
    pub names: Vec<String>,
    /// The pattern is a regular expression
    #[arg(short = 'E', long)]
    pub regex: bool,
    /// Upper and lower case are the same
    #[arg(short, long)]
    pub ignore_case: bool,
    /// Stop after this many lines
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The session's name or id
    pub name: String,
    /// How many times faster
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Longest pause shown (for example 2s)
    #[arg(long, value_parser = duration)]
    pub idle: Option<Duration>,
}

/// `stead export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The session's name or id
    pub name: String,
    /// asciicast (for asciinema), text, or the raw bytes
    #[arg(long, value_enum, default_value = "asciicast")]
    pub format: ExportFormat,
    /// File to write; standard output when absent
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    /// asciinema's recording, version 2
    Asciicast,
    /// Text without escape sequences
    Text,
    /// Bytes as they were printed
    Raw,
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

/// `stead steward`.
#[derive(Debug, Subcommand)]
pub enum Steward {
    /// Run it here, until it is told to stop
    Run {
        /// Leave the terminal and the process group of whoever started it
        #[arg(long, hide = true)]
        background: bool,
    },
    /// Start it in the background
    Start,
    /// Stop it; sessions go on
    Stop,
    /// Stop it and start it again; sessions go on
    Restart,
    /// Say whether it runs
    Status(Json),
    /// Have systemd start it
    Install {
        /// For the whole system instead of this user
        #[arg(long)]
        system: bool,
        /// Only print the unit
        #[arg(long)]
        print: bool,
    },
    /// Undo `install`
    Uninstall {
        /// The system's instead of this user's
        #[arg(long)]
        system: bool,
    },
}

/// `stead completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `stead man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder
    pub folder: PathBuf,
}

/// Reads `NAME=VALUE`, or `NAME` for one that is set here.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        None if !text.is_empty() => std::env::var(text)
            .map(|value| (text.to_owned(), value))
            .map_err(|_| format!("{text} is not set here: write {text}=VALUE")),
        _ => {
            Err("a variable is written NAME=VALUE, or NAME to hand on the one that is set here"
                .into())
        }
    }
}

/// Reads `250ms`, `30s`, `5m`, `2h`, `1d`; a plain number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong_duration())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86400.0,
        _ => return Err(wrong_duration()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong_duration())
}

fn wrong_duration() -> String {
    "a duration is a number with ms, s, m, h or d, such as 30s".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "-1s", "1y", "1e400"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
