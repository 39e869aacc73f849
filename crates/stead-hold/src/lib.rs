//! One session: its pseudo-terminal, its screen, its history.
//!
//! The program `stead-hold` is a thin main around [`hold`]; the steward and the command line use this
//! library to start holds ([`launch`]), to talk to them ([`client`]) and to read what they leave on disk
//! ([`folder`], [`history`]).
//!
//! [`bridge`] is what the steward talks to inside another machine, where it cannot reach holds itself.
//!
//! A hold depends on nothing but the kernel and its own folder. It is synchronous: one thread, one poll
//! loop. No code here may start a thread on behalf of a running hold.

pub mod attach;
pub mod bridge;
pub mod cli;
pub mod client;
pub mod clock;
pub mod folder;
pub mod history;
pub mod hold;
pub mod id;
pub mod launch;
pub mod pattern;
pub mod status;
pub mod term;
pub mod trust;

mod pty;
mod sys;
