//! `stead system install`: NixOS on a fresh machine, by nixos-anywhere.

use super::super::{ask, attach, print};
use super::{render, whole};
use crate::cli::Install;
use crate::failure::{Failure, Outcome};
use crate::{present, stead_file};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use stead_system::Whole;
use stead_system::install::Stage;

/// Lines of the end that are shown when it fails.
const LAST: usize = 15;

/// Where nixos-anywhere comes from where it is not installed.
const FLAKE: &str = "github:nix-community/nixos-anywhere";

pub fn run(args: &Install) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let whole = whole(&file, &args.name)?;
    let folder = tempfile::Builder::new().prefix("stead-install-").tempdir()?;
    let flake = render::flake(&file.declaration.name, std::slice::from_ref(&whole))?;
    render::write(&flake, folder.path())?;
    secrets(args, &whole, folder.path())?;
    let disk = whole.system.disk.device.display().to_string();
    let goes = [format!("all that is on {disk} of {}, and its system", args.target)];
    ask::whether(args.yes, &goes, "install NixOS there?")?;
    let mut command = program()?;
    command.arg("--flake").arg(format!("{}#{}", folder.path().display(), whole.hostname()));
    if let Some(port) = args.port {
        command.args(["--ssh-port", &port.to_string()]);
    }
    if let Some(port) = args.port_after {
        command.args(["--post-kexec-ssh-port", &port.to_string()]);
    }
    if let Some(identity) = &args.identity {
        command.arg("-i").arg(identity);
    }
    if let Some(extra) = &args.extra_files {
        command.arg("--extra-files").arg(extra);
    }
    command.args(["--target-host", &args.target]);
    reached(args)?;
    follow(command)
}

/// Brings what the flake reads and Stead does not make: secrets, encrypted, from a flake that was rendered before.
fn secrets(args: &Install, whole: &Whole, to: &Path) -> Result<(), Failure> {
    if whole.secrets().is_empty() {
        return Ok(());
    }
    let from = args.flake.clone().unwrap_or_else(|| "system".into());
    let name = format!("secrets/{}.yaml", whole.hostname());
    let place = to.join(&name);
    std::fs::create_dir_all(place.parent().unwrap_or(to))?;
    std::fs::copy(from.join(&name), &place).map_err(|e| {
        Failure::failed(format!("cannot read {}: {e}", from.join(&name).display())).help(format!(
            "its system reads secrets: `stead system render {} DIR`, then `sops {name}` in DIR, then `stead system install --flake DIR ...`",
            args.name
        ))
    })?;
    Ok(())
}

/// Whether the target lets us in, where nobody could answer a question: nixos-anywhere would try for ever.
fn reached(args: &Install) -> Result<(), Failure> {
    if attach::has_terminal() {
        return Ok(());
    }
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]);
    // Its system is about to be another one, with another key.
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    ssh.args(["-o", "LogLevel=ERROR"]);
    if let Some(port) = args.port {
        ssh.args(["-p", &port.to_string()]);
    }
    if let Some(identity) = &args.identity {
        ssh.arg("-i").arg(identity);
    }
    ssh.args([&args.target, "true"]).stdin(Stdio::null()).stdout(Stdio::null());
    match ssh.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => {
            print(format!("{} ...\n", Stage::Connect.title()).as_bytes())?;
            Err(failed_in(Stage::Connect, &format!("ssh does not reach {}", args.target)))
        }
        Err(e) => Err(Failure::failed(format!("cannot run ssh: {e}"))),
    }
}

fn failed_in(stage: Stage, why: &str) -> Failure {
    Failure::failed(format!("nixos-anywhere failed while {} ({why})", stage.title()))
        .help(stage.help())
}

/// nixos-anywhere, or how to run it by nix.
fn program() -> Result<Command, Failure> {
    if let Some(path) = std::env::var_os("STEAD_NIXOS_ANYWHERE").filter(|path| !path.is_empty()) {
        return Ok(Command::new(path));
    }
    if on_path("nixos-anywhere") {
        return Ok(Command::new("nixos-anywhere"));
    }
    if on_path("nix") {
        let mut command = Command::new("nix");
        command.args(["--extra-experimental-features", "nix-command flakes", "run", FLAKE, "--"]);
        return Ok(command);
    }
    Err(Failure::failed("neither nixos-anywhere nor nix is installed here").help(
        "nix builds the system that is installed: apt install nix-bin, or see nixos.org/download",
    ))
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Runs it and tells each stage; what it prints is shown when it fails, all of it where `STEAD_VERBOSE` is set.
fn follow(mut command: Command) -> Outcome {
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::inherit()).stdout(writer.try_clone()?).stderr(writer);
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        command.spawn().map_err(|e| Failure::failed(format!("cannot run {name}: {e}")))?;
    // Its ends of the pipe are its own now.
    drop(command);
    let all = std::env::var_os("STEAD_VERBOSE").is_some_and(|verbose| !verbose.is_empty());
    let mut last: VecDeque<String> = VecDeque::new();
    let mut stage = Stage::Build;
    let mut began = Instant::now();
    print(format!("{} ...\n", stage.title()).as_bytes())?;
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = present::clean(String::from_utf8_lossy(&line).trim_end());
        line.clear();
        if let Some(next) = Stage::announced(&text)
            && next > stage
        {
            let took = began.elapsed().as_secs();
            print(format!("{}: {took} s\n", stage.title()).as_bytes())?;
            if next != Stage::Done {
                print(format!("{} ...\n", next.title()).as_bytes())?;
            }
            (stage, began) = (next, Instant::now());
        }
        if all {
            print(format!("  {text}\n").as_bytes())?;
        }
        if last.len() == LAST {
            last.pop_front();
        }
        last.push_back(text);
    }
    let status = child.wait()?;
    if status.success() && stage == Stage::Done {
        print(b"installed\n")?;
        return Ok(0);
    }
    if !all {
        for line in last {
            eprintln!("  {line}");
        }
    }
    Err(failed_in(stage, &status.to_string()))
}
