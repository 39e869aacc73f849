//! What every engine must do: one set of checks, driven by a [`Bench`] that knows how to get at an engine.
//!
//! An engine says for each thing that it cannot do why; the checks of that are skipped with this reason, and that it refuses
//! is checked instead. `conformance_tests!` makes a test of each check; [`run`] does all and tells.

mod help;
mod inside;
mod life;
mod limits;
mod network;
mod states;

pub use help::{Machine, Told};

use crate::engine::Engine;
use crate::model::Wanted;
use async_trait::async_trait;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use stead_file::size::Size;

/// An engine to be checked, and what the checks must know of it. Its machines are its own: no two benches share one.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The engine. Asked for again, it may be another handle of the same.
    fn engine(&self) -> Arc<dyn Engine>;

    /// A machine of this name with an identity of its own, as small as the engine can make it. The same name gives the
    /// same machine.
    fn wanted(&self, name: &str) -> Wanted;

    /// Whatever machines are made of, that exists now and can be seen from outside: mounts, processes, control groups,
    /// interfaces, folders; a line each. Compared before and after each check.
    async fn residue(&self) -> Vec<String>;

    /// A folder inside a machine that is part of its state. The checks make it and write into it.
    fn place(&self, name: &str) -> PathBuf {
        let _ = name;
        "/root/conformance".into()
    }

    /// Files of the base, inside, that the checks may change and remove: those of them that are there.
    fn base_files(&self, name: &str) -> Vec<PathBuf> {
        let _ = name;
        ["/etc/motd", "/etc/shells", "/etc/login.defs", "/etc/profile", "/etc/services"]
            .map(PathBuf::from)
            .to_vec()
    }

    /// Somewhere outside, a TCP listener that a machine with open egress can reach. `None`: egress is not checked.
    async fn outside(&self) -> Option<SocketAddr> {
        None
    }

    /// How many machines run at once where many are to.
    fn many(&self) -> usize {
        20
    }

    /// Memory that is little and enough.
    fn little_memory(&self) -> Size {
        Size(96 << 20)
    }

    /// A disk that is small and large enough.
    fn small_disk(&self) -> Size {
        Size(64 << 20)
    }

    /// Whether machines are made and destroyed at all: the computer itself is not.
    fn makes_machines(&self) -> bool {
        true
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The engine does it.
    Passed,
    /// It says that it cannot, and why.
    Skipped(String),
    /// It does not.
    Failed(String),
}

/// A check's own answer: `Err` is a failure or a reason to skip it.
pub type Checked = Result<(), Told>;

type Running<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, as the test made of it is called.
    pub name: &'static str,
    run: for<'a> fn(&'a dyn Bench) -> Running<'a>,
}

/// How all checks ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// A line each.
    pub lines: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Those that failed, `name: why`.
    pub fn failed(&self) -> Vec<String> {
        let failed = |(name, outcome): &(&str, Outcome)| match outcome {
            Outcome::Failed(why) => Some(format!("{name}: {why}")),
            _ => None,
        };
        self.lines.iter().filter_map(failed).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.lines {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {name}")?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {name}: {why}")?,
                Outcome::Failed(why) => writeln!(f, "FAILED   {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Runs every check, one after the other.
pub async fn run(bench: &dyn Bench) -> Report {
    let mut report = Report::default();
    for check in CHECKS {
        report.lines.push((check.name, run_check(bench, check).await));
    }
    report
}

/// Runs the check of this name and tells.
///
/// # Panics
/// If there is none.
pub async fn check(bench: &dyn Bench, name: &str) -> Outcome {
    let check = CHECKS.iter().find(|check| check.name == name);
    run_check(bench, check.unwrap_or_else(|| panic!("there is no check {name}"))).await
}

/// Runs the check of this name: what the tests made by `conformance_tests!` do.
///
/// # Panics
/// If it fails, or there is none of that name.
pub async fn run_one(bench: &dyn Bench, name: &str) {
    match check(bench, name).await {
        Outcome::Passed => {}
        Outcome::Skipped(why) => println!("skipped {name}: {why}"),
        Outcome::Failed(why) => panic!("{name}: {why}"),
    }
}

async fn run_check(bench: &dyn Bench, check: &Check) -> Outcome {
    let before = bench.residue().await;
    let outcome = match (check.run)(bench).await {
        Ok(()) => Outcome::Passed,
        Err(Told::Skip(why)) => Outcome::Skipped(why),
        Err(Told::Fail(why)) => Outcome::Failed(why),
    };
    if let Outcome::Failed(_) = outcome {
        // So that the next check does not stumble over what this one left.
        help::destroy_all(bench).await;
        return outcome;
    }
    let after = bench.residue().await;
    let left: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    if left.is_empty() { outcome } else { Outcome::Failed(format!("left behind: {left:?}")) }
}

macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every check.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: |bench| Box::pin($module::$name(bench)) },)*
        ];

        /// Makes a test of each check: `conformance_tests!(make_bench())`, where the expression is evaluated for each test.
        #[macro_export]
        macro_rules! conformance_tests {
            ($bench:expr) => {
                $(
                    #[test]
                    fn $name() {
                        let runtime = $crate::conformance::runtime();
                        runtime.block_on(async {
                            let bench = $bench;
                            $crate::conformance::run_one(&bench, stringify!($name)).await;
                        });
                    }
                )*
            };
        }
    };
}

/// A runtime for one test.
///
/// # Panics
/// If the system has none to give.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap_or_else(|e| panic!("no runtime: {e}"))
}

checks![
    life::abilities_have_reasons,
    life::create_start_stop_destroy,
    life::everything_may_be_asked_twice,
    life::nobody_is_not_there,
    life::observe_lists_what_look_sees,
    life::stop_ends_processes,
    life::a_restart_keeps_the_state,
    life::an_ephemeral_state_does_not_last,
    life::changes_are_made,
    life::twenty_at_once,
    life::sweep_leaves_machines_alone,
    life::cut_short_at_each_step_it_can_be_finished,
    life::cut_short_at_each_step_it_can_be_destroyed,
    inside::the_exit_status_is_its_own,
    inside::environment_and_folder,
    inside::its_streams_are_its_own,
    inside::only_what_runs_can_be_entered,
    inside::identity,
    inside::connect_reaches_a_port,
    inside::shares_are_shared,
    inside::containers_are_made_inside,
    states::snapshot_damage_restore,
    states::snapshots_are_listed_and_removed,
    states::snapshot_of_one_that_runs,
    states::clones_have_the_data_and_another_identity,
    states::a_state_moves,
    states::a_move_asked_twice_moves_once,
    states::diff_tells_what_changed,
    states::states_survive_being_cut_short,
    limits::memory_is_limited,
    limits::processes_are_limited,
    limits::disk_is_limited,
    network::egress_none_reaches_nothing,
    network::ports_lead_in,
];
