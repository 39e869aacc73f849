//! Brings a machine to what is declared: run inside it, as root.
//!
//! What is as it should be is not touched, and seen to be so by reading files. What an earlier declaration had and this
//! one has not is removed, or is again what it was before Stead. What could cut a machine off is checked before it takes
//! effect, and put back where it does not hold. One failure keeps nothing else from being done.

mod files;
mod homes;
mod lock;
mod machine;
mod packages;
mod people;
mod pgp;
mod record;
mod report;
mod rules;
mod secrets;
mod servers;
mod tasks;
mod units;

pub use report::Summary;

use crate::debian::Desired;
use machine::Machine;
use record::Record;
use report::Report;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `stead-system apply` reads.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Input {
    /// What the machine is to be like.
    pub desired: Desired,
    /// Secrets by name. One that is not here stays what it was.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
}

/// How it is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only say what would be done.
    pub check: bool,
    /// The root of the machine. Another than `/` has nothing that runs: only files and links are brought there.
    pub root: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Options { check: false, root: "/".into() }
    }
}

/// Brings a machine to what is declared, and writes a JSON line for each change, failure and remark, and one at the end.
///
/// # Errors
/// If nobody reads the lines. What fails on the machine is counted in the summary.
pub fn apply(input: &Input, options: &Options, out: &mut dyn Write) -> io::Result<Summary> {
    let machine = Machine::new(options);
    let mut report = Report::new(out, options.check);
    let mut record = match Record::read(&machine) {
        Ok(record) => record,
        Err(why) => {
            // Without knowing what is Stead's, nothing can be told from a person's own.
            report.failed("record", &why);
            return report.finish();
        }
    };
    let desired = &input.desired;
    let mut now = Pass { machine: &machine, desired, report: &mut report, record: &mut record };
    packages::bring(&mut now);
    people::bring(&mut now);
    let secrets = secrets::bring(&mut now, &input.secrets);
    let mut changed = rules::bring(&mut now, false);
    homes::bring(&mut now);
    servers::bring(&mut now);
    tasks::bring(&mut now, false);
    changed.join(rules::bring(&mut now, true));
    units::bring(&mut now, &changed, &secrets);
    tasks::bring(&mut now, true);
    people::remove(&mut now);
    packages::remove(&mut now);
    now.record.rules.clone_from(&desired.rules);
    now.save();
    for remark in &desired.remarks {
        report.remark(remark);
    }
    report.finish()
}

/// What every step needs.
struct Pass<'a, 'o> {
    machine: &'a Machine,
    desired: &'a Desired,
    report: &'a mut Report<'o>,
    record: &'a mut Record,
}

impl Pass<'_, '_> {
    /// Whether anything may be changed.
    fn may(&self) -> bool {
        !self.machine.check
    }

    /// Writes down what is Stead's, before or after it is done.
    fn save(&mut self) {
        if self.may()
            && let Err(why) = self.record.write(self.machine)
        {
            self.report.failed("record", &why);
        }
    }
}

/// `stead-system apply`.
pub fn program(arguments: &[String]) -> ExitCode {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), argument.strip_prefix("--root=")) {
            ("--check", _) => options.check = true,
            ("--root", _) => match rest.next() {
                Some(root) => options.root = root.into(),
                None => return misused("--root needs a folder"),
            },
            (_, Some(root)) => options.root = root.into(),
            (other, None) => return misused(&format!("apply knows no {other}")),
        }
    }
    let input: Input = match serde_json::from_reader(io::stdin().lock()) {
        Ok(input) => input,
        Err(error) => return misused(&format!("what is declared cannot be read: {error}")),
    };
    if options.root == Path::new("/") && !machine::is_root() {
        eprintln!("only root brings a machine to what is declared");
        return ExitCode::FAILURE;
    }
    let mut out = io::stdout().lock();
    let _lock = if options.root == Path::new("/") && !options.check {
        let waits = || {
            let remark = "another switch of this machine goes on: it is waited for";
            // That nobody reads it any more keeps nothing from being done.
            let _ = writeln!(out, "{}", serde_json::json!({ "remark": remark }));
        };
        match lock::taken(waits) {
            Ok(lock) => Some(lock),
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };
    match apply(&input, &options, &mut out) {
        Ok(summary) if summary.failed == 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// `stead-system put`: writes and removes files in a home, with no more rights than its owner has.
pub fn put(_arguments: &[String]) -> ExitCode {
    match homes::put(io::stdin().lock(), Path::new(".")) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn misused(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}
