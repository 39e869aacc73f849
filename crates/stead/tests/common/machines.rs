//! Machines of one test's own, and what is left of them.

use super::{Said, World, kill_and_wait, processes, said};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use stead_hold::launch::alive;
use stead_wire::session::Run;

impl World {
    /// The stead file of this world; folders named in it are relative to its home, where commands are run.
    pub fn declare(&self, text: &str) {
        let path = self.home().join("stead.toml");
        std::fs::write(&path, text).unwrap();
        self.give(&path);
    }

    /// Makes the machines of this stead file.
    pub fn apply(&self, text: &str) {
        self.declare(text);
        self.ok(&["apply", "--yes"]);
    }

    /// A folder in this world's home that may be shared.
    pub fn shared_folder(&self, name: &str) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.give(&path);
        path
    }

    /// Lets whoever runs the programs have what this test made.
    pub fn give(&self, path: &Path) {
        use std::os::unix::fs::MetadataExt;
        let home = self.home().metadata().unwrap();
        std::os::unix::fs::lchown(path, Some(home.uid()), Some(home.gid())).unwrap();
    }

    /// Whether the user of this world can have sandboxes; if not, that is said, and the test has nothing to do.
    pub fn sandboxes_work(&self) -> bool {
        let tried = self.stead(&["run", "-m", "scratch-try", "--wait", "--", "true"]);
        if tried.status == 0 {
            self.ok(&["destroy", "--yes", "scratch-try"]);
            return true;
        }
        assert!(!rustix::process::geteuid().is_root() || !self.within.is_empty(), "{tried:?}");
        println!("SKIPPED: no sandboxes for this user here: {}", tried.err);
        false
    }

    /// Runs a shell script in a machine.
    pub fn sh(&self, machine: &str, script: &str) -> Said {
        self.stead(&["exec", machine, "--", "sh", "-c", script])
    }

    /// Runs a shell script in a machine, which must succeed, and returns what it printed.
    pub fn sh_ok(&self, machine: &str, script: &str) -> String {
        let said = self.sh(machine, script);
        assert_eq!(said.status, 0, "{machine}: {script}: {said:?}");
        said.out
    }

    /// Runs `stead ARGS` with this on its standard input.
    pub fn stead_with_input(&self, args: &[&str], input: &[u8]) -> Said {
        use std::io::Write;
        let mut command = self.stead_command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || pipe.write_all(input));
            said(&child.wait_with_output().unwrap())
        })
    }

    /// A machine as `ls` tells of it.
    pub fn machine(&self, name: &str) -> Value {
        let machines = self.ok(&["ls", "--machines", "--json"]);
        let machines: Vec<Value> = serde_json::from_str(&machines).unwrap();
        let found = machines.into_iter().find(|machine| machine["name"] == name);
        found.unwrap_or_else(|| panic!("no machine {name}"))
    }

    /// What `run.json` of a running sandbox says.
    pub fn sandbox(&self, name: &str) -> Value {
        let path = self.sandbox_folder(name).join("run.json");
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
    }

    /// The run folder of a machine's sandbox.
    pub fn sandbox_folder(&self, name: &str) -> PathBuf {
        self.places().runtime.join("machines").join(name)
    }

    /// Kills the first process of a sandbox, and with it everything inside.
    pub fn kill_sandbox(&self, name: &str) {
        for process in self.sandbox_processes(name) {
            if alive(&process) {
                kill_and_wait(process.hold, 9);
            }
        }
    }

    /// The first process of a sandbox and the one that serves its network; none if it was never started.
    fn sandbox_processes(&self, name: &str) -> Vec<Run> {
        let Ok(text) = std::fs::read(self.sandbox_folder(name).join("run.json")) else {
            return Vec::new();
        };
        let Ok(run) = serde_json::from_slice::<Value>(&text) else { return Vec::new() };
        let process = |pid: &str, start: &str| {
            Some(Run {
                hold: i32::try_from(run[pid].as_i64()?).ok()?,
                hold_start: run[start].as_u64()?,
                boot: run["boot"].as_str()?.to_owned(),
                pid: 0,
                started: 0,
                life: 1,
            })
        };
        [process("init", "init_start"), process("net", "net_start")].into_iter().flatten().collect()
    }

    /// Machines with a run folder.
    pub(super) fn sandboxes(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.places().runtime.join("machines"));
        let names = entries.into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Destroys all machines. If all is well until then, nothing of them may be left.
    pub(super) fn end_machines(&self) {
        let machines = self.places().data.join("machines");
        if self.disk.is_some() || !machines.exists() {
            return;
        }
        let processes: Vec<Run> =
            self.sandboxes().iter().flat_map(|name| self.sandbox_processes(name)).collect();
        let cgroups = self.sandboxes().iter().flat_map(|name| self.cgroups(name)).collect::<Vec<_>>();
        let names: Vec<String> = std::fs::read_dir(&machines)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        let mut arguments = vec!["destroy".to_owned(), "--yes".to_owned()];
        arguments.extend(names.iter().cloned());
        let said = if names.is_empty() { None } else { Some(self.stead(&arguments)) };
        if std::thread::panicking() {
            return;
        }
        if let Some(said) = said {
            if said.status != 0 {
                self.lose_everything();
            }
            assert_eq!(said.status, 0, "{arguments:?}: {said:?}");
        }
        let left: Vec<i32> = processes.iter().filter(|p| alive(p)).map(|p| p.hold).collect();
        self.lose_everything();
        assert!(left.is_empty(), "left: processes {left:?}");
        for cgroup in cgroups {
            assert!(!cgroup.exists(), "left: {}", cgroup.display());
        }
        self.nothing_left();
    }

    /// The cgroups of a sandbox that was started.
    pub fn cgroups(&self, name: &str) -> Vec<PathBuf> {
        if !self.sandbox_folder(name).join("run.json").exists() {
            return Vec::new();
        }
        let run = self.sandbox(name);
        let cgroups = run["cgroups"].as_array().unwrap().iter();
        cgroups.map(|path| PathBuf::from(path.as_str().unwrap())).collect()
    }

    /// Asserts that no mount, process or folder of a machine is left.
    fn nothing_left(&self) {
        for folder in ["machines", "states", "layers"] {
            let folder = self.places().data.join(folder);
            let mut left: Vec<_> =
                std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
            left.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
            assert!(left.is_empty(), "left: {left:?}");
        }
        let here = self.path().to_str().unwrap();
        for pid in processes() {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            assert!(!mounts.contains(here), "left: a mount of {here}, seen by {pid} {command:?}");
            let ours = command.contains("stead-box") && command.contains(here);
            assert!(!ours, "left: process {pid} {command:?}");
        }
    }
}
