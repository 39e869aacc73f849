//! What is in machines: kept, put back, copied, moved.

use super::Json;
use clap::{Args, Subcommand};

/// `stead snapshot`.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Keep a machine's state as it is now
    Create {
        /// The machine
        machine: String,
        /// The snapshot's name; the time when absent
        name: Option<String>,
        /// Something to remember it by
        #[arg(long, default_value = "")]
        note: String,
        /// With its memory: what runs goes on from there once it is restored (engine qemu)
        #[arg(long)]
        memory: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// List a machine's snapshots
    #[command(visible_alias = "list")]
    Ls {
        /// The machine
        machine: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// Put a kept state back; the one that is replaced is kept as a snapshot first
    Restore {
        /// The machine
        machine: String,
        /// The snapshot
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
    /// Remove snapshots
    Rm {
        /// The machine
        machine: String,
        /// The snapshots
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        json: Json,
    },
}

/// `stead clone`.
#[derive(Debug, Args)]
pub struct CloneMachine {
    /// The machine to copy
    pub from: String,
    /// The machine to make
    pub to: String,
    /// From this snapshot instead of its present state
    #[arg(short, long)]
    pub snapshot: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead move`.
#[derive(Debug, Args)]
pub struct Move {
    /// The machine whose state goes
    pub from: String,
    /// The machine that gets it; its own state is kept as a snapshot first
    pub to: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}
