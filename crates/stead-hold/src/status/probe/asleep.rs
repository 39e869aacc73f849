//! What one process sleeps on: `/proc/PID/task/TID/syscall`, and the descriptors that the call names.

use super::tree;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Most threads of a process that a look goes through.
const MOST_THREADS: usize = 128;
/// Most descriptors of one call that a look goes through.
const MOST_DESCRIPTORS: u64 = 1024;
/// `/dev/tty`, by which a process may have opened its own terminal.
const DEV_TTY: u64 = 5 << 8;

/// What a process sleeps on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asleep {
    /// The terminal.
    OnTerminal {
        /// Whether it is in a read, and not merely waiting for readiness.
        reads: bool,
        /// What else it waits for that may be its work.
        others: Option<&'static str>,
    },
    /// Something else, or nothing.
    Elsewhere(String),
    /// The kernel does not let us look.
    Denied(String),
    /// It ended meanwhile.
    Gone,
}

/// What one thread is in.
enum Call {
    Running,
    Reads(u64),
    WaitsFor(Vec<u64>),
    /// Waits for readiness of descriptors that could not be listed.
    WaitsForHidden,
    Other(i64),
}

pub(super) fn asleep(proc: &Path, pid: i32, tty: u64) -> Asleep {
    let dir = proc.join(pid.to_string());
    let Ok(tasks) = fs::read_dir(dir.join("task")) else { return Asleep::Gone };
    let mut running = false;
    let mut reads = false;
    let mut waits = false;
    let mut sockets = false;
    let mut pipes = false;
    let mut hidden = false;
    let mut call_name = None;
    let mut denied = None;
    for task in tasks.flatten().take(MOST_THREADS) {
        let line = match fs::read_to_string(task.path().join("syscall")) {
            Ok(line) => line,
            Err(e) if gone(&e) => continue,
            Err(e) => {
                denied = Some(e.to_string());
                continue;
            }
        };
        match parse(&dir, &line) {
            Call::Running => running = true,
            Call::Reads(fd) => match kind(&dir, fd, tty) {
                Kind::Terminal => reads = true,
                _ => call_name = call_name.or(Some("reads from elsewhere".to_owned())),
            },
            Call::WaitsFor(fds) => {
                for fd in fds {
                    match kind(&dir, fd, tty) {
                        Kind::Terminal => waits = true,
                        Kind::Socket => sockets = true,
                        Kind::Pipe => pipes = true,
                        Kind::Else => {}
                    }
                }
                call_name = call_name.or(Some("waits for descriptors".to_owned()));
            }
            Call::WaitsForHidden => hidden = true,
            Call::Other(number) => {
                call_name = call_name.or_else(|| Some(describe(number)));
            }
        }
    }
    if running {
        return Asleep::Elsewhere("is on a processor".into());
    }
    if reads || waits {
        let others = if sockets {
            Some("sockets")
        } else if hidden {
            Some("descriptors that cannot be listed")
        } else if !reads && pipes && tree::has_children(proc, pid) {
            Some("its children")
        } else {
            None
        };
        return Asleep::OnTerminal { reads, others };
    }
    if hidden {
        return Asleep::Denied("the descriptors that it waits for cannot be listed".into());
    }
    match (denied, call_name) {
        (Some(why), _) => Asleep::Denied(why),
        (None, Some(what)) => Asleep::Elsewhere(what),
        (None, None) => Asleep::Gone,
    }
}

fn gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH)
}

/// Reads a line such as `0 0x0 0x7ffd… … sp pc`, `running` or `-1 sp pc`.
fn parse(dir: &Path, line: &str) -> Call {
    let mut words = line.split_whitespace();
    let Some(number) = words.next().and_then(|w| w.parse::<i64>().ok()) else {
        return Call::Running;
    };
    let mut argument = || {
        words
            .next()
            .and_then(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok())
            .unwrap_or_default()
    };
    let (a, b) = (argument(), argument());
    match what(number) {
        What::Read => Call::Reads(a),
        What::Poll => polled(dir, a, b).map_or(Call::WaitsForHidden, Call::WaitsFor),
        What::Select => selected(dir, a, b).map_or(Call::WaitsForHidden, Call::WaitsFor),
        What::Epoll => epolled(dir, a).map_or(Call::WaitsForHidden, Call::WaitsFor),
        What::Other => Call::Other(number),
    }
}

enum What {
    Read,
    Poll,
    Select,
    Epoll,
    Other,
}

