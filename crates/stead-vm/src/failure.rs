//! What can go wrong, in the sentence that a person reads.

use std::fmt::Display;
use std::io;

/// Why something of a virtual machine could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The kernel refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, and where.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something is not as it must be; the sentence says what to do.
    #[error("{0}")]
    Refused(String),
}

impl VmError {
    /// A refusal in one sentence.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused(sentence.into())
    }
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, VmError>;

/// Says what was tried when the kernel refuses it.
pub trait Tried<T> {
    /// Adds what was tried to an error.
    fn tried<D: Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<io::Error>> Tried<T> for std::result::Result<T, E> {
    fn tried<D: Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|e| VmError::Io { what: what().to_string(), source: e.into() })
    }
}
