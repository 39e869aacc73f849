//! Everything a session ever printed, on disk: timed, compressed, checksummed.
//!
//! The hold writes with a [`Writer`]; anybody reads with a [`Reader`], also while the hold writes. What has
//! been flushed, at most a second after it was printed, is whole after kill -9. The format is
//! described in `docs/history-format.md`.

mod block;
pub mod cast;
mod check;
mod parting;
mod reader;
pub mod search;
mod segment;
mod strip;
mod timeline;
mod walk;
mod writer;

pub use check::{Damage, Missing, Report, read_segment};
pub use parting::parting;
pub use reader::{Cursor, Reader, Tail};
pub use timeline::Event;
pub use walk::Item;
pub use writer::Writer;

use std::io;
use std::path::PathBuf;

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A later version wrote the history.
    #[error("{} has format {version}, which this program does not know: use a newer stead", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it names.
        version: u16,
    },
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;
