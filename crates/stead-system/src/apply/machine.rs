//! The machine that is changed: where its files are, and running its programs.

use super::Options;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The machine.
pub(super) struct Machine {
    root: PathBuf,
    /// Nothing is changed.
    pub check: bool,
    /// It is this machine, whose programs can be run.
    pub live: bool,
    /// Systemd runs it.
    pub systemd: bool,
}

/// Who runs a program.
pub(super) struct User<'a> {
    pub uid: u32,
    pub gid: u32,
    pub name: &'a str,
    pub home: &'a Path,
}

impl Machine {
    pub fn new(options: &Options) -> Self {
        let live = options.root == Path::new("/");
        let systemd = live && Path::new("/run/systemd/system").is_dir();
        Machine { root: options.root.clone(), check: options.check, live, systemd }
    }

    /// Where a path of the machine is.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is such a program.
    pub fn has(&self, program: &str) -> bool {
        self.live
            && if program.contains('/') {
                Path::new(program).exists()
            } else {
                PATH.split(':').any(|folder| Path::new(folder).join(program).exists())
            }
    }

    /// Runs a program to its end; what it printed, or why it failed in one line.
    pub fn run<S: AsRef<str>>(&self, words: &[S]) -> Result<String, String> {
        self.run_as(words, None, None)
    }

    /// The same as somebody, with this as its input.
    pub fn run_as<S: AsRef<str>>(
        &self,
        words: &[S],
        user: Option<&User>,
        input: Option<&[u8]>,
    ) -> Result<String, String> {
        let Some((program, arguments)) = words.split_first() else { return Ok(String::new()) };
        if !self.live {
            return Err("what is only a folder runs nothing".into());
        }
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.args(arguments.iter().map(AsRef::as_ref)).env_clear();
        command.env("PATH", PATH).env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
        command.env("SYSTEMD_PAGER", "").env("SYSTEMD_COLORS", "0").current_dir("/");
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        match user {
            Some(user) => {
                command.uid(user.uid).gid(user.gid).current_dir(user.home);
                command.env("HOME", user.home).env("USER", user.name);
            }
            None => {
                command.env("HOME", "/root");
            }
        }
        let mut child =
            command.spawn().map_err(|error| format!("{program} cannot be run: {error}"))?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            // One that does not want it says why by its own end.
            let _ = pipe.write_all(input);
        }
        let output = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(out);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = if said.trim().is_empty() { &out } else { &said };
        Err(format!("{program}: {}", last_words(said, &output.status.to_string())))
    }
}

/// The end of what a program said, on one line.
fn last_words(said: &str, otherwise: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return otherwise.into();
    }
    let text = lines[lines.len().saturating_sub(6)..].join("; ");
    let skipped = text.chars().count().saturating_sub(600);
    text.chars().skip(skipped).collect()
}

/// Whether this process may do everything.
pub(super) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.is_some_and(|line| line.split_whitespace().nth(1) == Some("0"))
}
