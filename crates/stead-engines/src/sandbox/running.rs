//! A machine's sandbox while it runs: asking whether it does, starting and stopping it.

use super::{Programs, files};
use serde::Deserialize;
use stead_box::spec::{Running, Spec};
use stead_machine::EngineError;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

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
    let Some(running) = files::read::<Running>(&run.join("run.json"))? else { return Ok(None) };
    Ok(is(&running, running.init, running.init_start)?.then_some(running))
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
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        // The process ended while it was being looked at.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            return Ok(false);
        }
        Err(e) => return Err(EngineError::Unreachable(format!("look at process {pid}: {e}"))),
    };
    // The name, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let state = fields.next().unwrap_or("Z");
    let started: Option<u64> = fields.nth(18).and_then(|field| field.parse().ok());
    Ok(!state.starts_with(['Z', 'X']) && started == Some(start))
}

/// Starts a sandbox.
///
/// # Errors
/// Why it did not start; nothing of it is left then.
pub fn start(programs: &Programs, spec: &Spec) -> Result<Running, EngineError> {
    files::make(&spec.run)?;
    let mut child = Command::new(&programs.sandbox)
        .arg("start")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(files::failed(format!("run {}", programs.sandbox.display())))?;
    let text = serde_json::to_vec(spec).map_err(|e| EngineError::Failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read says why on its standard output.
        let _ = stdin.write_all(&text);
    }
    let output = child.wait_with_output().map_err(files::failed("wait for stead-box"))?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Started::Running(running)) => Ok(*running),
        Ok(Started::Failed { error }) => Err(EngineError::Failed(error)),
        Err(_) => Err(EngineError::Failed(format!(
            "stead-box ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Stops a sandbox: its processes are asked to end, and killed after so many seconds. One that does not run is no error.
///
/// # Errors
/// If it goes on.
pub fn stop(programs: &Programs, run: &Path, grace: u32) -> Result<(), EngineError> {
    if !run.join("run.json").exists() {
        return Ok(());
    }
    let output = Command::new(&programs.sandbox)
        .arg("stop")
        .arg(run)
        .args(["--grace", &grace.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(files::failed(format!("run {}", programs.sandbox.display())))?;
    if output.status.success() {
        return Ok(());
    }
    Err(EngineError::Failed(format!(
        "it does not stop: {}{}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
