//! The index: what `stead ls` shows and how states followed each other, in `SQLite`.
//!
//! It is only an index. The sessions' folders are the truth; without the index only the last word on
//! titles, sizes and past states is missing. So an index that is absent, damaged or of another version is
//! made anew, a damaged one is kept aside, and a person is told.

mod store;
mod writer;

pub use store::{Store, Transition};
pub use writer::Index;

use std::path::PathBuf;

/// Why the index could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// `SQLite` says no.
    #[error("index: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A damaged index could not be moved aside.
    #[error("cannot move {} aside: {source}", path.display())]
    Aside {
        /// The index.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
