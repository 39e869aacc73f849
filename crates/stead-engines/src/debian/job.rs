use super::{ImageError, Tools};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// How many of the last lines of a failure are told.
const TOLD: usize = 8;

/// An image that is being made.
pub struct Job<'a> {
    /// Its name.
    pub name: &'a str,
    /// Held while it is made.
    pub lock: &'a File,
    /// Gets each line that the programs print.
    pub progress: &'a dyn Fn(&str),
    /// Where the programs are.
    pub tools: &'a Tools,
}

impl Job<'_> {
    /// Runs a program that makes the image, to its end.
    ///
    /// # Errors
    /// If it cannot be started or fails, with its last lines.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Result<(), ImageError> {
        let lock = self.lock.try_clone().map_err(ImageError::at("hold the lock for", program))?;
        let (reader, writer) = io::pipe().map_err(ImageError::at("make a pipe for", program))?;
        let errors = writer.try_clone().map_err(ImageError::at("make a pipe for", program))?;
        // It dies when we do, with all that it started, and its mounts with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]);
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(program).args(arguments);
        // Its standard input is the lock: it is held for as long as any of this runs.
        command.stdin(lock).stdout(writer).stderr(errors);
        command
            .env("PATH", &self.tools.path)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .envs(environment.iter().copied());
        let mut child = command.spawn().map_err(ImageError::at("start", program))?;
        // The pipe ends when the last who writes to it has ended, and this would be one.
        drop(command);
        let mut told = VecDeque::new();
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            (self.progress)(&line);
            told.push_back(line);
            if told.len() > TOLD {
                told.pop_front();
            }
        }
        let status = child.wait().map_err(ImageError::at("wait for", program))?;
        if status.success() {
            return Ok(());
        }
        Err(ImageError::Failed {
            program: program.display().to_string(),
            name: self.name.to_owned(),
            status: status.to_string(),
            told: Vec::from(told).join("\n"),
        })
    }
}
