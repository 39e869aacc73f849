//! The first process of a sandbox with a main program: starts it, keeps what it prints, and ends with it.

use super::Told;
use super::log::Log;
use crate::enter::execute;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

/// Turns of reading that empty a pipe, however full.
const LAST_TURNS: usize = 64;

/// A main program that was handed over.
pub struct Handed {
    command: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    grace: Duration,
    log: OwnedFd,
    /// Its descriptors from 3 on.
    fds: Vec<OwnedFd>,
}

/// A main program that runs.
pub struct Started {
    pid: Pid,
    /// What it prints.
    output: OwnedFd,
    log: Log,
    grace: Duration,
}

impl Handed {
    /// `fds`: the log and then the program's own.
    pub(super) fn new(told: Told, mut fds: Vec<OwnedFd>) -> Self {
        let log = fds.remove(0);
        let text = OsString::from_vec;
        Handed {
            command: told.command.into_iter().map(text).collect(),
            env: told.env.into_iter().map(|(n, v)| (text(n), text(v))).collect(),
            grace: Duration::from_secs(told.grace.into()),
            log,
            fds,
        }
    }

    /// Its descriptors.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.fds.iter().chain([&self.log]).map(AsFd::as_fd).collect()
    }

    /// Starts it; why not, as a sentence.
    pub fn start(self) -> Result<Started, String> {
        let name =
            self.command.first().map(|program| program.display().to_string()).unwrap_or_default();
        self.begin().map_err(|why| format!("the main program {name}: {why}"))
    }

    fn begin(self) -> Result<Started, String> {
        let plain = |e: rustix::io::Errno| io::Error::from(e).to_string();
        let (output, printed) = pipe_with(PipeFlags::CLOEXEC).map_err(plain)?;
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(plain)?;
        let Some(pid) = sys::fork().map_err(|e| e.to_string())? else {
            self.become_it(&printed, &tell)
        };
        drop((printed, tell));
        let mut why = [0u8; 512];
        let len = loop {
            match rustix::io::read(&told, &mut why) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.map_err(plain)?,
            }
        };
        if len > 0 {
            return Err(String::from_utf8_lossy(&why[..len]).into_owned());
        }
        rustix::io::ioctl_fionbio(&output, true).map_err(plain)?;
        let pid = Pid::from_raw(pid).ok_or("no process")?;
        Ok(Started { pid, output, log: Log::new(self.log), grace: self.grace })
    }

    /// In the child.
    fn become_it(self, printed: &OwnedFd, tell: &OwnedFd) -> ! {
        let ready = || -> io::Result<OwnedFd> {
            rustix::process::setsid()?;
            rustix::stdio::dup2_stdout(printed)?;
            rustix::stdio::dup2_stderr(printed)?;
            sys::place_from_third(&self.fds, tell)
        };
        let Ok(tell) = ready() else {
            let _ = rustix::io::write(tell, b"its descriptors could not be put in their places");
            sys::leave(1)
        };
        // What was at these numbers is there no more.
        let Handed { command, env, log, fds, .. } = self;
        std::mem::forget((log, fds));
        sys::unblock_all();
        let why = execute(&command[0], &command, &env);
        let why =
            why.map_or("a zero byte in the command or its environment".into(), |e| e.to_string());
        let _ = rustix::io::write(&tell, why.as_bytes());
        sys::leave(1)
    }
}

impl Started {
    /// Takes in the dead until the main program has ended, or was told to and did not within its grace.
    pub fn live(mut self) {
        let Ok(signals) = sys::signal_fd(&[libc::SIGCHLD, libc::SIGTERM]) else { return };
        let mut deadline: Option<Instant> = None;
        let mut prints = true;
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.log.say("the main program did not end in time and is killed");
                return;
            }
            let left = left.map(|l| Timespec {
                tv_sec: l.as_secs() as i64,
                tv_nsec: i64::from(l.subsec_nanos()),
            });
            let mut fds = vec![PollFd::new(&signals, PollFlags::IN)];
            if prints {
                fds.push(PollFd::new(&self.output, PollFlags::IN));
            }
            if poll(&mut fds, left.as_ref()).is_err() {
                continue;
            }
            let came: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if came.get(1) == Some(&true) {
                prints = self.log.take(&self.output);
            }
            if !came[0] {
                continue;
            }
            match sys::read_signal(&signals).map(|signal| signal.number) {
                Some(libc::SIGTERM) => {
                    let _ = kill_process(self.pid, Signal::TERM);
                    let _ = kill_process(self.pid, Signal::CONT);
                    deadline.get_or_insert(Instant::now() + self.grace);
                }
                Some(_) => {
                    if let Some(status) = self.reap() {
                        // What it printed last; others may go on to print.
                        for _ in 0..LAST_TURNS {
                            if !prints || !self.log.take(&self.output) || !self.log.took() {
                                break;
                            }
                        }
                        self.log.say(&words(status));
                        return;
                    }
                }
                None => {}
            }
        }
    }

    /// The status of the main program, if it is among the dead.
    fn reap(&self) -> Option<WaitStatus> {
        let mut own = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                own = Some(status);
            }
        }
        own
    }
}

fn words(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => format!("the main program ended with status {status}"),
        (_, Some(signal)) => format!("the main program was ended by signal {signal}"),
        _ => "the main program ended".into(),
    }
}
