//! `stead completions` and the man pages.

use super::print;
use crate::cli::{Cli, Completions, Man};
use crate::failure::Outcome;
use clap::CommandFactory;

pub fn completions(args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stead", &mut script);
    print(&script)?;
    Ok(0)
}

pub fn man(args: &Man) -> Outcome {
    std::fs::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(Cli::command(), &args.folder)?;
    Ok(0)
}
