//! The command line, as clap reads it. Completions, man pages and `--help` all come from here: the commands in this file,
//! their arguments in a file for each group.

mod file;
mod inside;
mod machines;
mod printed;
mod program;
mod sessions;
mod states;
mod system;
mod value;

pub use file::{Apply, Init, New, Plan};
pub use inside::{Console, Cp, Exec, Forward, Login, Shell, StartScript};
pub use machines::{Destroy, Diff, Doctor, Ls, Machines, Operations, Up};
pub use printed::{Export, ExportFormat, Logs, Replay, Screen, ScreenFormat, Search};
pub use program::{Completions, Man, Steward};
pub use sessions::{Attach, Kill, Rename, Restart, RestartWord, Rm, Run, Send, Status, Wait};
pub use states::{CloneMachine, Move, Snapshot};
pub use system::{Audit, Device, Install, Render, Switch, System, To};

use clap::{Args, Parser, Subcommand};

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
    /// Show a virtual machine's serial console; leave with ctrl-\ d
    Console(Console),
    /// Log an agent in inside a machine, by the agent's own login, shown here
    Login(Login),
    /// Copy files into or out of a machine
    Cp(Cp),
    /// Lead ports of this host into a machine for as long as this runs
    Forward(Forward),
    /// Write a first stead.toml
    Init(Init),
    /// Choose a machine from menus and add it to stead.toml
    New(New),
    /// Show what would change for the machines to be as stead.toml says (exit status 3: something would)
    Plan(Plan),
    /// Make the machines as stead.toml says
    Apply(Apply),
    /// Start machines
    Up(Up),
    /// Stop machines; their states stay
    Down(Machines),
    /// Remove machines with their states and snapshots
    Destroy(Destroy),
    /// Write a script that starts a virtual machine without Stead
    StartScript(StartScript),
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
    /// Declared systems: rendered to files, brought to machines, installed
    #[command(subcommand)]
    System(System),
    /// Check a live machine against its declared system (exit status 3: something failed)
    Audit(Audit),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
