//! Machines as a person has them: the stead file, the plan, sessions and commands inside, with the real programs.

#[path = "../common/mod.rs"]
mod common;

mod agents;
mod containers;
mod copies;
mod disks;
mod file;
mod inside;
mod life;
mod misuse;
mod ports;
mod records;
mod sessions;
mod states;
mod user;
mod vms;
