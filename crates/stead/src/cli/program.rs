//! The program itself: its daemon, its completions, its pages.

use super::Json;
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
