//! Commands, files and ports inside machines.

use super::Json;
use super::value::variable;
use clap::Args;
use std::path::PathBuf;

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

/// `stead console`.
#[derive(Debug, Args)]
pub struct Console {
    /// The machine
    pub machine: String,
    /// Print what it printed until now instead
    #[arg(long)]
    pub log: bool,
    /// Go on printing what comes
    #[arg(short, long, requires = "log")]
    pub follow: bool,
    /// Print it as it came, with its escape sequences
    #[arg(long, requires = "log")]
    pub raw: bool,
}

/// `stead start-script`.
#[derive(Debug, Args)]
pub struct StartScript {
    /// The machine
    pub machine: String,
    /// Where to write it; - is standard output. Without: start-MACHINE.sh
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `stead login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The machine
    pub machine: String,
    /// The agent; stead agents lists them
    #[arg(short, long, default_value = "claude")]
    pub agent: String,
    /// More arguments for the agent's own login
    #[arg(last = true)]
    pub args: Vec<String>,
}
