//! `stead system switch`: a machine that runs is brought to its declared system.

use super::super::print;
use super::{Inside, claude_home, nixos, whole};
use crate::cli::Switch;
use crate::failure::{Failure, Outcome};
use crate::{present, secrets, stead_file};
use ::stead_file::declared::Os;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use stead_system::apply::{Input, Summary};
use stead_system::{Whole, debian};

/// Longest line that is read of what a machine says.
const LONGEST: u64 = 64 << 10;

/// What is exited with when something would change.
const WOULD: u8 = 3;

/// A line of what is said inside.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    change: Option<String>,
    would: Option<String>,
    what: String,
    how: String,
    failed: Option<String>,
    why: String,
    remark: Option<String>,
    summary: Option<Summary>,
}

pub fn run(args: &Switch) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let whole = whole(&file, &args.machine)?;
    match whole.system.os {
        Os::Nixos => nixos::switch(args, &file.declaration.name, &whole),
        Os::Debian => debian(args, &whole),
    }
}

fn debian(args: &Switch, whole: &Whole) -> Outcome {
    let desired = debian::render(whole)
        .with_claude_home(&claude_home::files(whole)?)
        .with_servers(&claude_home::servers(whole)?);
    let secrets = secrets::read(&whole.secrets())?;
    let input = serde_json::to_vec(&Input { desired, secrets })?;
    let inside = Inside::of(&args.machine, args.json.json)?;
    let words: &[&str] = if args.check { &["apply", "--check"] } else { &["apply"] };
    let mut child = inside.run(words, input)?;
    let out = child.stdout.take().ok_or_else(|| Failure::failed("no way to the machine"))?;
    let summary = tell(BufReader::new(out), args.json.json)?;
    let status = child.wait()?;
    let Some(summary) = summary else {
        return Err(Failure::failed(format!(
            "the switch of {} was cut short ({status})",
            args.machine
        ))
        .help("nothing is lost: ask again, and it is finished"));
    };
    if !args.json.json {
        let name = &args.machine;
        let said = match (summary.changed, summary.failed, args.check) {
            (0, 0, _) => format!("{name}: as declared\n"),
            (changed, 0, true) => format!("{name}: {changed} would change\n"),
            (changed, 0, false) => format!("{name}: {changed} changed\n"),
            (changed, failed, _) => format!("{name}: {changed} changed, {failed} failed\n"),
        };
        print(said.as_bytes())?;
    }
    Ok(match summary {
        Summary { failed: 1.., .. } => 1,
        Summary { changed: 1.., .. } if args.check => WOULD,
        _ => 0,
    })
}

/// Shows each line as it comes; gives what the last one says.
fn tell(mut lines: impl BufRead, json: bool) -> Result<Option<Summary>, Failure> {
    let mut summary = None;
    let mut line = Vec::new();
    while (&mut lines).take(LONGEST).read_until(b'\n', &mut line)? > 0 {
        let read: Option<Line> = serde_json::from_slice(&line).ok();
        if json && read.is_some() {
            print(&line)?;
        }
        line.clear();
        let Some(said) = read else { continue };
        summary = said.summary.or(summary);
        if json {
            continue;
        }
        let color = present::color();
        if let Some(kind) = said.change.as_ref().or(said.would.as_ref()) {
            let text = format!("{kind} {} {}", said.what, said.how);
            print(format!("{} {}\n", present::paint("~", "33", color), plain(&text)).as_bytes())?;
        }
        if let Some(failed) = &said.failed {
            eprintln!(
                "{} {}",
                present::paint("failed", "31", color),
                plain(&format!("{failed}: {}", said.why))
            );
        }
        if let Some(remark) = &said.remark {
            eprintln!("{}", plain(remark));
        }
    }
    Ok(summary)
}

/// What a machine says, as one line that steers no terminal.
fn plain(text: &str) -> String {
    present::clean(&text.replace(['\n', '\t'], " "))
}
