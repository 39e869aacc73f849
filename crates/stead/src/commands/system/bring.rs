//! One Debian machine is brought to its system.

use super::mark::Mark;
use super::{Inside, rendered};
use crate::failure::Failure;
use crate::{present, secrets};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use stead_system::apply::{Input, Summary};
use stead_system::{Whole, parts};

/// Longest line that is read of what a machine says.
const LONGEST: u64 = 64 << 10;

/// A line of what is said inside.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Line {
    pub change: Option<String>,
    pub would: Option<String>,
    pub what: String,
    pub how: String,
    pub failed: Option<String>,
    pub why: String,
    pub remark: Option<String>,
    pub summary: Option<Summary>,
}

impl Line {
    /// What has changed or would, as one line that steers no terminal.
    pub fn changed(&self) -> Option<String> {
        let kind = self.change.as_ref().or(self.would.as_ref())?;
        Some(plain(&format!("{kind} {} {}", self.what, self.how)))
    }

    /// What failed and why.
    pub fn failure(&self) -> Option<String> {
        Some(plain(&format!("{}: {}", self.failed.as_ref()?, self.why)))
    }

    /// What a person should know.
    pub fn remarked(&self) -> Option<String> {
        self.remark.as_deref().map(plain)
    }
}

/// Brings a machine that runs to its system, or with `check` says what would change. Each line that is
/// said inside is handed on, as it came and as it was understood.
///
/// # Errors
/// If the machine cannot be had, or the switch did not come to its end. What failed on the machine is counted.
pub fn bring(
    whole: &Whole,
    check: bool,
    mut heard: impl FnMut(&[u8], &Line) -> Result<(), Failure>,
) -> Result<Summary, Failure> {
    let machine = &whole.machine;
    let desired = rendered::desired(whole)?;
    let digests = parts::of_debian(&desired);
    let secrets = secrets::read(&whole.secrets())?;
    let input = serde_json::to_vec(&Input { desired, secrets })?;
    let inside = Inside::of(machine)?;
    let mark = if check { None } else { Some(Mark::begin(machine, &whole.name, digests)?) };
    let words: &[&str] = if check { &["apply", "--check"] } else { &["apply"] };
    let mut child = inside.run(words, input)?;
    let out = child.stdout.take().ok_or_else(|| Failure::failed("no way to the machine"))?;
    let summary = lines(BufReader::new(out), &mut heard)?;
    let status = child.wait()?;
    let Some(summary) = summary else {
        return Err(Failure::failed(format!("the switch of {machine} was cut short ({status})"))
            .help("nothing is lost: ask again, and it is finished"));
    };
    if let Some(mark) = mark.filter(|_| summary.failed == 0)
        && !mark.end()?
    {
        let why = format!("{machine}: its state was replaced, or switched again, meanwhile");
        return Err(Failure::failed(why).help("stead plan shows what is left to do"));
    }
    Ok(summary)
}

/// Hands each line on as it comes; gives what the last one says.
fn lines(
    mut lines: impl BufRead,
    heard: &mut impl FnMut(&[u8], &Line) -> Result<(), Failure>,
) -> Result<Option<Summary>, Failure> {
    let mut summary = None;
    let mut line = Vec::new();
    while (&mut lines).take(LONGEST).read_until(b'\n', &mut line)? > 0 {
        if let Ok(said) = serde_json::from_slice::<Line>(&line) {
            summary = said.summary.or(summary);
            heard(&line, &said)?;
        }
        line.clear();
    }
    Ok(summary)
}

/// What a machine says, as one line.
fn plain(text: &str) -> String {
    present::clean(&text.replace(['\n', '\t'], " "))
}
