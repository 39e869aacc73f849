//! What an audit says.

mod plain;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What an audit says of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The machine.
    pub machine: String,
    /// The system that it is declared to have.
    pub system: String,
    /// What was found, in the order of the list of checks. What does not concern this system is not in it.
    pub findings: Vec<Finding>,
    /// Of 100, in proportion to the weight of what passed. What could not be looked at did not pass.
    pub score: u8,
    /// How many of each.
    pub counts: Counts,
    /// What was mended before, with `--fix`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mended: Vec<Mended>,
}

/// How many findings there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// As declared.
    pub pass: usize,
    /// Not as declared.
    pub fail: usize,
    /// Not looked at.
    pub unknown: usize,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check it is of: `ssh.password`.
    pub id: String,
    /// What is to be so.
    pub title: String,
    /// How bad it is if it is not.
    pub severity: Severity,
    /// Whether it is so.
    pub verdict: Verdict,
    /// What was seen; or, if nothing was, why.
    pub evidence: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What `--fix` does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Action>,
}

/// Whether something is as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is not.
    Fail,
    /// It could not be looked at.
    Unknown,
    /// It is.
    Pass,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Untidy.
    Low,
    /// Something does not work as declared, or a second line of defence is not there.
    Medium,
    /// A line of defence is not there.
    High,
    /// Somebody can come in, or has what is not theirs.
    Critical,
}

impl Severity {
    /// What a check weighs in the score.
    pub fn weight(self) -> usize {
        match self {
            Severity::Low => 1,
            Severity::Medium => 3,
            Severity::High => 6,
            Severity::Critical => 10,
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What is done to mend something, without an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Takes these permissions from a file.
    Close {
        /// The file.
        path: PathBuf,
        /// Bits of its mode.
        without: u32,
    },
    /// Takes a user out of a group.
    Leave {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// Makes every password of a user wrong.
    Lock {
        /// The user.
        user: String,
    },
    /// Starts units, now and whenever the machine starts.
    Start {
        /// The unit.
        unit: String,
    },
}

/// What has come of mending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    /// Which check asked for it.
    pub id: String,
    /// What was done.
    pub action: Action,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Report {
    /// A report of these findings.
    pub fn new(machine: &str, system: &str, findings: Vec<Finding>) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let counts = Counts {
            pass: count(Verdict::Pass),
            fail: count(Verdict::Fail),
            unknown: count(Verdict::Unknown),
        };
        let weight = |finding: &Finding| finding.severity.weight();
        let all: usize = findings.iter().map(weight).sum();
        let passed = findings.iter().filter(|finding| finding.verdict == Verdict::Pass);
        let passed: usize = passed.map(weight).sum();
        let score = (passed * 100).checked_div(all).unwrap_or(100) as u8;
        Report {
            machine: machine.to_owned(),
            system: system.to_owned(),
            findings,
            score,
            counts,
            mended: Vec::new(),
        }
    }

    /// What is exited with: 3 if anything failed.
    pub fn status(&self) -> u8 {
        if self.counts.fail > 0 { 3 } else { 0 }
    }
}
