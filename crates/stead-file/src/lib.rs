//! `stead.toml`: read into a checked declaration, or into errors that point at the line.
//!
//! This crate knows the file and nothing of engines, disks or networks.

pub mod declared;
pub mod size;
