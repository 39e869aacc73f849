//! Programs of the machine, which may hang or print without end.

use super::files::Place;
use crate::audit::evidence::Seen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where programs are, on Debian and on NixOS; never where a user could put one.
const FOLDERS: [&str; 7] = [
    "/run/current-system/sw/bin",
    "/run/wrappers/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/systemd",
];
/// How much one may print.
const MUCH: usize = 16 << 20;

/// Where a program is.
pub fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| PathBuf::from(folder).join(name)).find(|path| path.is_file())
}

/// What a program prints; why not, if it fails, is not there, takes too long or prints too much.
pub fn run(place: &Place, name: &str, arguments: &[&str]) -> Seen<Vec<u8>> {
    let path = find(name).ok_or_else(|| format!("there is no {name}"))?;
    run_for(&mut Command::new(path), name, arguments, place.patience)
}

/// What a program prints that changes something, which takes longer.
pub fn run_within(command: &mut Command, name: &str, arguments: &[&str]) -> Seen<Vec<u8>> {
    run_for(command, name, arguments, Duration::from_secs(30))
}

/// What a program prints within this time.
pub(super) fn run_for(
    command: &mut Command,
    name: &str,
    arguments: &[&str],
    long: Duration,
) -> Seen<Vec<u8>> {
    let child = command
        .args(arguments)
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_PAGER", "")
        .env("SYSTEMD_COLORS", "0")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|why| format!("{name} cannot be run: {why}"))?;
    let heard = listen(&mut child, name, Instant::now() + long);
    if heard.is_err()
        && let Some(group) = Pid::from_raw(child.id() as i32)
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait();
    let (out, errors) = heard?;
    let status = status.map_err(|why| format!("{name}: {why}"))?;
    if status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&errors);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("{name} failed ({status}): {line}"))
}

/// Reads what it prints until it has ended.
fn listen(child: &mut Child, name: &str, deadline: Instant) -> Seen<(Vec<u8>, Vec<u8>)> {
    let wrong = |why: &dyn std::fmt::Display| format!("{name}: {why}");
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(wrong(&"no pipe"));
    };
    let pid = Pid::from_raw(child.id() as i32).ok_or_else(|| wrong(&"no process"))?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|why| wrong(&why))?;
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let (mut out_open, mut errors_open) = (true, true);
    let mut some = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        if out_open {
            fds.push(PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN));
        }
        if errors_open {
            fds.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, Some(&time)) {
            Ok(0) => return Err(format!("{name} did not answer in time")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(why) => return Err(wrong(&why)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut next = ready.iter().skip(1).copied();
        let out_ready = out_open && next.next().unwrap_or(false);
        let errors_ready = errors_open && next.next().unwrap_or(false);
        if out_ready {
            let count = stdout.read(&mut some).map_err(|why| wrong(&why))?;
            out.extend_from_slice(&some[..count]);
            out_open = count > 0;
        }
        if errors_ready {
            let count = stderr.read(&mut some).map_err(|why| wrong(&why))?;
            errors.extend_from_slice(&some[..count.min(4096)]);
            errors.truncate(1 << 20);
            errors_open = count > 0;
        }
        if out.len() > MUCH {
            return Err(format!("{name} prints more than {} MiB", MUCH >> 20));
        }
        // What is left in the pipes was read by now, or is of somebody whom it left behind.
        if ready[0] && !out_ready && !errors_ready {
            return Ok((out, errors));
        }
    }
}
