//! The stead file: writing it, planning from it, applying it.

use super::Json;
use clap::Args;
use std::path::PathBuf;

/// Where the stead file is.
#[derive(Debug, Args)]
pub struct SteadFile {
    /// The stead file; stead.toml here or in a folder above by default
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// `stead init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder; this one by default
    pub folder: Option<PathBuf>,
}

/// `stead new`.
#[derive(Debug, Args)]
pub struct New {
    /// The machine's name; asked for when absent
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    /// Ask line by line, without menus; so it is where there is no terminal
    #[arg(long)]
    pub plain: bool,
}

/// `stead plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Only these machines
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Only these machines
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    /// Do not ask before something is destroyed; sensitive folders are asked for all the same
    #[arg(short, long)]
    pub yes: bool,
    /// Copy this host's login of Claude Code into the machines that have none, once
    #[arg(long)]
    pub share_agent_auth: bool,
    /// Machines that are worked on at once
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub parallel: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}
