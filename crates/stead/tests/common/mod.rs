//! What the tests share: a world of its own for each test, and a terminal to sit at in it.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod agent_machine;
pub mod agents;
pub mod machines;
pub mod raw;
mod small_disk;
pub mod terminal;
mod traces;
pub mod vms;

pub use small_disk::SmallDisk;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use stead_hold::folder::{Folder, Places};
use stead_wire::session::Session;
pub use terminal::Terminal;

/// How long anything may take before a test fails. Nothing waits this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Folders of one test's own: its home, its sessions, its steward.
pub struct World {
    dir: tempfile::TempDir,
    programs: PathBuf,
    /// A command before every command, such as one that enters a namespace.
    within: Vec<String>,
    /// Variables that every program gets besides the usual ones.
    variables: Vec<(String, String)>,
    /// Dropped last: what runs in its namespace must be ended before.
    disk: Option<SmallDisk>,
}

/// The user who has few rights.
pub const NOBODY: u32 = 65534;

/// Set where every world is that of a user with few rights.
const ORDINARY: &str = "STEAD_TEST_ORDINARY_USER";

/// Runs the other tests of this binary, but for these, in worlds of a user with few rights.
pub fn again_as_an_ordinary_user(but: &[&str]) {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: this is an ordinary user already");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(but.iter().flat_map(|tests| ["--skip", tests]))
        .env(ORDINARY, "1")
        .output()
        .unwrap();
    let said = said(&output);
    println!("{}", said.out);
    assert_eq!(said.status, 0, "as an ordinary user: {}\n{}", said.out, said.err);
}

