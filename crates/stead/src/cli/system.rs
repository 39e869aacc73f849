//! Declared systems: rendering them, bringing them to machines, checking what is there.

use super::Json;
use super::file::SteadFile;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `stead system`.
#[derive(Debug, Subcommand)]
pub enum System {
    /// Write a system as files: a NixOS flake, or cloud-init user-data with what `switch` would bring
    Render(Render),
    /// Bring a machine that runs to its declared system; only what differs is touched
    Switch(Switch),
    /// Install NixOS on a fresh machine by nixos-anywhere: all that is on its disk is lost
    Install(Install),
    /// Let a phone or laptop join a machine's WireGuard: a QR code with its configuration
    Device(Device),
}

/// What a system is rendered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// Debian
    Debian,
    /// NixOS
    Nixos,
}

/// `stead system render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The system's name, or a machine's
    #[arg(required_unless_present = "all")]
    pub name: Option<String>,
    /// The folder to write to; `system` by default. What a person changed there is left alone
    pub folder: Option<PathBuf>,
    /// Render every declared system; then the folder is the only argument
    #[arg(long)]
    pub all: bool,
    /// What to render it to, whatever the file says
    #[arg(long, value_enum)]
    pub to: Option<To>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead system switch`.
#[derive(Debug, Args)]
pub struct Switch {
    /// The machine
    pub machine: String,
    /// Only say what would change (exit status 3: something would)
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead system install`.
#[derive(Debug, Args)]
pub struct Install {
    /// The system's name, or a machine's
    pub name: String,
    /// Where to: USER@ADDRESS, reached by ssh
    pub target: String,
    /// The port of its ssh
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The port of the installer's ssh, where that is not 22
    #[arg(long, value_name = "PORT")]
    pub port_after: Option<u16>,
    /// The ssh key to log in with
    #[arg(short, long, value_name = "PATH")]
    pub identity: Option<PathBuf>,
    /// A folder with the flake that `stead system render` wrote, whose `secrets/` go along; `system` by
    /// default
    #[arg(long, value_name = "FOLDER")]
    pub flake: Option<PathBuf>,
    /// A folder whose files are put on the installed system, such as its ssh host key
    #[arg(long, value_name = "FOLDER")]
    pub extra_files: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
}

/// `stead system device`.
#[derive(Debug, Args)]
pub struct Device {
    /// The machine, or its system
    pub machine: String,
    /// Where the machine is reached: HOST or HOST:PORT
    pub endpoint: String,
    /// Print the configuration as text
    #[arg(long)]
    pub config: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
}

/// `stead audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// The machine
    pub machine: String,
    /// Show also what passed
    #[arg(short, long)]
    pub all: bool,
    /// Mend what can be mended without bringing the whole system
    #[arg(long)]
    pub fix: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub file: SteadFile,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}
