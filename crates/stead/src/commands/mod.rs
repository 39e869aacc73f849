//! One file a command, or a few that belong together.

mod agents;
mod attach;
mod history;
mod kill;
mod ls;
mod run;
mod screen;
mod search;
mod send;
mod shell;
mod status;
mod steward;
mod wait;

use crate::cli::{Cli, Command};
use crate::dashboard;
use crate::failure::{Failure, Outcome};
use serde::Serialize;
use std::io::{self, Write};

/// Carries out what the command line says.
pub fn run(cli: Cli) -> Outcome {
    let Some(command) = cli.command else { return dashboard::run() };
    let outcome = match command {
        Command::Run(args) => run::run(&args),
        Command::Attach(args) => attach::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Screen(args) => screen::run(&args),
        Command::Logs(args) => history::logs(&args),
        Command::Send(args) => send::run(&args),
        Command::Wait(args) => wait::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Replay(args) => history::replay(&args),
        Command::Export(args) => history::export(&args),
        Command::Kill(args) => kill::kill(&args),
        Command::Rm(args) => kill::rm(&args),
        Command::Rename(args) => kill::rename(&args),
        Command::Restart(args) => kill::restart(&args),
        Command::Agents(args) => agents::run(args),
        Command::Steward(args) => steward::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    };
    match outcome {
        // Whoever read our output has seen enough.
        Err(failure) if failure.is_broken_pipe() => Ok(0),
        outcome => outcome,
    }
}

/// Prints a value as one line of JSON.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    print(&line)
}

/// Prints to standard output; a reader that has gone is an error, not a panic.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}
