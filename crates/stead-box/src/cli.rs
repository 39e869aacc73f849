//! The command line of the program `stead-box`: for engines and for people who look into things.

use crate::enter::{Enter, NOT_ENTERED};
use crate::spec::Spec;
use crate::{BoxError, init, net, program, start, stop, userns};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const USAGE: &str = "\
stead-box: one running sandbox

  stead-box start < SPEC.json
  stead-box exec RUN_FOLDER [--cwd DIR] [--env NAME=VALUE]... [--clear-env] -- COMMAND [ARGUMENT]...
  stead-box stop RUN_FOLDER [--grace SECONDS]
  stead-box as-root COMMAND [ARGUMENT]...
";

/// How long everybody inside has to end when nothing else is said.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the program.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((what, rest)) = args.split_first() else { return misused("") };
    match what.to_str() {
        Some("start") if rest.is_empty() => started(),
        Some("exec") => executed(rest),
        Some("stop") => stopped(rest),
        Some("as-root") => as_root(rest),
        Some("net") if rest.is_empty() => net::run(),
        // Not for people: the first process of an ordinary user's sandbox.
        Some(program::GO_ON) if rest.is_empty() => {
            init::go_on();
            misused("stead-box: the first process of a sandbox is made by `stead-box start`\n")
        }
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("stead-box {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => misused(&format!("stead-box: {} is not understood\n", what.display())),
    }
}

fn misused(why: &str) -> ExitCode {
    eprint!("{why}{USAGE}");
    ExitCode::from(2)
}

fn started() -> ExitCode {
    let made = std::io::read_to_string(std::io::stdin())
        .map_err(|source| BoxError::Io { what: "reading the specification".into(), source })
        .and_then(|text| {
            serde_json::from_str::<Spec>(&text)
                .map_err(|e| BoxError::refused(format!("the specification: {e}")))
        })
        .and_then(|spec| start::start(&spec));
    let (line, code) = match made {
        Ok(running) => (serde_json::to_string(&running), ExitCode::SUCCESS),
        Err(e) => (
            serde_json::to_string(&serde_json::json!({ "error": e.to_string() })),
            ExitCode::FAILURE,
        ),
    };
    // If nobody listens any more, `run.json` says it all.
    let _ = writeln!(std::io::stdout(), "{}", line.expect("plain data"));
    code
}

fn executed(args: &[OsString]) -> ExitCode {
    let Some((run, mut rest)) = args.split_first() else { return misused("") };
    let mut enter = Enter::default();
    loop {
        let Some((word, more)) = rest.split_first() else {
            return misused("stead-box: exec needs `--` and a command\n");
        };
        rest = more;
        match word.to_str() {
            Some("--") => break,
            Some("--clear-env") => enter.clear_env = true,
            Some("--cwd") if !rest.is_empty() => {
                enter.cwd = Some(PathBuf::from(&rest[0]));
                rest = &rest[1..];
            }
            Some("--env") if rest.first().is_some_and(|v| variable(v).is_some()) => {
                enter.env.extend(variable(&rest[0]));
                rest = &rest[1..];
            }
            _ => return misused(&format!("stead-box: {} is not understood\n", word.display())),
        }
    }
    if rest.is_empty() {
        return misused("stead-box: exec needs a command\n");
    }
    enter.command = rest.to_vec();
    match enter.run(Path::new(run)) {
        Ok(status) => ExitCode::from(status as u8),
        Err(e) => {
            eprintln!("stead-box: {e}");
            ExitCode::from(NOT_ENTERED as u8)
        }
    }
}

/// Becomes a command that is root of a user namespace in which nobody else is: what belongs to this user it may read and
/// write whatever its mode.
fn as_root(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return misused("stead-box: as-root needs a command\n");
    };
    let why = match userns::own() {
        Ok(()) => Command::new(program).args(arguments).exec().to_string(),
        Err(e) => e.to_string(),
    };
    eprintln!("stead-box: {}: {why}", program.display());
    ExitCode::from(NOT_ENTERED as u8)
}

fn variable(word: &OsStr) -> Option<(OsString, OsString)> {
    let at = word.as_bytes().iter().position(|b| *b == b'=').filter(|at| *at > 0)?;
    let (name, value) = word.as_bytes().split_at(at);
    Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value[1..].to_vec())))
}

fn stopped(args: &[OsString]) -> ExitCode {
    let (run, grace) = match args {
        [run] => (run, Some(GRACE)),
        [run, flag, seconds] if flag == "--grace" => {
            let seconds = seconds.to_str().and_then(|s| s.parse::<f64>().ok());
            (run, seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()))
        }
        _ => return misused(""),
    };
    let Some(grace) = grace else { return misused("stead-box: --grace needs seconds\n") };
    match stop::stop(Path::new(run), grace) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("stead-box: {e}");
            ExitCode::FAILURE
        }
    }
}
