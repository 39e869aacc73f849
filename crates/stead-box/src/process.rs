//! Processes that are told apart from later ones with the same number.

use crate::failure::{BoxError, Result, Tried};
use crate::spec::Running;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// When the process `pid` started, in clock ticks since boot.
pub fn start_time(pid: i32) -> Result<u64> {
    number(pid, 22)
}

/// The parent of the process `pid`.
pub fn parent(pid: i32) -> Result<i32> {
    number(pid, 4)
}

/// A number in `/proc/PID/stat`, by the field's number there, from 4 on.
fn number<T: FromStr>(pid: i32, field: usize) -> Result<T> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).tried(|| &path)?;
    // The name is in parentheses and may hold anything; what follows it is fields 3 and up.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(field - 3))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| BoxError::refused(format!("{path}: not the form this program knows")))
}

/// The id of this boot.
pub fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(std::fs::read_to_string(path).tried(|| path)?.trim_end().to_owned())
}

/// A handle on process `pid` if it is the one that started at `start` and it lives. One that has ended and that nobody
/// has waited for yet is gone.
pub fn handle(pid: i32, start: u64) -> Result<Option<OwnedFd>> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
    let fd = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
        Err(e) => return Err(e).tried(|| format!("process {pid}")),
    };
    // The handle comes first: what is read then is of the process behind it, or of nobody.
    let is = start_time(pid).is_ok_and(|found| found == start);
    // One that has ended may stay in the list until somebody takes it in.
    Ok((is && !wait_end(fd.as_fd(), Some(Duration::ZERO))?).then_some(fd))
}

/// Waits until the process behind `pidfd` has ended. `false` if `limit` was over first.
pub fn wait_end(pidfd: BorrowedFd<'_>, limit: Option<Duration>) -> Result<bool> {
    let deadline = limit.map(|l| std::time::Instant::now() + l);
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(std::time::Instant::now()));
        let left = left
            .map(|l| Timespec { tv_sec: l.as_secs() as i64, tv_nsec: i64::from(l.subsec_nanos()) });
        let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(n) => return Ok(n > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).tried(|| "waiting for a process to end"),
        }
    }
}

/// Name of the file that says that a sandbox runs.
pub const RUN_FILE: &str = "run.json";

/// What `run.json` in `run` says. `None` if there is none.
pub fn read_run(run: &Path) -> Result<Option<Running>> {
    let path = run.join(RUN_FILE);
    let Some(text) = read(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        BoxError::refused(format!("{}: {e}; stop the machine and start it again", path.display()))
    })
}

/// What the record beside a sandbox's data says. One that cannot be understood is none: it is replaced as a whole, so only
/// a host that went down leaves it half written, and then nothing runs.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read_record(path: &Path) -> Result<Option<Running>> {
    Ok(read(path)?.and_then(|text| serde_json::from_slice(&text).ok()))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).tried(|| path.display()),
    }
}

/// Puts `run.json` into `run`, whole.
pub fn write_run(run: &Path, running: &Running) -> Result<()> {
    write_record(&run.join(RUN_FILE), running)
}

/// Replaces such a file as a whole.
pub fn write_record(path: &Path, running: &Running) -> Result<()> {
    let new = path.with_extension("json.new");
    let text = serde_json::to_vec(running).map_err(std::io::Error::from);
    // It holds the variables of the machine.
    let mut private = std::fs::OpenOptions::new();
    private.write(true).create(true).truncate(true).mode(0o600);
    text.and_then(|text| private.open(&new)?.write_all(&text))
        .and_then(|()| std::fs::rename(&new, path))
        .tried(|| new.display())
}

/// A handle on the first process of a sandbox. `None` if it is gone.
pub fn init_of(running: &Running) -> Result<Option<OwnedFd>> {
    if running.boot != boot_id()? {
        return Ok(None);
    }
    handle(running.init, running.init_start)
}
