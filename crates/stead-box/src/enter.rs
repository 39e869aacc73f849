//! Running a command in a sandbox that runs.
//!
//! A child joins everything and becomes the command; its parent stays outside and hands on signals and the exit
//! status. A terminal of the caller's does not go in: the command gets one of its own ([`crate::terminal`]). Nor do files
//! ([`crate::streams`]). If the parent is killed, the command goes on.

use crate::failure::{BoxError, Result, Tried};
use crate::place::Places;
use crate::process::{init_of, read_run, write_run};
use crate::spec::Running;
use crate::streams::{Carried, Streams};
use crate::terminal::Terminal;
use crate::{filter, kernel, sys};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Exit status when the sandbox could not be entered.
pub const NOT_ENTERED: i32 = 125;
/// Exit status when the command is there but cannot be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// Exit status when there is no such command.
pub const NOT_FOUND: i32 = 127;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const HOME: &str = "/root";

/// Signals that are handed on to the command.
const HANDED_ON: [i32; 6] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

/// A command to be run in a sandbox.
#[derive(Debug, Clone, Default)]
pub struct Enter {
    /// The program, looked for in `PATH` inside, and its arguments.
    pub command: Vec<OsString>,
    /// Where inside it starts; `None` is root's home, or `/` if there is none.
    pub cwd: Option<PathBuf>,
    /// Variables to be set, in addition to `PATH`, `HOME`, `TERM`, `LANG`, `container` and the sandbox's own. The last
    /// one wins.
    pub env: Vec<(OsString, OsString)>,
    /// Whether only [`Self::env`] is set.
    pub clear_env: bool,
}

impl Enter {
    /// Runs the command in the sandbox whose run folder is `run`, with the caller's standard input, output and error,
    /// and waits for its end. Returns its exit status, or 128 and the number of the signal that ended it, or one of
    /// [`NOT_ENTERED`], [`NOT_EXECUTABLE`], [`NOT_FOUND`] with a line on standard error.
    ///
    /// The caller must be a process of one thread; it closes all descriptors from 3 on at exec, and blocks signals.
    ///
    /// # Errors
    /// If the sandbox does not run or cannot be entered.
    pub fn run(&self, run: &Path) -> Result<i32> {
        self.run_if_running(run)?.ok_or_else(|| not_running(run))
    }

    /// As [`Self::run`]; `None`, and nothing was done, if no sandbox runs in this folder.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_if_running(&self, run: &Path) -> Result<Option<i32>> {
        let Some(running) = read_run(run)? else { return Ok(None) };
        let Some(init) = init_of(&running)? else { return Ok(None) };
        let Some(program) = self.command.first() else {
            return Err(BoxError::refused("no command"));
        };
        let places = Places::open(&running.cgroups)?;
        let env = self.environment(&running);
        kernel::hide_self()?;
        sys::close_at_exec(3);
        // Root keeps out of the sandbox: only its child goes in. An ordinary user has no power over the process
        // namespace from outside, and goes in first.
        let root = rustix::process::geteuid().is_root();
        if root {
            sys::join(init.as_fd(), sys::CLONE_NEWPID).tried(|| "joining the sandbox")?;
        } else {
            join_all(&init)?;
        }
        let mut signals = HANDED_ON.to_vec();
        signals.push(libc::SIGCHLD);
        sys::block(Some(&signals));
        let terminal = Terminal::in_place()?;
        let streams = Streams::in_place()?;
        let child = sys::clone(0, places.second()).tried(|| "a process inside")?;
        let Some(child) = child else {
            let entered = places.join_first().and_then(|()| {
                if let Some(terminal) = &terminal {
                    terminal.take()?;
                }
                streams.take()?;
                if root {
                    join_all(&init)?;
                    kernel::become_root(true)?;
                }
                // Before anything that is done by a path inside: through `/proc/self/fd` such a path may lead to
                // whatever is open.
                sys::close_from(3);
                self.settle(running.nested)
            });
            let status = match entered {
                Ok(()) => become_command(program, &self.command, &env),
                Err(e) => {
                    eprintln!("stead-box: {e}");
                    NOT_ENTERED
                }
            };
            sys::leave(status);
        };
        let mut carried = streams.carry()?;
        let status = match terminal {
            Some(terminal) => terminal.carry(&child, &signals, &mut carried),
            None if carried.is_empty() => wait(&child, &signals),
            None => wait_and_carry(&child, &signals, &mut carried),
        };
        carried.end()?;
        Ok(Some(status))
    }

    fn environment(&self, running: &Running) -> Vec<(OsString, OsString)> {
        let mut env: Vec<(OsString, OsString)> = Vec::new();
        if !self.clear_env {
            let own =
                |name: &str, other: &str| std::env::var_os(name).unwrap_or_else(|| other.into());
            env = plain_environment(own("TERM", "dumb"), own("LANG", "C.UTF-8"));
            for (name, value) in &running.env {
                set(&mut env, name.as_ref(), value.as_ref());
            }
        }
        for (name, value) in &self.env {
            set(&mut env, name, value);
        }
        env
    }

    /// The last steps before the command: where it stands and what it may do.
    fn settle(&self, nested: bool) -> Result<()> {
        match &self.cwd {
            Some(cwd) => {
                rustix::process::chdir(cwd).tried(|| format!("{} inside", cwd.display()))?;
            }
            None => rustix::process::chdir(HOME)
                .or_else(|_| rustix::process::chdir("/"))
                .tried(|| "/ inside")?,
        }
        // A folder outside has no path from the root inside.
        let here = rustix::process::getcwd(Vec::new()).tried(|| "the folder to start in")?;
        if !here.to_bytes().starts_with(b"/") {
            return Err(BoxError::refused("the folder to start in is not inside"));
        }
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        filter::apply(nested)
            .map_err(|e| BoxError::refused(format!("the filter of system calls: {e}")))?;
        sys::unblock_all();
        Ok(())
    }
}

