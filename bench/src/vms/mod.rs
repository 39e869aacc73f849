//! Virtual machines beside what they are made of: the third set of measurements.

mod boot;
mod exec;
mod floor;
mod full;
mod ground;
mod memory;
mod share;
mod states;
mod warm;

use crate::InUse;
use crate::error::{Error, Result};
use crate::machines::Programs;
use crate::report::{Page, Program, Set};
use crate::results::Results;
use crate::stage::Stage;
use crate::targets;
use ground::Ground;
use std::path::Path;

/// All rows, in the order of the tables.
const NAMES: [&str; 6] = ["stead", "stead-vm", "stead by 9p", "floor", "untuned", "bare"];

/// How often and how much.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Scale {
    /// Boots of light guests of each kind.
    pub boots: usize,
    /// Boots of full guests of each kind.
    pub full_boots: usize,
    /// Commands in a running one.
    pub execs: usize,
    /// Transfers of each kind.
    pub transfers: usize,
    /// Megabytes of a transfer.
    pub megabytes: u64,
    /// Megabytes of a large state; a small one has 1.
    pub large: u64,
    /// Snapshots of each size; the first is not counted.
    pub snapshots: usize,
}

impl Scale {
    /// The scale of the published tables.
    pub const FULL: Scale = Scale {
        boots: 11,
        full_boots: 5,
        execs: 200,
        transfers: 5,
        megabytes: 256,
        large: 1024,
        snapshots: 5,
    };
    /// For trying out.
    pub const QUICK: Scale = Scale {
        boots: 3,
        full_boots: 1,
        execs: 40,
        transfers: 1,
        megabytes: 64,
        large: 128,
        snapshots: 2,
    };
}

/// What a metric works with.
struct Bench<'a> {
    ground: &'a Ground<'a>,
    scale: Scale,
    key: &'static str,
    results: Results,
}

impl Bench<'_> {
    fn put(&mut self, peer: &'static str, name: &'static str, value: Option<f64>) {
        self.results.figure(self.key, peer, name, value);
    }

    fn note(&mut self, peer: &'static str, text: impl Into<String>) {
        self.results.note(self.key, peer, text);
    }
}

/// One metric.
struct Metric {
    page: Page,
    measure: fn(&mut Bench) -> Result<()>,
}

const ALL: [&Metric; 7] = [
    &boot::METRIC,
    &full::METRIC,
    &warm::METRIC,
    &memory::METRIC,
    &exec::METRIC,
    &share::METRIC,
    &states::METRIC,
];

/// The set as the report shows it.
pub fn set() -> Set {
    Set {
        title: "Stead's virtual machines beside what they are made of",
        names: &NAMES,
        pages: ALL.iter().map(|metric| metric.page).collect(),
        targets: &targets::VMS,
    }
}

/// Measures.
///
/// # Errors
/// If a metric is not known, or Stead does not start.
pub fn measure(
    only: &[String],
    stead: &Path,
    scale: Scale,
    in_use: &InUse,
) -> Result<(Results, Vec<Program>)> {
    if let Some(unknown) = only.iter().find(|o| ALL.iter().all(|m| m.page.key != **o)) {
        return Err(Error::new(format!("no metric of virtual machines is called {unknown}")));
    }
    let programs = Programs::new(stead)?;
    let mut results = Results::default();
    for metric in ALL.iter().filter(|m| only.is_empty() || only.iter().any(|o| o == m.page.key)) {
        eprintln!("{}", metric.page.title);
        let stage = Stage::new()?;
        in_use.add(stage.root());
        let key = metric.page.key;
        let outcome = Ground::new(&stage, &programs).map(|ground| {
            let results = std::mem::take(&mut results);
            let mut bench = Bench { ground: &ground, scale, key, results };
            let outcome = (metric.measure)(&mut bench);
            if let Err(e) = outcome {
                bench.note("stead", e);
            }
            bench.results
        });
        in_use.remove();
        results = outcome?;
    }
    Ok((results, versions(stead)))
}

fn versions(stead: &Path) -> Vec<Program> {
    let program = |name, path: &Path, remark| Program {
        name,
        version: crate::peers::first_line(path, "--version"),
        remark,
    };
    vec![
        program("stead", &stead.join("stead"), "all defaults, with limits"),
        program(
            "floor",
            Path::new("qemu-system-x86_64"),
            "the very command line of Stead's QEMU, with a first program that prints a line; no sandbox, no network",
        ),
    ]
}
