//! Machines that are there.

use super::Json;
use clap::Args;

/// `stead ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only this machine and its sessions
    #[arg(short, long)]
    pub machine: Option<String>,
    /// Only machines
    #[arg(long)]
    pub machines: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// Machines by name.
#[derive(Debug, Args)]
pub struct Machines {
    /// The machines
    #[arg(required = true)]
    pub machines: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The machines
    #[arg(required = true)]
    pub machines: Vec<String>,
    /// Copy this host's login of Claude Code into those that have none, once
    #[arg(long)]
    pub share_agent_auth: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead destroy`.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The machines
    #[arg(required = true)]
    pub machines: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The machine
    pub machine: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead operations`.
#[derive(Debug, Args)]
pub struct Operations {
    /// One operation, with all its steps
    pub id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The machine; this host when absent
    pub machine: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}
