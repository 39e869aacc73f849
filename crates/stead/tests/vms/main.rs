//! Machines of engine `qemu`, real ones, through the real program: their sessions, what may happen to them, several of them.
//!
//! What is tried inside to get out is in `tests/attacks`, what every engine must do in `stead-engines`. The guests are the
//! lightest there are, and always emulated; each test boots as few as it can.

#[path = "../common/mod.rs"]
mod common;

mod agents;
mod cut_short;
mod disks;
mod faults;
mod memory_cut_short;
mod reboots;
mod sessions;
mod several;
