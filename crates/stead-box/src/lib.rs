//! One running sandbox: the processes, namespaces, mounts, limits and the network of a machine of the engine `sandbox`.
//!
//! Synchronous, and without a steward: what runs in a sandbox goes on whoever dies around it. The engine
//! (`stead-engines`) says what a sandbox is made of in a [`spec::Spec`]; the program `stead-box` makes it.

pub mod cgroup;
pub mod filter;
mod guard_sys;
pub mod hide;
pub mod net;
pub mod spec;
