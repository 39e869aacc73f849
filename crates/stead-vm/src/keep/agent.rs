//! What the keeper has of the agent inside.

use super::console::thread;
use crate::client::{self, Held};
use crate::files::AGENT;
use crate::guest::config::Config;
use crate::line::host::{Keeper, relay};
use crate::line::spoken::Request;
use crate::{Result, VmError};
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an agent that is there may take to answer.
const SOON: Duration = Duration::from_secs(5);
/// How long writing everything to the disks may take.
const SETTLE: Duration = Duration::from_secs(20);

/// Carries the line until QEMU ends. `boots`: the guest is only starting. `there` is told whenever the agent takes requests.
///
/// # Errors
/// If there is no thread for it.
pub fn carry(
    line: UnixStream,
    door: UnixListener,
    config: Option<Config>,
    boots: bool,
    there: impl Fn() + Send + 'static,
) -> std::io::Result<()> {
    thread("line", move || {
        let mut keeper = Ours { config: config.unwrap_or_default(), boots, there };
        if let Err(e) = relay(&line, &door, &mut keeper) {
            eprintln!("stead-vm: {e}");
        }
    })
}

struct Ours<F> {
    config: Config,
    boots: bool,
    there: F,
}

impl<F: Fn()> Keeper for Ours<F> {
    fn config(&mut self) -> Config {
        fresh(self.config.clone())
    }

    fn boots(&self) -> bool {
        self.boots
    }

    fn ready(&mut self) {
        // What another machine left is gone. What is there when the guest boots again is its own.
        self.config.strip = false;
        (self.there)();
    }
}

/// With the time as it is, and random bytes that nobody had before.
fn fresh(mut config: Config) -> Config {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    config.clock_ms = Some(since.map_or(0, |since| since.as_millis() as u64));
    let mut bytes = [0u8; 32];
    if getrandom(&mut bytes, GetRandomFlags::empty()).is_ok() {
        config.seed = Some(bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }));
    }
    config
}

/// Tells a guest that goes on from kept memory who it is now, and what time.
///
/// # Errors
/// If its agent does not do it.
pub fn become_again(folder: &Path, config: &Config) -> Result<()> {
    let config = Box::new(fresh(config.clone()));
    ask(folder, &Request::Identity { config }, SETTLE)
}

/// Asks the guest to shut down.
///
/// # Errors
/// If nobody answers.
pub fn down(folder: &Path) -> Result<()> {
    ask(folder, &Request::Down, SOON)
}

/// Whether anybody answers.
pub fn answers(folder: &Path) -> bool {
    ask(folder, &Request::Ping, SOON).is_ok()
}

/// Has everything written to the disks, and nobody write until [`Held::release`] or the end of what this returns.
///
/// # Errors
/// If it could not be done.
pub fn freeze(folder: &Path) -> Result<Held> {
    client::hold(&folder.join(AGENT), &Request::Freeze, SETTLE)
}

fn ask(folder: &Path, request: &Request, limit: Duration) -> Result<()> {
    client::ask(&folder.join(AGENT), request, Some(limit))
        .map_err(|e| VmError::refused(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_boots_again_keeps_what_is_its_own() {
        let config = Config { strip: true, ..Config::default() };
        let mut keeper = Ours { config, boots: true, there: || {} };
        assert!(keeper.config().strip);
        // It ended before its agent was there.
        assert!(keeper.config().strip);
        keeper.ready();
        assert!(!keeper.config().strip);
    }
}
