//! `stead system switch`: a machine that runs is brought to its declared system.

use super::super::{machine, print};
use super::bring::{Line, bring};
use super::{nixos, whole};
use crate::cli::Switch;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use crate::{present, stead_file};
use ::stead_file::declared::Os;
use stead_system::Whole;
use stead_system::apply::Summary;

/// What is exited with when something would change.
const WOULD: u8 = 3;

pub fn run(args: &Switch) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let whole = Whole { machine: args.machine.clone(), ..whole(&file, &args.machine)? };
    let steward = Steward::of_user()?;
    if args.check {
        machine::runs(&steward, &args.machine)?;
    } else {
        machine::ready_of(&steward, &args.machine, args.file.file.as_deref(), args.json.json)?;
    }
    match whole.system.os {
        Os::Nixos => nixos::switch(args, &file.declaration.name, &whole),
        Os::Debian => debian(args, &whole),
    }
}

fn debian(args: &Switch, whole: &Whole) -> Outcome {
    let json = args.json.json;
    let tell = |raw: &[u8], line: &Line| if json { print(raw) } else { tell(line) };
    let summary = bring(whole, args.check, tell)?;
    if !json {
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

fn tell(line: &Line) -> Result<(), Failure> {
    let color = present::color();
    if let Some(text) = line.changed() {
        print(format!("{} {text}\n", present::paint("~", "33", color)).as_bytes())?;
    }
    if let Some(text) = line.failure() {
        eprintln!("{} {text}", present::paint("failed", "31", color));
    }
    if let Some(text) = line.remarked() {
        eprintln!("{text}");
    }
    Ok(())
}
