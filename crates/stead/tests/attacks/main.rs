//! Every promise of a machine attacked from inside, as root inside, with the real programs.
//!
//! A probe is a program that tells what became of each attempt. It ends with a word of its own, so that one that did not
//! run is a failure; and each test has an attempt that must succeed, so that a probe that cannot succeed is one too.

#[path = "../common/mod.rs"]
mod common;

mod bombs;
mod counts;
mod door;
mod kernel;
mod links;
mod network;
mod probe;
mod secrets;
mod vms;
