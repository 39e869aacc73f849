//! A machine's sandbox while it runs: asking whether it does, starting and stopping it.

use super::bounded::Run;
use super::claim::Claim;
use super::files;
use super::place::Place;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use stead_box::spec::{Running, Spec};
use stead_box::{RUN_FILE, read_record};
use stead_machine::EngineError;

/// The file in a run folder that says which cover is in use.
pub const COVER: &str = "cover.json";
/// How long a start may take, and a stop beyond the time that processes inside have.
const PATIENCE: Duration = Duration::from_mins(1);

/// What `stead-box start` prints.
#[derive(Deserialize)]
#[serde(untagged)]
enum Started {
    Running(Box<Running>),
    Failed { error: String },
}

/// The sandbox whose run folder this is, if it runs. A folder left over from before the last boot, or from a sandbox
/// that has ended, is none.
///
/// # Errors
/// If that cannot be told.
pub fn look(run: &Path) -> Result<Option<Running>, EngineError> {
    let Some(running) = files::read::<Running>(&run.join(RUN_FILE))? else { return Ok(None) };
    Ok(is(&running, running.init, running.init_start)?.then_some(running))
}

/// The sandbox of a machine, if it runs, and its run folder. It may have been started by a program that had another
/// runtime folder than this one, and its run folder may have been removed: the record beside its data tells, and then the
/// folder is where it would be.
///
/// # Errors
/// If that cannot be told.
pub fn find(place: &Place, name: &str) -> Result<Option<(PathBuf, Running)>, EngineError> {
    let run = place.run(name);
    if let Some(running) = look(&run)? {
        return Ok(Some((run, running)));
    }
    let record = read_record(&place.started(name))
        .map_err(|e| EngineError::Unreachable(format!("whether it runs: {e}")))?;
    match record {
        Some(running) if is(&running, running.init, running.init_start)? => {
            let there = running.run.join(RUN_FILE).exists();
            Ok(Some((if there { running.run.clone() } else { run }, running)))
        }
        _ => Ok(None),
    }
}

/// Whether the process that serves its network is there.
pub fn has_net(running: &Running) -> bool {
    running.net.is_none_or(|net| is(running, net, running.net_start).unwrap_or(true))
}

/// Whether this process, and not another with its number, is alive.
fn is(running: &Running, pid: i32, start: u64) -> Result<bool, EngineError> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|e| EngineError::Unreachable(format!("read this boot's id: {e}")))?;
    if boot.trim() != running.boot {
        return Ok(false);
    }
    lives(pid, start)
}

/// Whether the process that has this number, and started then (in clock ticks since boot), has not ended.
///
/// # Errors
/// If that cannot be told.
pub fn lives(pid: i32, start: u64) -> Result<bool, EngineError> {
    Ok(started(pid)? == Some(start))
}

/// When a process started, in clock ticks since boot; `None` if it has ended.
///
/// # Errors
/// If that cannot be told.
pub fn started(pid: i32) -> Result<Option<u64>, EngineError> {
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // The process ended while it was being looked at.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            return Ok(None);
        }
        Err(e) => return Err(EngineError::Unreachable(format!("look at process {pid}: {e}"))),
    };
    // The name, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let state = fields.next().unwrap_or("Z");
    let started = fields.nth(18).and_then(|field| field.parse().ok());
    Ok(started.filter(|_| !state.starts_with(['Z', 'X'])))
}

/// Starts a sandbox by `stead-box`, which is `program`.
///
/// # Errors
/// Why it did not start; nothing of it is left then but perhaps empty control groups.
pub fn start(program: &Path, spec: &Spec, claim: &Claim) -> Result<Running, EngineError> {
    files::make(&spec.run)?;
    let run = Run {
        what: "start it",
        claim: Some(claim),
        input: Some(serde_json::to_vec(spec).map_err(|e| EngineError::Failed(e.to_string()))?),
        limit: Some(PATIENCE),
        killable: true,
        package: None,
    };
    let mut command = Command::new(program);
    let output = run.output(command.arg("start").env_clear().current_dir("/"))?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Started::Running(running)) => Ok(*running),
        Ok(Started::Failed { error }) => Err(EngineError::Failed(error)),
        Err(_) => Err(EngineError::Failed(format!(
            "stead-box ended with {}: {}",
            output.status,
            claim.said()
        ))),
    }
}

/// Stops a sandbox by `stead-box`, which is `program`: its processes are asked to end, and killed after so many seconds. One that does not run is no error.
///
/// # Errors
/// If it goes on.
pub fn stop(program: &Path, run: &Path, grace: u32, claim: &Claim) -> Result<(), EngineError> {
    if !run.join(RUN_FILE).exists() {
        return Ok(());
    }
    let bounded = Run {
        what: "stop it",
        claim: Some(claim),
        input: None,
        limit: Some(PATIENCE + Duration::from_secs(grace.into())),
        killable: true,
        package: None,
    };
    let grace = grace.to_string();
    let mut command = Command::new(program);
    command.arg("stop").arg(run).args(["--grace", &grace]).env_clear().current_dir("/");
    let output = bounded.output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(EngineError::Failed(format!(
        "it does not stop: {}{}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
