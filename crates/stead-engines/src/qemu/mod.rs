//! Engine `qemu`: real virtual machines.

pub mod image;
