//! Machines beside bubblewrap, podman and nsenter: the second set of measurements.

mod alone;
mod create;
mod exec;
mod ground;
mod many;
mod memory;
mod net;
mod podman;
mod snapshot;

use crate::InUse;
use crate::error::{Error, Result};
use crate::report::{Page, Program, Set};
use crate::results::Results;
use crate::stage::{Stage, which};
use crate::targets::{self, Target};
use alone::Alone;
use podman::Podman;
use std::path::Path;

pub use ground::{Ground, Programs, end_boxes};

/// All rows, in the order of the tables.
const NAMES: [&str; 8] = [
    "stead",
    "stead-box",
    "stead on btrfs",
    "stead on xfs",
    "bwrap",
    "nsenter",
    "podman",
    "direct",
];

/// How often and how much.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Scale {
    /// Sandboxes of each kind, made one after another.
    pub creates: usize,
    /// Commands in a running one.
    pub execs: usize,
    /// Sandboxes that are made, or rest, at once.
    pub at_once: usize,
    /// How often so many are made at once.
    pub crowds: usize,
    /// Snapshots of each size; the first is not counted.
    pub snapshots: usize,
    /// Machines that are declared.
    pub many: usize,
    /// Plans and listings of them.
    pub lists: usize,
    /// Bytes of one transfer.
    pub bytes: u64,
    /// Transfers of each kind.
    pub transfers: usize,
}

impl Scale {
    /// The scale of the published tables.
    pub const FULL: Scale = Scale {
        creates: 40,
        execs: 200,
        at_once: 20,
        crowds: 4,
        snapshots: 6,
        many: 1000,
        lists: 20,
        bytes: 2_000_000_000,
        transfers: 3,
    };
    /// For trying out.
    pub const QUICK: Scale = Scale {
        creates: 10,
        execs: 40,
        at_once: 5,
        crowds: 1,
        snapshots: 2,
        many: 1000,
        lists: 5,
        bytes: 200_000_000,
        transfers: 1,
    };
}

/// What a metric works with.
struct Bench<'a> {
    ground: &'a Ground<'a>,
    alone: Alone<'a>,
    podman: Option<Podman<'a>>,
    programs: &'a Programs,
    scale: Scale,
    in_use: &'a InUse,
}

impl Bench<'_> {
    fn stage(&self) -> &Stage {
        self.ground.stage
    }
}

/// What one metric measured.
struct Figures {
    key: &'static str,
    results: Results,
}

impl Figures {
    fn new(key: &'static str) -> Self {
        Figures { key, results: Results::default() }
    }

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
    measure: fn(&Bench) -> Figures,
}

const ALL: [&Metric; 7] = [
    &create::METRIC,
    &exec::METRIC,
    &create::CROWD,
    &memory::METRIC,
    &snapshot::METRIC,
    &many::METRIC,
    &net::METRIC,
];

/// The set as the report shows it.
pub fn set() -> Set {
    Set {
        title: "Stead's machines beside other sandboxes",
        names: &NAMES,
        pages: ALL.iter().map(|metric| metric.page).collect(),
        targets: &targets::MACHINES as &[Target],
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
        return Err(Error::new(format!("no metric of machines is called {unknown}")));
    }
    let programs = Programs::new(stead)?;
    let mut results = Results::default();
    for metric in ALL.iter().filter(|m| only.is_empty() || only.iter().any(|o| o == m.page.key)) {
        eprintln!("{}", metric.page.title);
        let stage = Stage::new()?;
        in_use.add(stage.root());
        let podman = match Podman::new(&stage) {
            Ok(podman) => Some(podman),
            Err(e) => {
                results.note(metric.page.key, "podman", e);
                None
            }
        };
        let ground = Ground::new(&stage, &programs, None)?;
        let alone = Alone { stage: &stage, programs: &programs };
        let bench = Bench { ground: &ground, alone, podman, programs: &programs, scale, in_use };
        results.extend((metric.measure)(&bench).results);
        drop(bench);
        drop(ground);
        in_use.remove();
    }
    Ok((results, versions(&programs)))
}

fn versions(programs: &Programs) -> Vec<Program> {
    let program = |name, path: &Path, argument, remark| Program {
        name,
        version: crate::peers::first_line(path, argument),
        remark,
    };
    let mut all = vec![
        program(
            "stead",
            &programs.stead,
            "--version",
            "all defaults, with limits; data on this host's own file system",
        ),
        program("stead-box", &programs.sandbox, "--version", "the same sandbox without a steward"),
    ];
    for (name, remark) in [
        ("bwrap", "--unshare-all, no overlay, limits, hiding or network"),
        ("nsenter", "-a: all namespaces, no cgroups, no filter of system calls"),
        ("podman", "runc, a bridge, the same limits, an image with nothing but busybox"),
    ] {
        if let Some(path) = which(name) {
            all.push(program(name, &path, "--version", remark));
        }
    }
    all
}
