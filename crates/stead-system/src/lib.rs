//! A declared operating system, rendered to NixOS or Debian, brought onto a machine, and audited there.
//!
//! [`Whole`] is a declared system as one machine has it; both renderers and the audit ask it what follows from the
//! declaration, so that they cannot disagree. Rendering is pure: a declaration in, a [`Tree`] of files out.

mod alloy;
pub mod apply;
pub mod audit;
pub mod debian;
pub mod install;
pub mod mcp;
pub mod nixos;
pub mod packages;
pub mod parts;
mod tree;
mod whole;
pub mod wireguard;

pub use tree::{File, Tree};
pub use whole::{Whole, secret_path};
