//! A steward of its own on a stage, whose machines are destroyed at the end.

use crate::error::{Context, Error, Result};
use crate::peers::{ask, run};
use crate::processes;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stead_box::spec::Running;

/// Stead's programs, from a release build.
pub struct Programs {
    pub stead: PathBuf,
    pub sandbox: PathBuf,
    pub hold: PathBuf,
}

impl Programs {
    /// Those in a folder.
    ///
    /// # Errors
    /// If one is not there.
    pub fn new(folder: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = folder.join(name);
            std::fs::canonicalize(&path).context(path.display())
        };
        Ok(Programs {
            stead: find("stead")?,
            sandbox: find("stead-box")?,
            hold: find("stead-hold")?,
        })
    }
}

/// Limits of every sandbox and container that is measured: half a GB, one processor, 200 processes.
pub const MEMORY: u64 = 512 << 20;
pub const CPUS: u32 = 1000;
pub const PROCESSES: u32 = 200;

/// A stage with a steward.
pub struct Ground<'a> {
    pub stage: &'a Stage,
    pub programs: &'a Programs,
    steward: Child,
}

impl<'a> Ground<'a> {
    /// Starts a steward. `disk` is a file with a file system that holds its data; only the steward sees it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn new(stage: &'a Stage, programs: &'a Programs, disk: Option<&Path>) -> Result<Self> {
        let steward = Self::start(stage, programs, disk)?;
        Ok(Ground { stage, programs, steward })
    }

    fn start(stage: &Stage, programs: &Programs, disk: Option<&Path>) -> Result<Child> {
        let mut command = match disk {
            None => stage.command(&programs.stead),
            Some(disk) => {
                let mut command = stage.command("unshare");
                command.args(["--mount", "--propagation", "private", "sh", "-c"]);
                command.arg("mount -o loop \"$1\" \"$2\" && exec \"$3\" steward run").arg("sh");
                command.arg(disk).arg(stage.path("data")).arg(&programs.stead);
                command
            }
        };
        if disk.is_none() {
            command.args(["steward", "run"]);
        }
        let complaints = std::fs::File::create(stage.path("steward.log"))?;
        let mut child = command.stderr(complaints).spawn().context("cannot start a steward")?;
        let socket = stage.path("run").join("stead/steward.sock");
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            if Instant::now() > deadline || child.try_wait()?.is_some() {
                let why = std::fs::read_to_string(stage.path("steward.log")).unwrap_or_default();
                return Err(Error::new(format!("the steward does not answer: {}", why.trim())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(child)
    }

    /// Ends the steward and starts another; machines go on.
    ///
    /// # Errors
    /// If it does not start.
    pub fn again(&mut self, between: impl FnOnce() -> Result<()>) -> Result<()> {
        self.end_steward();
        between()?;
        self.steward = Self::start(self.stage, self.programs, None)?;
        Ok(())
    }

    fn end_steward(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.steward.id().cast_signed()) {
            // It may be gone by now.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.steward.wait();
    }

    /// A command of Stead's.
    pub fn stead(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(&self.programs.stead);
        command.args(args);
        command
    }

    /// Runs one; what it printed.
    ///
    /// # Errors
    /// If it fails.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        ask(self.stead(args))
    }

    /// Asks the steward, and waits for the end of what it does.
    ///
    /// # Errors
    /// If it is refused or fails.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        request(&self.stage.path("run").join("stead/steward.sock"), method, path, body)
    }

    /// A machine with limits that runs.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn make(&self, name: &str) -> Result<()> {
        self.make_with(name, &json!({}))
    }

    /// As [`Self::make`], with these keys besides.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn make_with(&self, name: &str, keys: &Value) -> Result<()> {
        let mut machine = json!({ "memory": MEMORY, "cpus": CPUS, "processes": PROCESSES });
        for (key, value) in keys.as_object().into_iter().flatten() {
            machine[key] = value.clone();
        }
        let mut machines = serde_json::Map::new();
        machines.insert(name.to_owned(), machine);
        let owner = self.stage.path("stead.toml");
        let declared = json!({ "declaration": { "machines": machines }, "owner": owner });
        self.request("POST", "/v1/machines", &json!({ "name": name, "declared": declared }))?;
        Ok(())
    }

    /// Removes machines.
    ///
    /// # Errors
    /// If one stays.
    pub fn destroy(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut command = self.stead(&["destroy", "--yes"]);
        command.args(names);
        run(command)
    }

    /// The run folder of a machine.
    pub fn run_folder(&self, name: &str) -> PathBuf {
        self.stage.path("run").join("stead/machines").join(name)
    }

    /// What runs of a machine.
    ///
    /// # Errors
    /// If it does not run.
    pub fn running(&self, name: &str) -> Result<Running> {
        let path = self.run_folder(name).join("run.json");
        let text = std::fs::read(&path).context(path.display())?;
        serde_json::from_slice(&text).context(path.display())
    }
}

impl Drop for Ground<'_> {
    fn drop(&mut self) {
        let list: Value = self
            .ask(&["ls", "--machines", "--json"])
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let machines = list["machines"].as_array().or(list.as_array()).cloned().unwrap_or_default();
        let names: Vec<String> = machines
            .iter()
            .filter_map(|m| m["name"].as_str())
            .filter(|name| *name != "host")
            .map(ToOwned::to_owned)
            .collect();
        if let Err(e) = self.destroy(&names) {
            eprintln!("  {e}");
        }
        self.end_steward();
        processes::settle(self.stage.root(), Duration::from_secs(5));
        end_boxes(self.stage.root(), &self.programs.sandbox);
        processes::sweep(self.stage.root());
    }
}

/// Ends every sandbox whose run folder is below a stage.
pub fn end_boxes(stage: &Path, sandbox: &Path) {
    let folders = [stage.join("run/stead/machines"), stage.join("boxes")];
    for entry in folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten() {
        let mut command = Command::new(sandbox);
        command.arg("stop").arg(entry.path()).args(["--grace", "0"]).stdin(Stdio::null());
        let _ = command.status();
    }
}

fn request(socket: &Path, method: &str, path: &str, body: &Value) -> Result<Value> {
    let mut stream = UnixStream::connect(socket).context("cannot reach the steward")?;
    // What is not read there has the connection reset.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: stead\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    // The last line that is JSON, whatever lengths of pieces stand between.
    let last = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object));
    let last = last.ok_or_else(|| Error::new(format!("{path}: {text}")))?;
    if text.starts_with("HTTP/1.1 2") && last.get("problem").is_none() {
        Ok(last)
    } else {
        Err(Error::new(format!("{path}: {last}")))
    }
}
