//! Processes outside a sandbox that have a child inside: whoever entered.
//!
//! The kernel ends a sandbox's first process only once every other process inside was waited for, and for a command that
//! was brought in, that is up to a process outside. One that is suspended (Ctrl-Z) waits for nobody until it goes on.

use crate::failure::{Result, Tried};
use crate::process::parent;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Those of one sandbox, each with its child.
pub struct Outsiders(Vec<(OwnedFd, OwnedFd)>);

impl Outsiders {
    /// Those of the sandbox whose first process is `init`. Who cannot be told is left out.
    pub fn of(init: i32) -> Self {
        let Some(space) = space(init) else { return Outsiders(Vec::new()) };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let inside = all.filter(|pid| *pid != init && self::space(*pid).as_ref() == Some(&space));
        let pairs = inside.filter_map(|pid| {
            let child = handle(pid)?;
            let outside =
                parent(pid).ok().filter(|outside| self::space(*outside) != Some(space.clone()))?;
            let whose = handle(outside)?;
            // Nobody else has either number, now that both are held.
            (parent(pid).ok() == Some(outside)).then_some((child, whose))
        });
        Outsiders(pairs.collect())
    }

    /// Waits until the first process has ended, and lets everybody go on whose child ends meanwhile. `false` if `limit` was
    /// over first.
    pub fn wait_end(mut self, init: &OwnedFd, limit: Option<Duration>) -> Result<bool> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
            });
            let children = self.0.iter().map(|(child, _)| child);
            let mut fds: Vec<_> = [init]
                .into_iter()
                .chain(children)
                .map(|fd| PollFd::new(fd, PollFlags::IN))
                .collect();
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e).tried(|| "waiting for a process to end"),
            }
            let mut ended =
                fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
            if ended.next() == Some(true) {
                return Ok(true);
            }
            self.0.retain(|(_, outsider)| {
                let ended = ended.next() == Some(true);
                if ended {
                    // It may have ended, or belong to somebody else.
                    let _ = sys::signal(outsider.as_fd(), libc::SIGCONT);
                }
                !ended
            });
        }
    }
}

/// The process namespace that a process is in.
fn space(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn handle(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}
