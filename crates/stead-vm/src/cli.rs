//! The command line of the program `stead-vm`: for engines, for people who look into things, and for a guest's kernel.

use crate::client::{self, NOT_ENTERED};
use crate::line::spoken::Exec;
use crate::{guest, keep};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
stead-vm: one running virtual machine

  stead-vm exec SOCKET [--cwd DIR] [--env NAME[=VALUE]]... [--clear-env] -- COMMAND [ARGUMENT]...
";

/// Runs the program.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    // The kernel starts the first process of a guest so.
    if called == "/init" {
        guest::init::run();
    }
    let args: Vec<OsString> = args.collect();
    if let Some(done) = guest::power::called(&called, &args) {
        return done;
    }
    let Some((what, rest)) = args.split_first() else { return misused("") };
    match what.to_str() {
        Some("exec") => executed(rest),
        // Not for people: what engines start, and what runs in a guest.
        Some("keep") => match rest {
            [spec] => keep::run(Path::new(spec)),
            _ => misused("stead-vm: keep needs the file that describes a machine\n"),
        },
        Some(guest::FIRST) if rest.is_empty() => guest::light::run(),
        Some(guest::AGENT) if rest.is_empty() => guest::agent::run(),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("stead-vm {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => misused(&format!("stead-vm: {} is not understood\n", what.display())),
    }
}

fn misused(why: &str) -> ExitCode {
    eprint!("{why}{USAGE}");
    ExitCode::from(2)
}

fn executed(args: &[OsString]) -> ExitCode {
    let Some((socket, rest)) = args.split_first() else { return misused("") };
    let exec = match read(rest) {
        Ok(exec) => exec,
        Err(why) => return misused(&format!("stead-vm: {why}\n")),
    };
    match client::exec(Path::new(socket), exec) {
        Ok(status) => ExitCode::from(status),
        Err(e) => {
            eprintln!("stead-vm: {e}");
            ExitCode::from(NOT_ENTERED)
        }
    }
}

fn read(args: &[OsString]) -> Result<Exec, String> {
    let text = |word: &OsString| {
        let refused = || format!("{} is not text (UTF-8), which is needed here", word.display());
        word.to_str().map(str::to_owned).ok_or_else(refused)
    };
    let mut exec = Exec::default();
    let mut args = args.iter();
    loop {
        let word = args.next().ok_or("-- and a command are missing")?;
        let mut value = || args.next().ok_or_else(|| format!("{} needs a value", word.display()));
        match word.to_str() {
            Some("--") => break,
            Some("--cwd") => exec.cwd = Some(text(value()?)?.into()),
            Some("--clear-env") => exec.clear_env = true,
            Some("--env") => {
                let pair = text(value()?)?;
                let (name, value) = match pair.split_once('=') {
                    Some((name, value)) => (name, value.to_owned()),
                    None => (pair.as_str(), own(&pair)?),
                };
                if name.is_empty() {
                    return Err("--env needs NAME or NAME=VALUE".into());
                }
                exec.env.push((name.to_owned(), value));
            }
            _ => {
                return Err(format!(
                    "{} is not understood; the command follows --",
                    word.display()
                ));
            }
        }
    }
    exec.command = args.map(text).collect::<Result<_, _>>()?;
    if exec.command.is_empty() {
        return Err("no command after --".into());
    }
    // As a sandbox has it: a command shows what its caller's terminal can.
    for name in ["LANG", "TERM"] {
        if let Ok(value) = std::env::var(name)
            && !exec.clear_env
        {
            exec.env.insert(0, (name.to_owned(), value));
        }
    }
    Ok(exec)
}

/// The value that a variable has here. What is secret is handed on so: everybody on this computer sees command lines.
fn own(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| format!("--env {name}: {e}"))
}