fn what(number: i64) -> What {
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_poll => return What::Poll,
        libc::SYS_select => return What::Select,
        libc::SYS_epoll_wait => return What::Epoll,
        _ => {}
    }
    match number {
        libc::SYS_read | libc::SYS_readv => What::Read,
        libc::SYS_ppoll => What::Poll,
        libc::SYS_pselect6 => What::Select,
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => What::Epoll,
        _ => What::Other,
    }
}

fn describe(number: i64) -> String {
    match number {
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => "sleeps on a timer".into(),
        libc::SYS_wait4 | libc::SYS_waitid => "waits for a child".into(),
        libc::SYS_futex => "waits for its own threads".into(),
        libc::SYS_rt_sigsuspend | libc::SYS_rt_sigtimedwait => "waits for a signal".into(),
        libc::SYS_write | libc::SYS_writev => "writes".into(),
        libc::SYS_connect => "connects".into(),
        libc::SYS_recvfrom | libc::SYS_recvmsg => "waits for a socket".into(),
        -1 => "waits in the kernel".into(),
        other => format!("is in system call {other}"),
    }
}

/// The descriptors that a poll waits to read from.
fn polled(dir: &Path, address: u64, count: u64) -> Option<Vec<u64>> {
    let count = count.min(MOST_DESCRIPTORS);
    let bytes = memory(dir, address, count * 8)?;
    Some(
        bytes
            .chunks_exact(8)
            .filter_map(|entry| {
                let fd = i32::from_ne_bytes(entry[..4].try_into().ok()?);
                let events = i16::from_ne_bytes(entry[4..6].try_into().ok()?);
                (events & (libc::POLLIN | libc::POLLRDNORM) != 0)
                    .then(|| u64::try_from(fd).ok())
                    .flatten()
            })
            .collect(),
    )
}

/// The descriptors that a select waits to read from.
fn selected(dir: &Path, count: u64, address: u64) -> Option<Vec<u64>> {
    if address == 0 {
        return Some(Vec::new());
    }
    let count = count.min(MOST_DESCRIPTORS);
    let words = memory(dir, address, count.div_ceil(64) * 8)?;
    let bit = |fd: u64| {
        let word = words.chunks_exact(8).nth((fd / 64) as usize)?;
        Some(u64::from_ne_bytes(word.try_into().ok()?) >> (fd % 64) & 1 == 1)
    };
    Some((0..count).filter(|fd| bit(*fd) == Some(true)).collect())
}

/// The descriptors that an epoll instance waits to read from.
fn epolled(dir: &Path, fd: u64) -> Option<Vec<u64>> {
    let text = fs::read_to_string(dir.join(format!("fdinfo/{fd}"))).ok()?;
    Some(
        text.lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("tfd:")?.split_whitespace();
                let fd = words.next()?.parse().ok()?;
                let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
                (events & libc::EPOLLIN as u32 != 0).then_some(fd)
            })
            .collect(),
    )
}

fn memory(dir: &Path, address: u64, bytes: u64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; bytes as usize];
    File::open(dir.join("mem")).ok()?.read_exact_at(&mut buffer, address).ok()?;
    Some(buffer)
}

enum Kind {
    Terminal,
    Socket,
    Pipe,
    Else,
}

fn kind(dir: &Path, fd: u64, tty: u64) -> Kind {
    let path = dir.join(format!("fd/{fd}"));
    let Ok(link) = fs::read_link(&path) else { return Kind::Else };
    let link = link.to_string_lossy();
    if link.starts_with("socket:") {
        Kind::Socket
    } else if link.starts_with("pipe:") {
        Kind::Pipe
    } else if link.starts_with("/dev/")
        && fs::metadata(&path).is_ok_and(|m| m.rdev() == tty || m.rdev() == DEV_TTY)
    {
        Kind::Terminal
    } else {
        Kind::Else
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel() {
        let dir = Path::new("/proc/self");
        assert!(matches!(parse(dir, "running\n"), Call::Running));
        assert!(matches!(parse(dir, ""), Call::Running));
        assert!(matches!(parse(dir, "-1 0x7ff 0x7ff\n"), Call::Other(-1)));
        assert!(
            matches!(parse(dir, "0 0x3 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f\n"), Call::Reads(3))
                || cfg!(not(target_arch = "x86_64"))
        );
        let poll = format!("{} 0x10 0x1 0x0", libc::SYS_ppoll);
        assert!(matches!(parse(dir, &poll), Call::WaitsForHidden));
    }

    #[test]
    fn a_process_that_is_not_there_is_gone() {
        assert_eq!(asleep(Path::new("/proc"), i32::MAX, 0), Asleep::Gone);
    }
}
