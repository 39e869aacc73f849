//! Processes of a machine: those that carry its mark in their environment.

use crate::EngineError;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::path::Path;

/// The variable that says which machine a process belongs to.
pub(super) const MARK: &str = "STEAD_SIMPLE_MACHINE";

/// Kills every process of a machine, and those that they start meanwhile. Returns when none is left.
pub(super) fn kill(machine: &Path) -> crate::engine::Result<()> {
    loop {
        let found = of(|mark| mark == machine.as_os_str().as_encoded_bytes());
        if found.is_empty() {
            return Ok(());
        }
        for pid in found {
            end(pid, machine).map_err(|e| EngineError::Failed(format!("process {pid}: {e}")))?;
        }
    }
}

/// Every process of every machine below a folder.
pub(super) fn all(root: &Path) -> Vec<i32> {
    of(|mark| mark.starts_with(root.as_os_str().as_encoded_bytes()))
}

fn of(belongs: impl Fn(&[u8]) -> bool) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| mark(pid).is_some_and(|mark| belongs(&mark)))
        .collect()
}

/// The mark of a process; a dead one has none.
fn mark(pid: i32) -> Option<Vec<u8>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{MARK}=");
    environment
        .split(|&byte| byte == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()))
        .map(<[u8]>::to_vec)
}

fn end(pid: i32, machine: &Path) -> rustix::io::Result<()> {
    use rustix::io::Errno;
    let Some(number) = Pid::from_raw(pid) else { return Ok(()) };
    let process = match pidfd_open(number, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        process => process?,
    };
    // The number may be another's by now; what is held cannot become one.
    if mark(pid).is_none_or(|mark| mark != machine.as_os_str().as_encoded_bytes()) {
        return Ok(());
    }
    match pidfd_send_signal(&process, Signal::KILL) {
        Err(Errno::SRCH) => return Ok(()),
        sent => sent?,
    }
    let mut wait = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut wait, None) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(_) => return Ok(()),
        }
    }
}
