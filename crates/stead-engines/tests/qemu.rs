//! The engine `qemu`, with real guests and without KVM, does what every engine must.
//!
//! Every check with the lightest guest. What depends on the kind of guest or machine with the others too: with
//! `STEAD_TEST_CONFORMANCE=whole` all of it, with the name of a check that one.

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::QemuBench;
use stead_file::declared::{Board, Guest};
use stead_machine::conformance::{self, Outcome};

stead_machine::conformance_tests!(QemuBench::warm(Guest::Light, Board::Microvm).await);

/// What another guest or another machine may do otherwise; the rest is the engine's alone.
const FULL: [&str; 2] = ["a_restart_keeps_the_state", "shares_are_shared"];
const LIGHT: [&str; 2] = ["a_restart_keeps_the_state", "shares_are_shared"];

/// Runs these checks on such guests, and fails with all that failed.
fn conforms(guest: Guest, board: Board, some: &[&str]) {
    let asked = std::env::var("STEAD_TEST_CONFORMANCE").unwrap_or_default();
    let names = conformance::CHECKS.iter().map(|check| check.name);
    let names = names.filter(|name| match asked.as_str() {
        "whole" => true,
        "" => some.contains(name),
        one => *name == one,
    });
    conformance::runtime().block_on(async {
        let bench = QemuBench::warm(guest, board).await;
        let mut failed = Vec::new();
        for name in names {
            let outcome = conformance::check(&bench, name).await;
            println!("{guest:?} on {board:?}: {name}: {outcome:?}");
            if let Outcome::Failed(why) = outcome {
                failed.push(format!("{name}: {why}"));
            }
        }
        assert!(failed.is_empty(), "{guest:?} on {board:?}: {failed:#?}");
    });
}

#[test]
fn a_full_guest_on_a_pc_conforms() {
    conforms(Guest::Full, Board::Q35, &FULL);
}

#[test]
fn a_full_guest_on_a_microvm_conforms() {
    conforms(Guest::Full, Board::Microvm, &["identity"]);
}

#[test]
fn a_light_guest_on_a_pc_conforms() {
    conforms(Guest::Light, Board::Q35, &LIGHT);
}
