//! Our program in a machine: brought there when it is not, run with words on its standard input.

use super::super::door;
use crate::failure::Failure;
use crate::steward::Steward;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Where the program lies while a machine runs. Root's alone.
const FOLDER: &str = "/run/stead-system";

/// A machine that has the program.
pub struct Inside {
    steward: Steward,
    machine: String,
    /// The program inside.
    program: String,
}

impl Inside {
    /// The machine, which runs, with the program in it.
    ///
    /// # Errors
    /// If it does not run, or takes no file.
    pub fn of(machine: &str) -> Result<Self, Failure> {
        let steward = Steward::of_user()?;
        let here = program()?;
        let bytes = std::fs::read(&here)
            .map_err(|e| Failure::failed(format!("cannot read {}: {e}", here.display())))?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        let program = format!("{FOLDER}/stead-system-{:016x}", hasher.finish());
        let inside = Inside { steward, machine: machine.to_owned(), program };
        if !inside.shell("test -x \"$1\"", &[&inside.program])?.status()?.success() {
            inside.bring(&bytes)?;
        }
        Ok(inside)
    }

    /// Puts the program into the machine; others that lie there are of other versions.
    fn bring(&self, bytes: &[u8]) -> Result<(), Failure> {
        let script = "umask 077; mkdir -p \"$1\" && rm -f \"$1\"/stead-system-* && cat > \"$2.part\" \
                      && chmod 700 \"$2.part\" && mv \"$2.part\" \"$2\"";
        let mut child = self
            .shell(script, &[FOLDER, &self.program])?
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let written = feed(&mut child, bytes);
        let status = child.wait()?;
        if !status.success() || written.is_err() {
            return Err(Failure::failed(format!(
                "machine \"{}\" takes no program: {status}",
                self.machine
            ))
            .help("the program runs as root inside, with a /run that can be written to"));
        }
        Ok(())
    }

    fn shell(&self, script: &str, words: &[&str]) -> Result<Command, Failure> {
        let mut all = vec!["/bin/sh", "-c", script, "sh"];
        all.extend(words);
        let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        door::command(&self.steward, &self.machine, None, &[], &all)
    }

    /// Runs the program with arguments and what it reads; its standard output is piped.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, args: &[&str], input: Vec<u8>) -> Result<Child, Failure> {
        let mut words = vec![self.program.clone()];
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let mut child = door::command(&self.steward, &self.machine, None, &[], &words)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // It answers while it reads: who feeds it must not be who listens.
        let mut stdin =
            child.stdin.take().ok_or_else(|| Failure::failed("no way to the machine"))?;
        std::thread::spawn(move || stdin.write_all(&input));
        Ok(child)
    }
}

fn feed(child: &mut Child, bytes: &[u8]) -> std::io::Result<()> {
    match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(bytes),
        None => Ok(()),
    }
}

/// The program on this host: beside this one.
fn program() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name("stead-system");
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::failed(format!("{} is not there", path.display()))
        .help("it belongs beside stead: make install puts it there"))
}
