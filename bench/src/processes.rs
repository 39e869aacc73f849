//! Which processes belong to a program on a stage, what memory and processor time they use, and
//! what is left of them.

use crate::error::{Context, Error, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every process id there is.
fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// True if the process names `root` in its environment or its arguments.
fn names(pid: u32, root: &Path) -> bool {
    ["environ", "cmdline"].iter().any(|what| {
        fs::read(file(pid, what))
            .is_ok_and(|text| memchr::memmem::find(&text, root.as_os_str().as_bytes()).is_some())
    })
}

/// The processes on a stage that run one of `binaries`: a program's servers and clients, without what
/// runs in its sessions.
pub fn of(binaries: &[PathBuf], root: &Path) -> Vec<u32> {
    let binaries: HashSet<&Path> = binaries.iter().map(PathBuf::as_path).collect();
    all()
        .filter(|&pid| {
            fs::read_link(file(pid, "exe")).is_ok_and(|exe| {
                let bytes = exe.as_os_str().as_bytes();
                let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
                binaries.contains(Path::new(OsStr::from_bytes(bytes)))
            }) && names(pid, root)
        })
        .collect()
}

/// Every process that is so.
pub fn find(is_so: impl Fn(u32) -> bool) -> Vec<u32> {
    all().filter(|&pid| is_so(pid)).collect()
}

/// Every process on a stage but this one; one that has ended and was not waited for does not count.
pub fn on(root: &Path) -> Vec<u32> {
    all().filter(|&pid| pid != std::process::id() && names(pid, root)).collect()
}

/// Proportional set size of the processes, in bytes: private memory whole, shared memory divided by
/// those who share it.
///
/// # Errors
/// If one of them has just ended.
pub fn pss(pids: &[u32]) -> Result<u64> {
    rollup(pids, "Pss:")
}

/// Memory of the processes that no file is behind, in bytes.
///
/// # Errors
/// If one of them has just ended.
pub fn anonymous(pids: &[u32]) -> Result<u64> {
    rollup(pids, "Anonymous:")
}

fn rollup(pids: &[u32], field: &str) -> Result<u64> {
    let mut sum = 0;
    for &pid in pids {
        let text = fs::read_to_string(file(pid, "smaps_rollup"))
            .context(format!("cannot read the memory of process {pid}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kib: Option<u64> = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse().ok());
        sum += kib.ok_or_else(|| Error::new("smaps_rollup without what is asked for"))? * 1024;
    }
    Ok(sum)
}

/// Processor time that the processes have used, over all their threads.
pub fn cpu(pids: &[u32]) -> Duration {
    pids.iter().map(|&pid| cpu_of(pid).unwrap_or_default()).sum()
}

fn cpu_of(pid: u32) -> Option<Duration> {
    // Nanoseconds where the kernel counts them, for all threads that still live; else clock ticks.
    let mut exact = 0_u64;
    for task in fs::read_dir(file(pid, "task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        exact += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    let stat = fs::read_to_string(file(pid, "stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks =
        Duration::from_millis((user + system) * 1000 / rustix::param::clock_ticks_per_second());
    Some(ticks.max(Duration::from_nanos(exact)))
}

/// Ends those processes of [`of`] that have `argument` among theirs, or all, and waits until they are
/// gone: for programs that have no command for it.
pub fn end(binaries: &[PathBuf], root: &Path, argument: Option<&OsStr>) {
    let pids: Vec<u32> = of(binaries, root)
        .into_iter()
        .filter(|&pid| {
            argument.is_none_or(|argument| {
                let arguments = fs::read(file(pid, "cmdline")).unwrap_or_default();
                arguments.split(|&b| b == 0).any(|a| a == argument.as_bytes())
            })
        })
        .collect();
    for &pid in &pids {
        signal(pid, Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    // One that was not waited for has no executable any more.
    while pids.iter().any(|&pid| fs::read_link(file(pid, "exe")).is_ok())
        && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // It may be gone by now.
        let _ = kill_process(pid, signal);
    }
}

/// Ends every process that is left on a stage; how many there were.
///
/// They all were started by this run: nothing else knows the folder's name.
pub fn sweep(root: &Path) -> usize {
    let mut left = 0;
    let deadline = Instant::now() + Duration::from_secs(5);
    for round in 0.. {
        let pids = on(root);
        if round == 0 {
            left = pids.len();
        }
        if pids.is_empty() || Instant::now() > deadline {
            break;
        }
        for pid in pids {
            signal(pid, if round < 20 { Signal::TERM } else { Signal::KILL });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    left
}

/// Waits until nothing is left on a stage; what is left at the deadline.
pub fn settle(root: &Path, patience: Duration) -> Vec<u32> {
    let deadline = Instant::now() + patience;
    loop {
        let left = on(root);
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_found_by_its_stage_and_its_binary_and_swept() {
        let root = tempfile::tempdir().unwrap();
        let sleep = fs::canonicalize(crate::stage::which("sleep").unwrap()).unwrap();
        let mut child = Command::new(&sleep).arg("1000").env("X", root.path()).spawn().unwrap();
        let found = || of(std::slice::from_ref(&sleep), root.path());
        // Between fork and exec the child is still a copy of this program.
        while found().is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(found(), [child.id()]);
        assert!(of(&["/nonexistent".into()], root.path()).is_empty());
        assert!(pss(&[child.id()]).unwrap() > 0);
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        assert_eq!(sweep(root.path()), 1);
        assert!(!reaper.join().unwrap().success());
        assert!(on(root.path()).is_empty());
    }
}
