//! One running virtual machine.
//!
//! Outside there is QEMU and its keeper, which speaks with it (QMP), carries connections over the machine's line and is
//! there as long as the machine runs. Inside there is an init, where the guest has none of its own, and an agent at the
//! other end of the line. Both are this program, so that nothing must be installed in a guest.

pub mod accel;
pub mod args;
pub mod cli;
pub mod client;
pub mod control;
pub mod doubted;
pub mod failure;
pub mod files;
pub mod guest;
pub mod keep;
pub mod line;
pub mod qmp;
pub mod spec;
mod sys;
pub mod tsc;

pub use failure::{Result, VmError};
