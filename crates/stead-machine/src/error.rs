//! Why something about machines was not done.

use crate::engine::EngineError;
use std::path::PathBuf;

/// Why something about machines was not done. Each reads as one line that says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No machine of this name is recorded.
    #[error("there is no machine {name}{}", .near.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    NotFound {
        /// The name that was given.
        name: String,
        /// A recorded name close to it.
        near: Option<String>,
    },
    /// It is asked of this computer itself, which no stead file declares.
    #[error(
        "host is this computer itself, on engine host: it always runs, and Stead does not start, stop, keep, copy or destroy it"
    )]
    Host,
    /// The name is taken, or it is no name.
    #[error("{0}")]
    Name(String),
    /// A record cannot be read. Its machine is left alone.
    #[error("the record of machine {name} is damaged: {}: {why}; mend the file, nothing is done to the machine until then", .path.display())]
    Damaged {
        /// The machine.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It stands against something that is so.
    #[error("{name}: {why}")]
    Refused {
        /// The machine.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// The machine could not be looked at, so nothing was done.
    #[error("{name}: unknown, nothing was done: {why}")]
    Unknown {
        /// The machine.
        name: String,
        /// Why it could not be looked at.
        why: String,
    },
    /// Things are no longer as the plan showed them.
    #[error("{name}: {why}; plan again")]
    Outdated {
        /// The machine.
        name: String,
        /// What is different.
        why: String,
    },
    /// This program has no engine of that name.
    #[error("{name}: {}", no_engine(engine, [there]))]
    NoEngine {
        /// The machine.
        name: String,
        /// The engine that it names.
        engine: String,
        /// Those that there are.
        there: String,
    },
    /// The engine did not do it.
    #[error("{name}: {source}")]
    Engine {
        /// The machine.
        name: String,
        /// What the engine said.
        source: EngineError,
    },
    /// A file of Stead's own could not be read or written.
    #[error("cannot {what} {}: {why}", .path.display())]
    Io {
        /// "write".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
        /// Whether there was no room left.
        full: bool,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>, e: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let full = matches!(e.kind(), StorageFull | QuotaExceeded);
        Error::Io { what, path: path.into(), why: e.to_string(), full }
    }

    pub(crate) fn engine(name: &str, source: EngineError) -> Self {
        match source {
            EngineError::Unreachable(why) => Error::Unknown { name: name.into(), why },
            source => Error::Engine { name: name.into(), source },
        }
    }

    pub(crate) fn refused(name: &str, why: impl Into<String>) -> Self {
        Error::Refused { name: name.into(), why: why.into() }
    }

    /// Whether somebody asked for the end that this is.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Error::Engine { source: EngineError::Cancelled, .. })
    }
}

/// That this program has no engine of a name, and which it has.
pub(crate) fn no_engine<'a>(name: &str, there: impl IntoIterator<Item = &'a String>) -> String {
    let there: Vec<&str> = there.into_iter().map(String::as_str).collect();
    format!("there is no engine {name:?} here; there are: {}", there.join(", "))
}
