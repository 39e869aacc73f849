//! Starting a hold, and telling whether one still lives.

use crate::clock::TEST_CLOCK;
use crate::folder::{FolderError, Places};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use stead_wire::session::{Run, Spec};

/// Longest path of a unix socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// Why a session did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Its folder could not be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The program `stead-hold` could not be run.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Sockets' paths would be longer than the kernel takes.
    #[error("the folder {} is too long for sockets: a socket's path has at most {MAX_SOCKET_PATH} bytes, and theirs would have {len}; set XDG_RUNTIME_DIR to a shorter one", folder.display())]
    LongPath {
        /// The folder that sockets lie in.
        folder: PathBuf,
        /// Bytes of a socket's path in it.
        len: usize,
    },
    /// The hold started and gave up.
    #[error("{0}")]
    Refused(String),
    /// The hold ended without a word.
    #[error("the hold ended before it was ready")]
    Silent,
}

/// What a starting hold prints on its standard output, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// It runs.
    Ok(Run),
    /// It does not, and why.
    Error(String),
}

/// Checks that the kernel takes the paths of these places' sockets.
///
/// # Errors
/// [`LaunchError::LongPath`] if not.
pub fn check_sockets(places: &Places) -> Result<(), LaunchError> {
    // Of all sockets, the holds' have the longest paths; every id has the same length.
    let len = places.hold_socket(&crate::id::new()).as_os_str().len();
    if len > MAX_SOCKET_PATH {
        return Err(LaunchError::LongPath { folder: places.runtime.clone(), len });
    }
    Ok(())
}

/// Starts a hold for `spec` and waits until its command runs and its socket listens.
///
/// The hold does not belong to the caller: it leaves the caller's session and process tree at once. For
/// a session that lived before, this begins its next life; the history goes on where it ended.
///
/// # Errors
/// If the session's folder cannot be made, or the command cannot be started. The folder of a session that
/// never lived is removed again.
pub fn start(places: &Places, spec: &Spec, program: &Path) -> Result<Run, LaunchError> {
    check_sockets(places)?;
    places.create()?;
    let folder = places.session(&spec.id);
    let lived = folder.run()?.is_some();
    folder.create(spec)?;
    let result = start_hold(places, spec, program);
    match &result {
        Err(_) if !lived => {
            let _ = folder.remove();
        }
        _ => {}
    }
    result
}

fn start_hold(places: &Places, spec: &Spec, program: &Path) -> Result<Run, LaunchError> {
    let folder = places.session(&spec.id);
    let mut child = Command::new(program)
        .arg("run")
        .arg(folder.path())
        .arg(places.hold_socket(&spec.id))
        .env_clear()
        .envs(std::env::var_os(TEST_CLOCK).map(|file| (TEST_CLOCK, file)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| LaunchError::Program { program: program.to_owned(), source })?;
    let mut said = String::new();
    let mut out = child.stdout.take().expect("piped");
    // The background process closes its end of the pipe once it has spoken.
    let read = out.read_to_string(&mut said);
    let _ = child.wait();
    read.map_err(|source| LaunchError::Program { program: program.to_owned(), source })?;
    match serde_json::from_str(&said) {
        Ok(Ready::Ok(run)) => Ok(run),
        Ok(Ready::Error(why)) => Err(LaunchError::Refused(why)),
        Err(_) => Err(LaunchError::Silent),
    }
}

/// Whether the hold of this life still runs: the same process of the same boot, not a later one that was given
/// the same number.
pub fn alive(run: &Run) -> bool {
    // Only what was seen counts: where `/proc` cannot be read, nobody is dead.
    let Ok(boot) = boot_id() else { return true };
    boot == run.boot
        && match look_at(run.hold) {
            Ok(start) => start == Some(run.hold_start),
            Err(_) => true,
        }
}

/// A descriptor that becomes readable when the hold of this life ends; `None` if it has.
pub fn watch(run: &Run) -> Option<std::os::fd::OwnedFd> {
    let pid = rustix::process::Pid::from_raw(run.hold)?;
    let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK).ok()?;
    // Only now is the number certain to stay with the process.
    alive(run).then_some(fd)
}

/// Has the hold of this life put its socket back where it belongs. Holds do not watch their sockets themselves: a
/// user may have few inotify instances, and many sessions.
pub fn mend_socket(run: &Run) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Some(pid) = Pid::from_raw(run.hold) else { return };
    let Ok(hold) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Only now is the number certain to stay with the process.
    if alive(run) {
        let _ = pidfd_send_signal(&hold, Signal::USR1);
    }
}

/// The kernel's boot id.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When a living process started, in clock ticks since boot; `None` for one that has ended.
pub fn start_time(pid: i32) -> Option<u64> {
    look_at(pid).ok().flatten()
}

/// As [`start_time`], but a failure to look is an error.
fn look_at(pid: i32) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(start_in(&stat)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(e) => Err(e),
    }
}

fn start_in(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything, also parentheses and spaces.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The program `stead-hold`: named by `STEAD_HOLD`, else beside the running program, else in the `PATH`.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("STEAD_HOLD") {
        return named.into();
    }
    std::env::current_exe()
        .ok()
        .and_then(|exe| {
            // An upgrade replaces the file under a running program; the kernel then marks the name.
            let exe = exe.to_str()?.trim_end_matches(" (deleted)");
            let beside = Path::new(exe).with_file_name("stead-hold");
            beside.exists().then_some(beside)
        })
        .unwrap_or_else(|| "stead-hold".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this_process() -> Run {
        let hold = std::process::id() as i32;
        Run {
            hold,
            hold_start: start_time(hold).unwrap(),
            boot: boot_id().unwrap(),
            pid: hold,
            started: 0,
            life: 1,
        }
    }

    #[test]
    fn a_process_of_another_boot_or_start_is_not_the_hold() {
        let run = this_process();
        assert!(alive(&run));
        assert!(!alive(&Run { boot: "another".into(), ..run.clone() }));
        assert!(!alive(&Run { hold_start: run.hold_start + 1, ..run }));
    }

    #[test]
    fn an_ended_process_that_nobody_reaped_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        let fd = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        assert_eq!(start_time(pid), None);
        child.wait().unwrap();
    }
}
