//! `stead audit`: a live machine against its declaration.

use super::print;
use super::system::{Inside, whole};
use crate::cli::Audit;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use crate::{present, stead_file};
use std::io::Read;
use stead_system::audit::Report;

/// Longest report that is read: a machine may say anything.
const LONGEST: u64 = 8 << 20;

pub fn run(args: &Audit) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let whole = whole(&file, &args.machine)?;
    super::machine::runs(&Steward::of_user()?, &args.machine)?;
    let inside = Inside::of(&args.machine)?;
    let words: &[&str] = if args.fix { &["audit", "--fix"] } else { &["audit"] };
    let mut child = inside.run(words, serde_json::to_vec(&whole)?)?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(LONGEST).read_to_end(&mut said)?;
    }
    let status = child.wait()?;
    let report: Report = serde_json::from_slice(&said).map_err(|_| {
        Failure::failed(format!(
            "the audit of {} said nothing that can be read ({status})",
            args.machine
        ))
        .help(format!("stead doctor {} looks at the machine itself", args.machine))
    })?;
    // What a machine says of itself is counted here.
    let report = Report {
        mended: report.mended,
        ..Report::new(&whole.machine, &whole.name, report.findings)
    };
    if args.json.json {
        super::print_json(&report)?;
    } else {
        print(report.plain(present::width(), present::color(), args.all).as_bytes())?;
    }
    Ok(report.status())
}
