//! Whether a machine is as declared.
//!
//! Runs inside the machine. [`gather`] looks at it once; [`checks`] are pure functions of what was found and what is declared.
//! What could not be looked at is unknown, and never passes.

pub mod checks;
pub mod clean;
pub mod evidence;
pub mod gather;
mod keys;
mod mend;
pub mod report;
pub mod rules;
mod sys;

pub use report::{Action, Counts, Finding, Mended, Report, Severity, Verdict};

use crate::Whole;
use evidence::Evidence;
use gather::Place;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

/// A declaration is not larger.
const LARGE: u64 = 16 << 20;

/// What the checks say of a machine on which this was found.
pub fn judge(whole: &Whole, evidence: &Evidence) -> Report {
    let findings = checks::all().filter_map(|check| check.finding(whole, evidence)).collect();
    Report::new(&whole.machine, &whole.name, findings)
}

/// `stead-system audit [--fix] [--plain] [--patience SECONDS]`: reads a [`Whole`] from its input, looks at the machine that it runs on, and prints
/// a [`Report`].
///
/// Exits with 3 if anything failed, 1 if it could not be done, 2 if it was misused.
pub fn program(arguments: &[String]) -> ExitCode {
    let (mut fix, mut plain, mut place) = (false, false, Place::here());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--fix" => fix = true,
            "--plain" => plain = true,
            "--patience" => {
                let Some(seconds) = rest.next().and_then(|text| text.parse().ok()) else {
                    eprintln!("--patience wants a number of seconds");
                    return ExitCode::from(2);
                };
                place.patience = Duration::from_secs(seconds);
            }
            other => {
                let other = clean::clean(other);
                eprintln!("`{other}` is no option of audit: there are --fix, --plain, --patience");
                return ExitCode::from(2);
            }
        }
    }
    let done = read().and_then(|whole| {
        let report = audit(&place, &whole, fix);
        let text = if plain {
            report.plain(100, false, true)
        } else {
            serde_json::to_string(&report).map_err(|why| why.to_string())? + "\n"
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|why| format!("the report cannot be written: {why}"))?;
        Ok(report.status())
    });
    match done {
        Ok(status) => ExitCode::from(status),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Audits this machine; mends first what failed, if that is asked for.
pub fn audit(place: &Place, whole: &Whole, fix: bool) -> Report {
    let report = judge(whole, &gather::gather(place, whole));
    if !fix || report.findings.iter().all(|finding| finding.mends.is_empty()) {
        return report;
    }
    let mended = mend::mend(&report);
    let after = judge(whole, &gather::gather(place, whole));
    Report { mended, ..after }
}

fn read() -> Result<Whole, String> {
    let mut text = String::new();
    std::io::stdin()
        .take(LARGE)
        .read_to_string(&mut text)
        .map_err(|why| format!("what is declared cannot be read from the input: {why}"))?;
    serde_json::from_str(&text)
        .map_err(|why| format!("the input is no declared system as JSON: {why}"))
}