/// A command that runs the rest of its arguments as [`NOBODY`]; only root may.
pub fn as_nobody() -> Vec<String> {
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(String::from).to_vec()
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl World {
    pub fn new() -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_stead")).parent().unwrap().to_owned();
        assert!(
            programs.join("stead-hold").exists(),
            "stead-hold is not built: run `cargo build --workspace` first"
        );
        // Short: a unix socket's path must fit into 108 bytes.
        let dir = tempfile::Builder::new().prefix("stead-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        for sub in ["home", "data", "run", "config"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let mut world =
            World { dir, programs, within: Vec::new(), variables: Vec::new(), disk: None };
        if std::env::var_os(ORDINARY).is_some() {
            world.become_nobody();
        }
        world
    }

    /// Whether its programs have the rights of root.
    pub fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root() && self.within != as_nobody()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The folder that the programs under test lie in.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Uses programs from another folder from now on.
    pub fn use_programs(&mut self, dir: &Path) {
        dir.clone_into(&mut self.programs);
    }

    /// Puts the data folder on a small disk, which only programs that run from now on see.
    pub fn use_small_disk(&mut self) {
        self.use_disk_of("8m");
    }

    /// The same with a disk of this size, as `mount` reads it.
    pub fn use_disk_of(&mut self, size: &str) {
        let disk = SmallDisk::new(self, size);
        self.within = disk.within();
        self.disk = Some(disk);
    }

    /// Hands the world over to a user with few rights, if this is root, whom rights do not bind. The programs are
    /// copied to where that user may run them.
    pub fn become_nobody(&mut self) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let bin = self.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for program in ["stead", "stead-hold", "stead-box", "stead-vm", "stead-system"] {
            std::fs::copy(self.programs.join(program), bin.join(program)).unwrap();
        }
        self.programs = bin;
        for dir in [self.path().to_owned()]
            .into_iter()
            .chain(["home", "data", "run", "config"].map(|sub| self.path().join(sub)))
        {
            std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        self.within = as_nobody();
    }

    /// Runs every program from now on by this command.
    pub fn run_within<S: Into<String>>(&mut self, command: impl IntoIterator<Item = S>) {
        self.within = command.into_iter().map(Into::into).collect();
    }

    /// Gives every program this variable from now on.
    pub fn set_variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Runs a shell command where the programs run.
    pub fn within_shell(&self, script: &str) {
        let status = self.program("sh").args(["-c", script]).status().unwrap();
        assert!(status.success(), "{script}");
    }

    pub fn places(&self) -> Places {
        Places {
            data: self.path().join("data/stead"),
            runtime: self.path().join("run/stead"),
            config: self.path().join("config/stead"),
        }
    }

    /// A program with this world's environment and nothing of the outside but the `PATH`.
    pub fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match self.within.split_first() {
            None => Command::new(program.as_ref()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program.as_ref());
                command
            }
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("SHELL", "/bin/bash")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("PS1", "$ ")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    pub fn stead_command(&self) -> Command {
        self.program(self.programs.join("stead"))
    }

    /// Runs `stead ARGS` to its end.
    pub fn stead<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Said {
        said(&self.stead_command().args(args).output().unwrap())
    }

    /// Runs `stead ARGS`, which must succeed, and returns what it printed.
    pub fn ok<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(&self, args: &[S]) -> String {
        let said = self.stead(args);
        assert_eq!(said.status, 0, "stead {args:?}: {said:?}");
        said.out
    }

    /// Runs `stead-hold ARGS` to its end.
    pub fn hold<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Said {
        said(&self.program(self.programs.join("stead-hold")).args(args).output().unwrap())
    }

    /// Starts `stead ARGS` in a terminal of 80x24.
    pub fn terminal(&self, args: &[&str]) -> Terminal {
        self.terminal_of(80, 24, args)
    }

    /// Starts `stead ARGS` in a terminal of this size.
    pub fn terminal_of(&self, cols: u16, rows: u16, args: &[&str]) -> Terminal {
        let mut command = self.stead_command();
        command.args(args);
        Terminal::start(&command, cols, rows)
    }

    pub fn session(&self, name: &str) -> Session {
        serde_json::from_str(&self.ok(&["status", name, "--json"])).unwrap()
    }

    pub fn folder(&self, name: &str) -> Folder {
        let folders = self.places().all_sessions().unwrap();
        folders
            .into_iter()
            .find(|f| f.spec().is_ok_and(|spec| spec.name == name))
            .unwrap_or_else(|| panic!("no session {name} on disk"))
    }

    /// The steward's process id, if it runs.
    pub fn steward_pid(&self) -> Option<i32> {
        let said = self.stead(&["steward", "status", "--json"]);
        let value: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        value["pid"].as_i64().map(|pid| pid as i32)
    }

    /// Kills the steward at once.
    pub fn kill_steward(&self) {
        if let Some(pid) = self.steward_pid() {
            kill_and_wait(pid, 9);
        }
    }

    /// Kills every process of this world at once, as the loss of the machine does: sandboxes, holds, commands, steward.
    pub fn lose_everything(&self) {
        self.kill_steward();
        for name in self.sandboxes() {
            self.kill_sandbox(&name);
        }
        let mut places = self.places();
        if let Some(disk) = &self.disk {
            places.data = disk.seen_from_outside(&places.data);
        }
        for folder in places.all_sessions().unwrap_or_default() {
            // What runs in a machine has numbers of that machine, and has ended with it.
            if let Ok(Some(run)) = folder.run()
                && !run.boot.contains('/')
            {
                // The command first, so that no hangup gives it time for last words.
                // The number of one that has ended may be another's by now.
                if folder.exit().ok().flatten().is_none() {
                    for pid in descendants(run.pid) {
                        kill_and_wait(pid, 9);
                    }
                }
                if stead_hold::launch::alive(&run) {
                    kill_and_wait(run.hold, 9);
                }
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_machines();
        self.lose_everything();
    }
}

/// What a command printed and how it ended.
pub fn said(output: &Output) -> Said {
    use std::os::unix::process::ExitStatusExt;
    Said {
        status: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The numbers of all processes.
pub fn processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A process and everything below it, children first.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_ascii_whitespace().filter_map(|c| c.parse().ok()) {
            all.extend(descendants(child));
        }
    }
    all.push(pid);
    all
}

/// Sends a signal and waits for the process's end.
pub fn kill_and_wait(pid: i32, signal: i32) {
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
    let Some(process) = Pid::from_raw(pid) else { return };
    let Ok(fd) = pidfd_open(process, PidfdFlags::empty()) else { return };
    let _ = kill_process(process, Signal::from_named_raw(signal).unwrap());
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let ended = rustix::event::poll(&mut fds, Some(&patience)).unwrap();
    assert!(ended > 0, "process {pid} did not end after signal {signal}");
}

/// Asks again until `look` finds something. For what the kernel tells nobody about; everything else is waited for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
