//! What this program does inside a machine.
//!
//! [`init`] is what the kernel starts: it makes the machine what its keeper says ([`config`]), and becomes the first process of a
//! light guest ([`light`]) or the root's own init, which finds a unit for the agent (`full`). [`agent`] does what the host asks.

pub mod agent;
mod arrivals;
mod clock;
mod command;
pub mod config;
mod forward;
mod freeze;
mod full;
mod gpt;
mod identity;
pub mod init;
mod kernel;
mod keys;
pub mod light;
mod net;
mod place;
mod port;
pub mod power;
mod root;
mod sessions;
mod shares;
mod shell;

/// How this program is called as the first process of a light guest.
pub const FIRST: &str = "first-process";
/// How it is called as the agent.
pub const AGENT: &str = "agent";

/// Where the programs are in a guest.
const PROGRAMS: &str = "/run/stead/bin";
/// This program there.
const SELF: &str = "/run/stead/bin/stead-vm";
/// What the machine is, for its agent.
const CONFIG: &str = "/run/stead/config.json";
/// What the machine is, beside the first root, where nobody is at the other end of the line to tell it.
const ENCLOSED: &str = "/config.json";
/// Where the disk is whose folders outlive the root.
const PERSIST: &str = "/run/stead/persist";

/// Says something on the machine's console, which the host keeps.
fn say(what: &str) {
    use std::io::Write;
    let console = std::fs::OpenOptions::new().write(true).open("/dev/console");
    let line = format!("stead: {what}\n");
    if let Ok(mut console) = console {
        let _ = console.write_all(line.as_bytes());
    } else {
        eprint!("{line}");
    }
}
