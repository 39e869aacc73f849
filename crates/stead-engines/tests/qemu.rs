//! The engine `qemu`, with real guests and without KVM, does what every engine must.

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::QemuBench;
use stead_file::declared::{Board, Guest};

stead_machine::conformance_tests!(QemuBench::warm(Guest::Light, Board::Microvm).await);
