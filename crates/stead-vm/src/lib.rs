//! One running virtual machine.
//!
//! Outside there is QEMU and its keeper, which speaks with it (QMP), carries connections over the machine's line and is
//! there as long as the machine runs. Inside there is an init, where the guest has none of its own, and an agent at the
//! other end of the line. Both are this program, so that nothing must be installed in a guest.

pub mod cli;
pub mod client;
pub mod failure;
pub mod guest;
pub mod line;
mod sys;

pub use failure::{Result, VmError};
