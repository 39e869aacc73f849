//! What engines of virtual machines have in common: which folders may be shared, how shares are called, which ports of
//! this host are to be had, and what a change means.

mod changes;
pub mod ports;
mod rules;
pub mod share;

pub use changes::{carry_consent, restart_keys};
