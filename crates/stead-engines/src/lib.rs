//! What machines run on: one folder an engine, all behind [`stead_machine::Engine`].

mod common;
pub mod debian;
pub mod host;
pub mod qemu;
pub mod sandbox;

/// The engines that stead files can name.
pub const NAMES: [&str; 3] = ["host", "sandbox", "qemu"];

/// A program of ours, which lies beside this one.
fn beside(name: &str) -> std::path::PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| name.into())
}
