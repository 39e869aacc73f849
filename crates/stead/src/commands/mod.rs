//! One file a command, or a few that belong together.

mod agents;
mod ask;
mod attach;
mod audit;
mod consent;
mod console;
mod cp;
mod doctor;
mod door;
mod forward;
mod history;
mod kill;
mod login;
mod ls;
mod machine;
mod new;
mod operations;
mod plan;
mod run;
mod screen;
mod search;
mod send;
mod shell;
mod snapshot;
mod status;
mod steward;
mod system;
mod wait;
mod work;

use crate::cli::{Cli, Command};
use crate::dashboard;
use crate::failure::{Failure, Outcome};
pub use machine::is_scratch;
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
        Command::Exec(args) => door::exec(&args),
        Command::Shell(args) => door::shell(&args),
        Command::Console(args) => console::run(&args),
        Command::Login(args) => login::run(&args),
        Command::Cp(args) => cp::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Init(args) => plan::init(&args),
        Command::New(args) => new::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Apply(args) => plan::apply(&args),
        Command::Up(args) => machine::up(&args),
        Command::Down(args) => machine::down(&args),
        Command::Destroy(args) => machine::destroy(&args),
        Command::StartScript(args) => console::start_script(&args),
        Command::Diff(args) => machine::diff(&args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Clone(args) => machine::clone(&args),
        Command::Move(args) => machine::move_state(&args),
        Command::Operations(args) => operations::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::System(args) => system::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Schema => plan::schema(),
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
