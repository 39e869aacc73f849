//! Brings a machine to what is declared.

use std::process::ExitCode;

/// `stead-system apply`.
pub fn program(_arguments: &[String]) -> ExitCode {
    ExitCode::SUCCESS
}

/// `stead-system put`.
pub fn put(_arguments: &[String]) -> ExitCode {
    ExitCode::SUCCESS
}
