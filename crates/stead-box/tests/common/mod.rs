//! A sandbox of a test's own, as root and as an ordinary user.
#![allow(dead_code)]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use stead_box::spec::{Base, Bind, Ids, Limits, Net, Running, Spec, Upper};
use tempfile::TempDir;

pub const FIRST: u32 = 1_000_000;
pub const NOBODY: u32 = 65534;

/// Who starts the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
}

/// Both, where this process can be both.
pub fn everybody() -> Vec<Who> {
    if rustix::process::geteuid().is_root() {
        vec![Who::Root, Who::User]
    } else {
        println!("skipped as root: this test does not run as root");
        vec![Who::User]
    }
}

/// Whether this test can be root; says so if not.
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: it needs root");
    }
    root
}

/// Folders for one sandbox, and the program in a place of its own, so that its processes are known by it.
pub struct World {
    folder: TempDir,
    pub who: Who,
    pub spec: Spec,
}

impl World {
    pub fn new(who: Who) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new().prefix("stead-box-").tempdir_in("/tmp").unwrap();
        let at = folder.path().to_owned();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a test beside this one that forks now would hold a copy made here open for writing, and
        // the kernel would not execute it.
        let copied =
            Command::new("cp").arg(env!("CARGO_BIN_EXE_stead-box")).arg(&at).status().unwrap();
        assert!(copied.success());
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let spec = Spec {
            name: "test".into(),
            hostname: "inside".into(),
            run: at.join("run"),
            base: Base::Host { cover: at.join("cover"), show: vec![] },
            layers: vec![],
            upper: Upper::Folder(at.join("layer")),
            ids: if who == Who::Root { Ids::Range { first: FIRST } } else { Ids::Own },
            binds: vec![],
            limits: Limits::default(),
            cgroup: format!("box-test-{}-{n}", std::process::id()),
            net: Some(Net {
                egress: stead_file::declared::Egress::None,
                ports: vec![],
                host_ports: vec![],
                dns: vec![],
                address: "10.90.0.2".parse().unwrap(),
                peers: BTreeMap::new(),
                tap: None,
                agent: None,
                screen: None,
            }),
            record: None,
            nested: false,
            env: BTreeMap::new(),
            main: None,
        };
        let world = World { folder, who, spec };
        for name in ["run", "cover", "layer"] {
            world.make_folder(name, 0o700);
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn program(&self) -> PathBuf {
        self.path("stead-box")
    }

    /// Gives a file to whoever starts the sandbox.
    pub fn give(&self, path: &Path) {
        if self.who == Who::User && rustix::process::geteuid().is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// A folder of whoever starts the sandbox.
    pub fn make_folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self.give(&path);
        path
    }

    /// A file of whoever starts the sandbox.
    pub fn make_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        self.give(&path);
        path
    }

    pub fn bind(&mut self, host: PathBuf, inside: &str, writable: bool, shifted: bool) {
        self.spec.binds.push(Bind { host, inside: inside.into(), writable, shifted });
    }

    /// Whether whoever starts the sandbox may read and write this file.
    pub fn may_open(&self, path: &str) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", "test -r $0 && test -w $0", path]);
        if self.who == Who::User && rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.status().unwrap().success()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(args);
        if self.who == Who::User && rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    pub fn start_with(&self, mut command: Command) -> Result<Running, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let text = serde_json::to_vec(&self.spec).unwrap();
        child.stdin.take().unwrap().write_all(&text).unwrap();
        let out = child.wait_with_output().unwrap();
        let line = String::from_utf8(out.stdout).unwrap();
        assert_eq!(line.lines().count(), 1, "one line: {line}");
        if out.status.success() {
            return Ok(serde_json::from_str(&line).unwrap());
        }
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        Err(said["error"].as_str().unwrap().to_owned())
    }

    pub fn try_start(&self) -> Result<Running, String> {
        self.start_with(self.command(&["start"]))
    }

    pub fn start(&self) -> Running {
        self.try_start().unwrap_or_else(|e| panic!("{:?}: {e}", self.who))
    }

    pub fn exec_command(&self, args: &[&str]) -> Command {
        let run = self.spec.run.to_str().unwrap();
        let mut all = vec!["exec", run];
        all.extend(args);
        self.command(&all)
    }

    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a script inside and returns what it prints on both outputs.
    pub fn sh(&self, script: &str) -> String {
        let out = self.exec(&["--", "sh", "-c", script]);
        let text = [out.stdout, out.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    pub fn stop(&self) {
        let run = self.spec.run.to_str().unwrap();
        let out = self.command(&["stop", run, "--grace", "20"]).output().unwrap();
        assert!(out.status.success(), "stop: {}", String::from_utf8_lossy(&out.stderr));
        assert!(!self.spec.run.join("run.json").exists());
    }

    /// Processes of this world's program, by what they execute, from whatever mount.
    pub fn processes(&self) -> Vec<i32> {
        let of = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
        let program = of(&self.program());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| program.is_some() && of(format!("/proc/{pid}/exe").as_ref()) == program)
            .collect()
    }

    /// Waits until no process of this world's program is left.
    pub fn wait_empty(&self) {
        for _ in 0..1000 {
            let Some(pid) = self.processes().first().copied() else { return };
            let Ok(fd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else {
                continue;
            };
            let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            assert_ne!(poll(&mut fds, Some(&limit)).unwrap(), 0, "process {pid} stays");
        }
        panic!("there is always another process");
    }

    /// Cgroups of this sandbox that are there.
    pub fn groups(&self) -> Vec<PathBuf> {
        fn look(at: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(at).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                    continue;
                }
                if entry.file_name().to_string_lossy().ends_with(name) {
                    found.push(entry.path());
                } else if depth > 0 {
                    look(&entry.path(), name, depth - 1, found);
                }
            }
        }
        let mut found = Vec::new();
        look(Path::new("/sys/fs/cgroup"), &self.spec.cgroup, 5, &mut found);
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let run = self.spec.run.to_str().unwrap().to_owned();
        let _ = self.command(&["stop", &run, "--grace", "0"]).output();
        if std::thread::panicking() {
            return;
        }
        assert_eq!(self.processes(), Vec::<i32>::new());
    }
}

/// Where something is mounted, for everybody on this host.
pub fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines().map(str::to_owned).collect()
}
