//! The first process of a light guest: it takes in the dead, has the agent run, and turns the machine off, or has it begin anew,
//! when it is told to.

use crate::failure::{Result, Tried};
use crate::guest::config::Config;
use crate::guest::{AGENT, CONFIG, SELF, keys, root, say, shell};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// By this signal it is told to turn the machine off.
pub const TURN_OFF: i32 = libc::SIGUSR2;
/// By this signal it is told to have the machine begin anew: it is what the kernel sends for control, alt and delete, too.
pub const BEGIN_ANEW: i32 = libc::SIGINT;
/// How long everybody has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How long after its start an agent that has ended is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs as the first process. Does not return.
pub fn run() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("stead-vm: this is for the first process of a machine");
        return ExitCode::from(2);
    }
    let signals = [libc::SIGCHLD, TURN_OFF, libc::SIGTERM, BEGIN_ANEW];
    sys::block(&signals);
    // The kernel would begin anew with everybody in the midst of what they do.
    let _ = reboot(RebootCommand::CadOff);
    let arrivals = match sys::signal_fd(&signals) {
        Ok(arrivals) => arrivals,
        Err(e) => {
            say(&format!("the first process cannot wait for signals: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let mut kept = vec![Kept::start("the agent", Box::new(agent))];
    // Nobody waits for the machine because of these.
    std::thread::spawn(keys::make);
    if let Some(config) = config().filter(|config| config.shell) {
        kept.push(Kept::start("the shell", Box::new(move || shell::command(&config))));
    }
    loop {
        wait_for(&arrivals, kept.iter().filter_map(Kept::due).min());
        while let Some(signal) = sys::read_signal(&arrivals) {
            match signal.number {
                libc::SIGCHLD => {}
                BEGIN_ANEW => finish(&arrivals, RebootCommand::Restart),
                _ => finish(&arrivals, RebootCommand::PowerOff),
            }
        }
        reap(|pid| kept.iter_mut().for_each(|kept| kept.has_ended(pid)));
        for kept in kept.iter_mut().filter(|kept| kept.due() == Some(Duration::ZERO)) {
            kept.again();
        }
    }
}

/// What the machine is.
fn config() -> Option<Config> {
    serde_json::from_slice(&std::fs::read(CONFIG).ok()?).ok()
}

#[expect(clippy::unnecessary_wraps, reason = "the other programs that are kept may not be there")]
fn agent() -> Result<Command> {
    let mut agent = Command::new(SELF);
    agent.arg(AGENT).env_clear();
    sys::unblocked(&mut agent);
    Ok(agent)
}

/// A program that is there as long as the machine.
struct Kept {
    what: &'static str,
    command: Box<dyn Fn() -> Result<Command>>,
    /// `None`: it has ended.
    pid: Option<i32>,
    started: Instant,
}

impl Kept {
    fn start(what: &'static str, command: Box<dyn Fn() -> Result<Command>>) -> Self {
        let mut kept = Kept { what, command, pid: None, started: Instant::now() };
        kept.again();
        kept
    }

    fn again(&mut self) {
        let tried = || format!("{} cannot be started", self.what);
        let child = (self.command)().and_then(|mut command| command.spawn().tried(tried));
        if let Err(e) = &child {
            say(&e.to_string());
        }
        // Its end is seen with everybody else's.
        self.pid = child.ok().map(|child| child.id() as i32);
        self.started = Instant::now();
    }

    fn has_ended(&mut self, pid: i32) {
        if self.pid == Some(pid) {
            self.pid = None;
        }
    }

    /// In how long it is to be started.
    fn due(&self) -> Option<Duration> {
        self.pid.is_none().then(|| PAUSE.saturating_sub(self.started.elapsed()))
    }
}

fn wait_for(arrivals: &OwnedFd, limit: Option<Duration>) {
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    let _ = poll(&mut [PollFd::new(arrivals, PollFlags::IN)], limit.as_ref());
}

fn reap(mut each: impl FnMut(i32)) {
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        each(Pid::as_raw(Some(pid)));
    }
}

/// Ends everybody, writes the disks, and turns the machine off or has it begin anew.
fn finish(arrivals: &OwnedFd, how: RebootCommand) -> ! {
    let deadline = Instant::now() + GRACE;
    let _ = sys::kill(-1, false, libc::SIGTERM);
    let _ = sys::kill(-1, false, libc::SIGCONT);
    loop {
        reap(|_| {});
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !others() {
            break;
        }
        // One whose parent is not this process ends without a word to it.
        wait_for(arrivals, Some(left.min(Duration::from_millis(20))));
        while sys::read_signal(arrivals).is_some() {}
    }
    let _ = sys::kill(-1, false, libc::SIGKILL);
    root::leave();
    end(how)
}

/// Turns the machine off, or has it begin anew, with no regard to anybody.
pub fn end(how: RebootCommand) -> ! {
    let _ = reboot(how);
    std::process::exit(1)
}

/// Whether there is another process that is not the kernel's.
fn others() -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        // The kernel's own have no program, nor have the dead.
        .any(|pid| pid > 1 && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok())
}