/// Changes what [`Running::env`] says of the sandbox whose run folder is `run`, for whoever enters from now on. One that
/// does not run is no error. Nobody may start or stop it meanwhile.
///
/// # Errors
/// If `run.json` cannot be read or written.
pub fn set_environment(run: &Path, env: &BTreeMap<String, String>) -> Result<()> {
    let Some(mut running) = read_run(run)? else { return Ok(()) };
    running.env.clone_from(env);
    write_run(run, &running)
}

/// The variables of any command inside.
pub fn plain_environment(term: OsString, lang: OsString) -> Vec<(OsString, OsString)> {
    let env = [
        ("PATH", PATH.into()),
        ("HOME", HOME.into()),
        ("TERM", term),
        ("LANG", lang),
        ("container", "stead".into()),
    ];
    env.map(|(name, value)| (name.into(), value)).into()
}

/// Sets a variable, instead of what it was.
pub fn set(env: &mut Vec<(OsString, OsString)>, name: &OsStr, value: &OsStr) {
    env.retain(|(n, _)| n != name);
    env.push((name.to_owned(), value.to_owned()));
}

fn not_running(run: &Path) -> BoxError {
    BoxError::refused(format!("{}: no sandbox runs here; start it first", run.display()))
}

fn join_all(init: &OwnedFd) -> Result<()> {
    let all = sys::CLONE_NEWUSER
        | sys::CLONE_NEWNS
        | sys::CLONE_NEWPID
        | sys::CLONE_NEWNET
        | sys::CLONE_NEWUTS
        | sys::CLONE_NEWIPC
        | sys::CLONE_NEWCGROUP;
    sys::join(init.as_fd(), all).tried(|| "joining the sandbox")
}

/// Becomes the command. Returns only if that fails, with the exit status that says so.
fn become_command(program: &OsStr, command: &[OsString], env: &[(OsString, OsString)]) -> i32 {
    let Some(why) = execute(program, command, env) else {
        eprintln!("stead-box: a zero byte in the command or its environment");
        return NOT_ENTERED;
    };
    eprintln!("stead-box: {}: {why}", program.display());
    if why.raw_os_error() == Some(libc::ENOENT) { NOT_FOUND } else { NOT_EXECUTABLE }
}

/// Becomes `command`, found in the `PATH` of `env`. Returns only why not; `None` for a zero byte in it.
pub fn execute(
    program: &OsStr,
    command: &[OsString],
    env: &[(OsString, OsString)],
) -> Option<std::io::Error> {
    let args = command.iter().map(|arg| arg.as_bytes().to_vec());
    let lines = env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let (Ok(args), Ok(lines)) = (c_strings(args), c_strings(lines)) else { return None };
    let mut candidates = Vec::new();
    if program.as_bytes().contains(&b'/') {
        candidates.push(program.to_owned());
    } else {
        let path = env.iter().find(|(name, _)| name == "PATH").map_or(OsStr::new(PATH), |(_, p)| p);
        for folder in path.as_bytes().split(|b| *b == b':') {
            candidates.push(OsString::from_vec([folder, b"/", program.as_bytes()].concat()));
        }
    }
    let mut worst = std::io::Error::from_raw_os_error(libc::ENOENT);
    for candidate in candidates {
        let path = CString::new(candidate.into_vec()).ok()?;
        let why = sys::exec(&path, &args, &lines);
        // Whatever is wrong with a program that is there says more than that it is not elsewhere.
        if !matches!(why.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) {
            worst = why;
        }
    }
    Some(worst)
}

fn c_strings(
    list: impl Iterator<Item = Vec<u8>>,
) -> std::result::Result<Vec<CString>, std::ffi::NulError> {
    list.map(CString::new).collect()
}

/// Waits for the end of the command, and hands on what is meant for it meanwhile.
fn wait(child: &sys::Cloned, signals: &[i32]) -> i32 {
    loop {
        let signal = sys::next_signal(Some(signals));
        if signal.number == libc::SIGCHLD {
            if let Some(status) = ended(child) {
                return status;
            }
        } else if !signal.by_kernel {
            // What a terminal sends, it sends to the command as well.
            let _ = sys::signal(child.pidfd.as_fd(), signal.number);
        }
    }
}

/// As [`wait`], and carries streams meanwhile.
fn wait_and_carry(child: &sys::Cloned, signals: &[i32], carried: &mut Carried) -> i32 {
    let Ok(arrivals) = sys::signal_fd(signals) else { return NOT_ENTERED };
    loop {
        let mut fds = vec![PollFd::new(&arrivals, PollFlags::IN)];
        fds.extend(carried.wanted());
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let came: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        carried.go_on(&came[1..]);
        if came[0].is_empty() {
            continue;
        }
        let Some(signal) = sys::read_signal(&arrivals) else { continue };
        if signal.number != libc::SIGCHLD {
            if !signal.by_kernel {
                let _ = sys::signal(child.pidfd.as_fd(), signal.number);
            }
        } else if let Some(status) = ended(child) {
            return status;
        }
    }
}

/// The exit status of the command, or 128 and the signal that ended it, once it has ended.
pub fn ended(child: &sys::Cloned) -> Option<i32> {
    match waitpid(Pid::from_raw(child.pid), WaitOptions::NOHANG) {
        Ok(Some((_, status))) => {
            let by = status.terminating_signal().map(|n| 128 + n);
            Some(by.or(status.exit_status()).unwrap_or(NOT_ENTERED))
        }
        Ok(None) => None,
        Err(_) => Some(NOT_ENTERED),
    }
}
