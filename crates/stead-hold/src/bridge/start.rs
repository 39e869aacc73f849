//! Starting a hold without waiting for it.

use super::{Options, files};
use crate::clock::{TEST_CLOCK, steady_ms};
use crate::folder::{Folder, replace};
use crate::launch::{self, Ready};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use stead_wire::bridge::{Start, file_path};
use stead_wire::session::{Run, Spec};

/// How long what is left of the last life may take to end after a hangup, in milliseconds.
const PATIENCE_MS: u64 = 3000;

/// A session whose next life is beginning.
pub struct Starting {
    asked: u32,
    spec: Spec,
    folder: Folder,
    /// Whether there was a life before: then the folder stays if this one does not begin.
    lived: bool,
    stage: Stage,
}

enum Stage {
    /// The command of the last life outlived its hold and is ended first.
    Before { process: OwnedFd, kill_at: Option<u64> },
    /// The hold has not yet said whether it runs.
    Hold { child: Child, out: ChildStdout, said: Vec<u8> },
}

impl Starting {
    /// Writes the session's folder, and begins.
    pub fn begin(options: &Options, asked: u32, start: Start) -> Result<Self, String> {
        let Start { spec, files } = start;
        let places = &options.places;
        let folder = files::named(places, &spec.id)?;
        launch::check_sockets(places).map_err(|e| e.to_string())?;
        check(&spec)?;
        if let Some(bad) = files.keys().find(|name| !is_file(name)) {
            return Err(format!("{bad:?} cannot be the name of a file of a session"));
        }
        places.create().map_err(|e| e.to_string())?;
        let last = folder.run().map_err(|e| e.to_string())?;
        if last.as_ref().is_some_and(launch::alive) {
            return Err("its hold runs already".into());
        }
        let write = || {
            crate::folder::create_private(folder.path())?;
            files.iter().try_for_each(|(name, bytes)| replace(&folder.path().join(name), bytes))?;
            if folder.path().join("name").exists() {
                folder.rename(&spec.name)?;
            }
            folder.create(&spec)
        };
        let lived = last.is_some();
        let begun = write().map_err(|e| e.to_string()).and_then(|()| {
            match last.as_ref().and_then(|run| leftover(run, &spec.id)) {
                Some(process) => {
                    let _ = pidfd_send_signal(&process, Signal::HUP);
                    let _ = pidfd_send_signal(&process, Signal::CONT);
                    Ok(Stage::Before { process, kill_at: Some(steady_ms() + PATIENCE_MS) })
                }
                None => run_hold(options, &folder),
            }
        });
        match begun {
            Ok(stage) => Ok(Starting { asked, spec, folder, lived, stage }),
            Err(why) => {
                if !lived {
                    let _ = folder.remove();
                }
                Err(why)
            }
        }
    }

    /// The number of the question that is answered with its outcome.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// What to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.stage {
            Stage::Before { process, .. } => process.as_fd(),
            Stage::Hold { out, .. } => out.as_fd(),
        }
    }

    /// When something must be done in any case; steady milliseconds.
    pub fn due(&self) -> Option<u64> {
        match &self.stage {
            Stage::Before { kill_at, .. } => *kill_at,
            Stage::Hold { .. } => None,
        }
    }

    /// Does what can be done without waiting. `Some` once it is decided.
    pub fn go_on(&mut self, options: &Options) -> Option<Result<Run, String>> {
        if let Stage::Before { process, kill_at } = &mut self.stage {
            if !readable(process) {
                if kill_at.is_some_and(|at| at <= steady_ms()) {
                    *kill_at = None;
                    let _ = pidfd_send_signal(&*process, Signal::KILL);
                }
                return None;
            }
            match run_hold(options, &self.folder) {
                Ok(stage) => self.stage = stage,
                Err(why) => return Some(self.failed(&why)),
            }
        }
        let Stage::Hold { child, out, said } = &mut self.stage else { return None };
        let mut buf = [0; 4096];
        loop {
            match rustix::io::read(&*out, &mut buf) {
                Ok(0) => break,
                Ok(n) => said.extend_from_slice(&buf[..n]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(_) => break,
            }
        }
        // The pipe closes once the hold has gone into the background: the process that made it has ended by then.
        let _ = child.wait();
        let result = match serde_json::from_slice(said) {
            Ok(Ready::Ok(run)) => Ok(run),
            Ok(Ready::Error(why)) => Err(why),
            Err(_) => Err("the hold ended before it was ready".into()),
        };
        Some(result.or_else(|why| self.failed(&why)))
    }

    fn failed(&self, why: &str) -> Result<Run, String> {
        if !self.lived {
            let _ = self.folder.remove();
        }
        Err(format!("\"{}\": {why}", self.spec.command.first().map_or("", String::as_str)))
    }
}

fn run_hold(options: &Options, folder: &Folder) -> Result<Stage, String> {
    let cannot = |e: std::io::Error| format!("cannot run {}: {e}", options.program.display());
    let mut child = std::process::Command::new(&options.program)
        .arg("run")
        .arg(folder.path())
        .arg(options.places.hold_socket(folder.id()))
        .env_clear()
        .envs(std::env::var_os(TEST_CLOCK).map(|file| (TEST_CLOCK, file)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    let out = child.stdout.take().expect("piped");
    rustix::io::ioctl_fionbio(&out, true).map_err(|e| cannot(e.into()))?;
    Ok(Stage::Hold { child, out, said: Vec::new() })
}

/// Says what is wrong in the words of the machine, where the kernel's "no such file" would leave open what is missing.
fn check(spec: &Spec) -> Result<(), String> {
    let shown =
        |text: &str| -> String { text.chars().take(200).flat_map(char::escape_debug).collect() };
    let program = spec.command.first().filter(|p| !p.is_empty()).ok_or("the command is empty")?;
    if !spec.cwd.is_dir() {
        let folder = shown(&spec.cwd.to_string_lossy());
        return Err(format!("there is no folder \"{folder}\" in the machine"));
    }
    if program.contains('/') {
        if spec.cwd.join(program).exists() {
            return Ok(());
        }
        return Err(format!("there is no program \"{}\" in the machine", shown(program)));
    }
    let path = spec.env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let found = path.split(':').any(|dir| spec.cwd.join(dir).join(program).is_file());
    if found {
        return Ok(());
    }
    Err(format!("there is no command \"{}\" in the PATH of the machine", shown(program)))
}

/// Whether a file of this name may be written into a session's folder: none that the hold itself writes.
fn is_file(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let own = file_path(name).is_some() || name == "lock" || name == "history";
    (1..=64).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && (!own || name == "env.json")
}

/// The command of the last life, if it runs on without its hold.
fn leftover(run: &Run, id: &str) -> Option<OwnedFd> {
    // After a reboot the number is somebody else's.
    launch::boot_id().ok().filter(|boot| *boot == run.boot)?;
    let process = pidfd_open(Pid::from_raw(run.pid)?, PidfdFlags::NONBLOCK).ok()?;
    // Only now does the number stay with the process, so only now is it worth asking whose it is.
    let environ = PathBuf::from(format!("/proc/{}/environ", run.pid));
    is_of_session(&environ, id).then_some(process)
}

fn is_of_session(environ: &Path, id: &str) -> bool {
    let wanted = format!("STEAD_SESSION_ID={id}");
    std::fs::read(environ)
        .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
}

fn readable(fd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0)
}
