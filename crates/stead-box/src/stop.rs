//! Ending a sandbox.

use crate::cgroup;
use crate::failure::{BoxError, Result, Tried};
use crate::outsiders::Outsiders;
use crate::process::{RUN_FILE, boot_id, handle, init_of, read_run, wait_end};
use crate::sys;
use rustix::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// How long the process that serves the network has to notice that nobody is left.
const NET_GRACE: Duration = Duration::from_secs(5);

/// How long most take to end; only then is it looked for what holds one up.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Ends the sandbox whose run folder is `run`: everybody inside is asked, and killed after `grace`. Then its cgroups
/// and `run.json` are removed. Nothing to be done is no error.
///
/// # Errors
/// If something of it cannot be ended or removed; it can be tried again.
pub fn stop(run: &Path, grace: Duration) -> Result<()> {
    let Some(running) = read_run(run)? else { return Ok(()) };
    if let Some(init) = init_of(&running)? {
        signal(&init, libc::SIGTERM)?;
        let ended = wait_end(init.as_fd(), Some(grace.min(AT_ONCE)))?
            || Outsiders::of(running.init).wait_end(&init, Some(grace.saturating_sub(AT_ONCE)))?;
        if !ended {
            let outsiders = Outsiders::of(running.init);
            signal(&init, libc::SIGKILL)?;
            outsiders.wait_end(&init, None)?;
        }
    }
    if let Some(pid) = running.net
        && running.boot == boot_id()?
        && let Some(net) = handle(pid, running.net_start)?
        && !wait_end(net.as_fd(), Some(NET_GRACE))?
    {
        signal(&net, libc::SIGKILL)?;
        wait_end(net.as_fd(), None)?;
    }
    cgroup::remove(&running.cgroups).map_err(|e| BoxError::refused(e.to_string()))?;
    let path = run.join(RUN_FILE);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).tried(|| path.display()),
        _ => Ok(()),
    }
}

fn signal(process: &rustix::fd::OwnedFd, number: i32) -> Result<()> {
    match sys::signal(process.as_fd(), number) {
        Err(e) if e.raw_os_error() != Some(libc::ESRCH) => Err(e).tried(|| "ending the sandbox"),
        _ => Ok(()),
    }
}
