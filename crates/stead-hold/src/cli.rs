//! The command line of `stead-hold`.

use crate::attach::{self, Options, Outcome};
use crate::clock::now_ms;
use crate::folder::{Folder, Places};
use crate::hold::Hold;
use crate::launch::{self, Ready};
use crate::sys::{self, Forked};
use crate::{bridge, client, id};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use stead_wire::message::Ask;
use stead_wire::session::{Linger, Restart, Session, Size, Spec, check_name};

const USAGE: &str = "\
stead-hold: one session that outlives whoever looks at it

    stead-hold create [-n NAME] [--] COMMAND...   start a session
    stead-hold ls                                 sessions on this host
    stead-hold attach NAME                        show one; leave with ctrl-\\ d
    stead-hold hook [PAYLOAD]                     hand an agent's hook to its session
    stead-hold run FOLDER SOCKET                  hold the session of a folder
    stead-hold bridge [--data DIR] [--runtime DIR]
                                                  serve a steward on standard input and output

It needs no steward. `stead` does all this with more comfort.";

/// How long a hold has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest payload taken from a hook, in bytes.
const MAX_HOOK: u64 = 1024 * 1024;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let result = match command.to_str().unwrap_or_default() {
        "run" => return run(&args),
        "hook" => return hook(&args),
        "bridge" => bridge(args),
        "create" => create(args),
        "ls" => ls(),
        "attach" => attach(&args),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        "--version" | "-V" => {
            println!("stead-hold {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        other => Err(Failure::Misuse(format!("no command \"{other}\"; see stead-hold --help"))),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Misuse(why)) => {
            eprintln!("stead-hold: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(why)) => {
            eprintln!("stead-hold: {why}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Misuse(String),
    Failed(String),
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::Failed(e.to_string())
}

/// Becomes the hold of a folder: says on standard output that it is ready, or why not, and goes on in the
/// background.
fn run(args: &[OsString]) -> ExitCode {
    let [folder, socket] = args else {
        eprintln!("stead-hold: run takes a folder and a socket's path");
        return ExitCode::from(2);
    };
    match sys::fork() {
        Ok(Forked::Parent) => return ExitCode::SUCCESS,
        Ok(Forked::Child) => {}
        Err(e) => {
            say(&Ready::Error(e.to_string()));
            return ExitCode::FAILURE;
        }
    }
    let _ = rustix::process::setsid();
    let hold = match Hold::start(Folder::at(PathBuf::from(folder)), Path::new(socket)) {
        Ok(hold) => hold,
        Err(e) => {
            say(&Ready::Error(e.to_string()));
            return ExitCode::FAILURE;
        }
    };
    say(&Ready::Ok(hold.run_record().clone()));
    // Whoever waits for the end of the pipe waits no longer.
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    match hold.serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn say(ready: &Ready) {
    let mut line = serde_json::to_string(ready).expect("plain data");
    line.push('\n');
    let _ = io::stdout().write_all(line.as_bytes());
}

/// Hands a hook's payload to the session that the agent runs in. Never in the agent's way: whatever happens, it
/// succeeds quickly and prints nothing.
fn hook(args: &[OsString]) -> ExitCode {
    let deliver = || -> Option<()> {
        let socket = PathBuf::from(std::env::var_os("STEAD_HOLD_SOCKET")?);
        let mut text = String::new();
        if let Some(payload) = args.last() {
            payload.to_str()?.clone_into(&mut text);
        } else {
            io::stdin().lock().take(MAX_HOOK).read_to_string(&mut text).ok()?;
        }
        let payload: Value = serde_json::from_str(&text).ok()?;
        client::ask(&socket, Ask::Hook { payload }, Duration::from_secs(2)).ok()
    };
    let _ = deliver();
    ExitCode::SUCCESS
}

/// Serves a steward: inside a machine, where sessions lie in the system's folders.
fn bridge(args: Vec<OsString>) -> Result<ExitCode, Failure> {
    let mut places = Places {
        data: "/var/lib/stead".into(),
        runtime: "/run/stead".into(),
        config: "/etc/stead".into(),
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let place = match arg.to_str() {
            Some("--data") => &mut places.data,
            Some("--runtime") => &mut places.runtime,
            _ => return Err(Failure::Misuse(format!("bridge takes no {}", arg.display()))),
        };
        let dir = args.next().map(PathBuf::from).filter(|dir| dir.is_absolute());
        *place = dir
            .ok_or_else(|| Failure::Misuse(format!("{} needs an absolute path", arg.display())))?;
    }
    let program = std::env::current_exe().map_err(failed)?;
    let stream = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(failed);
    let (input, output) = (stream(io::stdin().as_fd())?, stream(io::stdout().as_fd())?);
    bridge::serve(bridge::Options { places, program }, input, output).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn create(args: Vec<OsString>) -> Result<ExitCode, Failure> {
    let mut name = None;
    let mut command = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("-n") if command.is_empty() => {
                let value = args.next().ok_or_else(|| Failure::Misuse("-n needs a name".into()))?;
                name = Some(value.to_string_lossy().into_owned());
            }
            Some("--") if command.is_empty() => {}
            Some(word) => command.push(word.to_owned()),
            None => return Err(Failure::Misuse(format!("{} is not UTF-8", arg.display()))),
        }
    }
    if command.is_empty() {
        command.push(std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into()));
    }
    let places = Places::from_env().map_err(failed)?;
    let id = id::new();
    let name = name.unwrap_or_else(|| id.clone());
    check_name(&name).map_err(Failure::Misuse)?;
    if find(&places, &name)?.is_some() {
        return Err(Failure::Misuse(format!("a session \"{name}\" exists; choose another name")));
    }
    let mut env: std::collections::BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    env.insert("TERM".into(), "xterm-256color".into());
    env.insert("COLORTERM".into(), "truecolor".into());
    env.insert("STEAD_SESSION".into(), name.clone());
    env.insert("STEAD_SESSION_ID".into(), id.clone());
    env.insert("STEAD_HOLD_SOCKET".into(), places.hold_socket(&id).display().to_string());
    let spec = Spec {
        name: name.clone(),
        machine: "host".into(),
        asked: command.clone(),
        command,
        cwd: std::env::current_dir().map_err(failed)?,
        env,
        size: Size::default(),
        restart: Restart::default(),
        linger: Linger::default(),
        agent: None,
        created: now_ms(),
        id,
    };
    let program = std::env::current_exe().map_err(failed)?;
    launch::start(&places, &spec, &program).map_err(failed)?;
    println!("{name}");
    Ok(ExitCode::SUCCESS)
}

fn find(places: &Places, name: &str) -> Result<Option<Folder>, Failure> {
    let folders = places.all_sessions().map_err(failed)?;
    Ok(folders
        .into_iter()
        .find(|folder| folder.id() == name || folder.spec().is_ok_and(|spec| spec.name == name)))
}

fn ls() -> Result<ExitCode, Failure> {
    let places = Places::from_env().map_err(failed)?;
    for folder in places.all_sessions().map_err(failed)? {
        let id = folder.id();
        let answer = client::ask::<Session>(&places.hold_socket(id), Ask::Info, PATIENCE);
        match (answer, folder.exit(), folder.spec()) {
            (Ok(session), ..) => {
                println!(
                    "{}\t{}\t{}",
                    session.name,
                    session.status.state,
                    session.command.join(" ")
                );
            }
            (Err(_), Ok(Some(exit)), Ok(spec)) => {
                println!("{}\t{exit}\t{}", spec.name, spec.command.join(" "));
            }
            (Err(e), _, Ok(spec)) => println!("{}\tunknown\t{e}", spec.name),
            (Err(_), _, Err(e)) => println!("{id}\tunknown\t{e}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn attach(args: &[OsString]) -> Result<ExitCode, Failure> {
    let [name] = args else { return Err(Failure::Misuse("attach takes a session's name".into())) };
    let name = name.to_string_lossy();
    let places = Places::from_env().map_err(failed)?;
    let folder = find(&places, &name)?
        .ok_or_else(|| Failure::Failed(format!("no session \"{name}\"; see stead-hold ls")))?;
    let outcome =
        attach::run(&places.hold_socket(folder.id()), &Options::default()).map_err(failed)?;
    match outcome {
        Outcome::Detached => println!("[detached from {name}]"),
        Outcome::Ended(exit) => {
            println!("[{name} {exit}]");
            return Ok(ExitCode::from(u8::try_from(exit.shell_status()).unwrap_or(1)));
        }
        Outcome::Closed(why) => return Err(Failure::Failed(why)),
    }
    Ok(ExitCode::SUCCESS)
}
