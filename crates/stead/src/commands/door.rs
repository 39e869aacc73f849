//! `stead exec`, `shell`: through a machine's door, with this terminal.

use super::machine::path;
use crate::cli::{Exec, Shell};
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use stead_steward::machines::api;

pub fn exec(args: &Exec) -> Outcome {
    let steward = Steward::of_user()?;
    let command = command(&steward, &args.machine, args.cwd.as_deref(), &args.env, &args.command)?;
    become_it(command)
}

pub fn shell(args: &Shell) -> Outcome {
    let steward = Steward::of_user()?;
    // The best shell that is there; a login shell, so that it is set up as people expect.
    let script =
        "for shell in bash zsh sh; do command -v $shell >/dev/null && exec $shell -l; done";
    let words = ["/bin/sh", "-c", script].map(String::from);
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm-256color".into());
    let env = [("TERM".to_owned(), term)];
    become_it(command(&steward, &args.machine, args.cwd.as_deref(), &env, &words)?)
}

/// The command that runs `words` inside.
///
/// # Errors
/// If there is no such machine, or it does not run.
pub fn command(
    steward: &Steward,
    machine: &str,
    cwd: Option<&Path>,
    env: &[(String, String)],
    words: &[String],
) -> Result<Command, Failure> {
    let ask = api::Exec {
        command: words.to_vec(),
        cwd: cwd.map(ToOwned::to_owned),
        env: env.iter().cloned().collect(),
    };
    let door: api::Door = steward.post(&format!("{}/exec", path(machine)), &ask)?;
    let Some((program, args)) = door.command.split_first() else {
        return Err(Failure::failed(format!("{machine} has no door")));
    };
    let mut command = Command::new(program);
    command.args(args).envs(door.env);
    if let Some(cwd) = door.cwd {
        command.current_dir(cwd);
    }
    Ok(command)
}

/// Goes on as that command: its terminal, signals and exit status are its own.
pub fn become_it(mut command: Command) -> Outcome {
    let error = command.exec();
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Failure::failed(format!("cannot run {program}: {error}")))
}
