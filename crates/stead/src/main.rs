//! `stead`: the program people run.

mod at_once;
mod cli;
mod commands;
mod dashboard;
mod failure;
mod present;
mod resolve;
mod secrets;
mod stead_file;
mod steward;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(status) = at_once::exec(std::env::args_os().skip(1)) {
        return status;
    }
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure::report(&failure);
            ExitCode::from(failure.status)
        }
    }
}
