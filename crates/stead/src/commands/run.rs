//! `stead run`.

use super::{attach, machine, print, print_json, wait};
use crate::cli::{RestartWord, Run};
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use std::collections::BTreeMap;
use stead_wire::api::Create;
use stead_wire::session::{Linger, Restart, Session};

pub fn run(args: &Run) -> Outcome {
    let show = !(args.detach || args.wait);
    if show && !attach::has_terminal() {
        return Err(Failure::misused("there is no terminal to show the session in")
            .help("start it with -d, or wait for its end with --wait"));
    }
    let steward = Steward::of_user()?;
    let here = || std::env::current_dir();
    let cwd = if args.machine == "host" {
        match &args.cwd {
            Some(dir) => std::path::absolute(dir)?,
            None => here()?,
        }
    } else {
        let machine = machine::ready(&steward, &args.machine, args.json.json)?;
        match &args.cwd {
            Some(dir) => dir.clone(),
            None => machine::inside(&machine, &here()?).unwrap_or_default(),
        }
    };
    let session: Session = steward.post(
        "/v1/sessions",
        &Create {
            name: args.name.clone(),
            machine: Some(args.machine.clone()),
            agent: args.agent.clone(),
            command: args.command.clone(),
            cwd,
            env: environment()?,
            set_env: args.env.iter().cloned().collect(),
            size: attach::terminal_size().unwrap_or_default(),
            restart: match args.restart {
                RestartWord::Never => Restart::Never,
                RestartWord::Resume => Restart::Resume,
                RestartWord::Always => Restart::Always,
            },
            linger: Linger::Read,
            worktree: args.worktree.clone(),
        },
    )?;
    if args.wait {
        return wait::for_exit(&steward, &session.name, None, args.json.json);
    }
    if args.detach {
        if args.json.json {
            print_json(&session)?;
        } else {
            print(format!("{}\n", session.name).as_bytes())?;
        }
        return Ok(0);
    }
    attach::show(&steward, &session, &attach::options()?)
}

/// The environment that the session inherits.
fn environment() -> Result<BTreeMap<String, String>, Failure> {
    std::env::vars_os()
        .map(|(name, value)| match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => Ok((name, value)),
            (Ok(name), Err(_)) => {
                Err(Failure::failed(format!("the environment variable {name} is not UTF-8"))
                    .help(format!("unset {name}, or set it to UTF-8")))
            }
            (Err(name), _) => Err(Failure::failed(format!(
                "the environment variable {} is not UTF-8",
                name.display()
            ))),
        })
        .collect()
}
