//! `stead`: the program people run.

mod cli;
mod commands;
mod dashboard;
mod failure;
mod present;
mod resolve;
mod stead_file;
mod steward;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure::report(&failure);
            ExitCode::from(failure.status)
        }
    }
}
