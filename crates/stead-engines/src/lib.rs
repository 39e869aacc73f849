//! What machines run on: one folder an engine, all behind [`stead_machine::Engine`].

mod common;
pub mod debian;
pub mod host;
pub mod qemu;
pub mod sandbox;

/// The engines that stead files can name.
pub const NAMES: [&str; 2] = ["host", "sandbox"];
