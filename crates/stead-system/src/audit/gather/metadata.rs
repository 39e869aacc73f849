//! Whether somebody without rights reaches the address where clouds give credentials.

use super::files::Place;
use super::program;
use crate::Whole;
use crate::audit::evidence::{Reached, Seen};
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Where clouds give credentials.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 169, 254), 80);
/// Who has no rights.
const NOBODY: u32 = 65_534;
/// How long it may take to be connected.
const LONG: Duration = Duration::from_secs(1);

/// Tries it as nobody: rules go by who asks.
pub fn reached(place: &Place, whole: &Whole) -> Seen<Reached> {
    if whole.outside {
        return Err("what it reaches is decided outside of it".into());
    }
    // Whoever put this program here may have kept it for root.
    let _ = std::fs::set_permissions("/proc/self/exe", Permissions::from_mode(0o755));
    let mut command = Command::new("/proc/self/exe");
    command.uid(NOBODY).gid(NOBODY);
    let long = place.patience.min(LONG * 3);
    let out = program::run_for(&mut command, "an attempt to connect", &["connect"], long)?;
    match String::from_utf8_lossy(&out).trim().split_once(' ') {
        None => Ok(Reached::Yes),
        Some((_, why)) => Ok(Reached::No(why.to_owned())),
    }
}

/// The attempt: what `reached` starts prints this.
pub fn attempt() -> String {
    match TcpStream::connect_timeout(&SocketAddr::from(ADDRESS), LONG) {
        Ok(_) => "connected".into(),
        Err(why) => format!("not {why}"),
    }
}
