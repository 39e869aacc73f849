//! What sessions show and have printed.

use super::Json;
use super::value::duration;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `stead screen`.
#[derive(Debug, Args)]
pub struct Screen {
    /// The session's name or id
    pub name: String,
    /// As text, as escape sequences that paint it, or as cells
    #[arg(long, value_enum, default_value = "text")]
    pub format: ScreenFormat,
}

/// Formats of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScreenFormat {
    /// Lines of text
    Text,
    /// Escape sequences that paint it
    Ansi,
    /// Cells with attributes, cursor, title
    Json,
}

/// `stead logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The session's name or id
    pub name: String,
    /// Go on until the session ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only what was printed in the last while (30s, 5m, 2h, 1d)
    #[arg(long, value_parser = duration)]
    pub since: Option<Duration>,
    /// The bytes as they were printed, escape sequences and all
    #[arg(long)]
    pub raw: bool,
}

/// `stead search`.
#[derive(Debug, Args)]
pub struct Search {
    /// Text to find; a regular expression with --regex
    pub pattern: String,
    /// Only in these sessions
    pub names: Vec<String>,
    /// The pattern is a regular expression
    #[arg(short = 'E', long)]
    pub regex: bool,
    /// Upper and lower case are the same
    #[arg(short, long)]
    pub ignore_case: bool,
    /// Stop after this many lines
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub json: Json,
}

/// `stead replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The session's name or id
    pub name: String,
    /// How many times faster
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Longest pause shown (for example 2s)
    #[arg(long, value_parser = duration)]
    pub idle: Option<Duration>,
}

/// `stead export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The session's name or id
    pub name: String,
    /// asciicast (for asciinema), text, or the raw bytes
    #[arg(long, value_enum, default_value = "asciicast")]
    pub format: ExportFormat,
    /// File to write; standard output when absent
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    /// asciinema's recording, version 2
    Asciicast,
    /// Text without escape sequences
    Text,
    /// Bytes as they were printed
    Raw,
}
