use std::path::PathBuf;
use stead_hold::folder::FolderError;
use stead_wire::api::Problem;

/// Why the steward could not do something. [`StewardError::problem`] is the form that clients see.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StewardError {
    /// No session has this name or id.
    #[error("there is no session \"{0}\"")]
    NotFound(String),
    /// No machine has this name.
    #[error("there is no machine \"{name}\"")]
    NoMachine {
        /// The name.
        name: String,
        /// What to do about it.
        help: String,
    },
    /// The name is taken.
    #[error("a session \"{0}\" exists already{1}")]
    Exists(String, &'static str),
    /// The request cannot be right.
    #[error("{message}")]
    Invalid {
        /// What is wrong, in one line.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// It needs a session that runs, and this one has ended.
    #[error("\"{name}\" has ended: {how}")]
    Ended {
        /// The session's name.
        name: String,
        /// How it ended.
        how: String,
    },
    /// It could not be done.
    #[error("{message}")]
    Failed {
        /// What went wrong, in one line.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// It needs a machine that cannot be reached now.
    #[error("{message}")]
    Unreachable {
        /// Which machine and why not, in one line.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// A session's folder could not be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another steward serves the same sessions.
    #[error("a steward runs already{}", .0.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Runs(Option<i32>),
    /// The runtime folder cannot be trusted with sockets.
    #[error("{} {why}", path.display())]
    Place {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its reason.
        source: std::io::Error,
    },
}

impl StewardError {
    /// A request that cannot be right.
    pub fn invalid(message: impl Into<String>) -> Self {
        StewardError::Invalid { message: message.into(), help: None }
    }

    /// Something that could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        StewardError::Failed { message: message.into(), help: None }
    }

    /// Says what to do about it, where the kind of error has room for that.
    #[must_use]
    pub fn with_help(mut self, text: impl Into<String>) -> Self {
        if let StewardError::Invalid { help, .. } | StewardError::Failed { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| StewardError::Io { what, source }
    }

    /// The form that clients see.
    pub fn problem(&self) -> Problem {
        let (code, help) = match self {
            StewardError::NotFound(_) => {
                ("not-found", Some("\"stead ls\" shows what there is".into()))
            }
            StewardError::NoMachine { help, .. } => ("not-found", Some(help.clone())),
            StewardError::Exists(name, _) => {
                ("exists", Some(format!("stead attach {name}, or another name")))
            }
            StewardError::Invalid { help, .. } => ("invalid", help.clone()),
            StewardError::Ended { name, .. } => {
                ("ended", Some(format!("\"stead logs {name}\" shows what it printed")))
            }
            StewardError::Failed { help, .. } => ("failed", help.clone()),
            StewardError::Unreachable { help, .. } => ("failed", Some(help.clone())),
            _ => ("failed", None),
        };
        Problem { code: code.into(), message: one_line(&self.to_string()), help }
    }
}

/// The text without line ends and control characters.
pub(crate) fn one_line(text: &str) -> String {
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}
