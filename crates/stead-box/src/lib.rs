//! One running sandbox: the processes, namespaces, mounts, limits and the network of a machine of the engine `sandbox`.
//!
//! Synchronous, and without a steward: what runs in a sandbox goes on whoever dies around it. The engine
//! (`stead-engines`) says what a sandbox is made of in a [`spec::Spec`]; the program `stead-box` makes it.

mod binds;
pub mod cgroup;
pub mod cli;
mod descriptors;
mod devices;
pub mod enter;
mod failure;
pub mod filter;
mod guard_sys;
pub mod hide;
mod identity;
mod init;
mod inside;
mod kernel;
mod mounts;
pub mod net;
mod outsiders;
mod place;
mod process;
mod program;
mod root;
mod rootless;
mod share;
pub mod spec;
pub mod start;
pub mod stop;
mod streams;
mod sys;
mod tenant;
mod terminal;
mod userns;

pub use failure::BoxError;
pub use process::{RUN_FILE, read_record};
