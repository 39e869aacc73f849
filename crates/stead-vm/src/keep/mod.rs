//! The keeper of a machine: it runs QEMU, speaks with it, and is there as long as the machine is.

mod agent;
mod console;
mod disks;
mod notes;
mod pressure;
mod qemu;
mod screen;
mod shares;
pub(crate) mod sys;
mod talk;

pub use qemu::{GRACE, run};
