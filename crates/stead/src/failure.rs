//! What went wrong, as a person sees it: one line, what to do about it, and the exit status.

use miette::Diagnostic;
use stead_hold::folder::FolderError;
use stead_wire::api::Problem;

/// An error at the edge.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Failure {
    message: String,
    #[help]
    help: Option<String>,
    /// The exit status: 1 failed, 2 misused, 124 timed out.
    pub status: u8,
    broken_pipe: bool,
    /// The problem's code, if the steward said it.
    code: Option<String>,
}

/// The result of a command: its exit status, or why it failed.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// Something did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Failure { message: message.into(), help: None, status: 1, broken_pipe: false, code: None }
    }

    /// The command was misused.
    pub fn misused(message: impl Into<String>) -> Self {
        Failure { message: message.into(), help: None, status: 2, broken_pipe: false, code: None }
    }

    /// Time ran out.
    pub fn timeout(message: impl Into<String>) -> Self {
        Failure { message: message.into(), help: None, status: 124, broken_pipe: false, code: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same failure in other words, without what to do.
    #[must_use]
    pub fn saying(self, message: impl Into<String>) -> Self {
        Failure { message: message.into(), help: None, ..self }
    }

    /// What went wrong and what to do, as one sentence among others.
    pub fn in_a_line(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }

    /// The steward's word for the kind of problem, as in [`Problem::code`].
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the reader of our output has gone.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// From any error of the crates below, with its causes in one line.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Failure::failed(message)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let status = if matches!(problem.code.as_str(), "invalid" | "exists") { 2 } else { 1 };
        Failure {
            message: problem.message,
            help: problem.help,
            status,
            broken_pipe: false,
            code: Some(problem.code),
        }
    }
}

macro_rules! from_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::from_error(&error)
            }
        })*
    };
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Failure { broken_pipe, ..Failure::from_error(&error) }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let failure = Failure::from_error(&error);
        match error {
            FolderError::Io { what: "create", .. } => failure.help(
                "sessions are kept in XDG_DATA_HOME, sockets in XDG_RUNTIME_DIR: name folders that you may write to",
            ),
            _ => failure,
        }
    }
}

from_errors!(
    serde_json::Error,
    stead_hold::client::ClientError,
    stead_hold::launch::LaunchError,
    stead_hold::attach::AttachError,
    stead_hold::attach::KeyError,
    stead_hold::history::HistoryError,
    stead_hold::history::cast::ExportError,
    stead_steward::unit::UnitError,
    stead_gate::RunError,
);

/// Prints the failure to standard error: in colour on a terminal unless `NO_COLOR` is set.
pub fn report(failure: &Failure) {
    use std::io::IsTerminal;
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if color {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    // Broken into lines, a path or a command could not be copied; terminals wrap by themselves.
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_wrap_lines(false);
    if handler.render_report(&mut text, failure).is_err() {
        text = format!("{failure}\n");
    }
    eprint!("{text}");
}
