//! `stead doctor`: what this host can do for machines, found out by making one; or what is wrong with one that is there.

mod host;
mod vm;

use super::{door, machine, print, print_json};
use crate::cli::Doctor;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::steward::Steward;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use stead_engines::sandbox::{self, Programs, Sandbox};
use stead_hold::clock::now_ms;
use stead_hold::folder::Places;
use stead_hold::launch;
use stead_machine::engine::Exec;
use stead_machine::model::{Ability, Phase, Wanted};
use stead_machine::{Engine, EngineError, Steps};
use stead_steward::machines::api::Shown;

/// The throwaway machine: its number is the last that there is, so that it takes nobody's ids.
const NAME: &str = "doctor";
const NUMBER: u32 = 4095;

/// How long a machine may take to run a command that does nothing: one that boots takes longer, one that is busy does not.
const PATIENCE: Duration = Duration::from_secs(15);

/// File systems that share blocks between copies, by the number that the kernel gives them.
const SHARING: [rustix::fs::FsWord; 2] = [0x9123_683e, 0x5846_5342];

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What.
    what: String,
    /// Whether it is as one would wish.
    works: bool,
    /// Why not, or what else there is to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// Whether nothing goes without it.
    needed: bool,
}

impl Finding {
    fn needed(what: impl Into<String>, found: Result<(), String>) -> Self {
        Finding { needed: true, ..Self::of(what, found) }
    }

    fn of(what: impl Into<String>, found: Result<(), String>) -> Self {
        let (works, why) = match found {
            Ok(()) => (true, String::new()),
            Err(why) => (false, why),
        };
        Finding { what: what.into(), works, why, needed: false }
    }

    fn able(what: &str, ability: Ability) -> Self {
        let found = match ability {
            Ability::Yes => Ok(()),
            Ability::No(why) => Err(why),
        };
        Self::of(what, found)
    }
}

pub fn run(args: &Doctor) -> Outcome {
    let findings = match &args.machine {
        Some(name) => of_machine(name)?,
        None => of_host()?,
    };
    let status = u8::from(findings.iter().any(|f| f.needed && !f.works));
    if args.json.json {
        print_json(&findings)?;
        return Ok(status);
    }
    let color = present::color();
    let mut out = String::new();
    for finding in &findings {
        let (word, sgr) = match (finding.works, finding.needed) {
            (true, _) => ("yes", "32"),
            (false, true) => ("NO ", "1;31"),
            (false, false) => ("no ", "33"),
        };
        let word = present::paint(word, sgr, color);
        let _ = write!(out, "{word}  {}", present::clean(&finding.what));
        if !finding.why.is_empty() {
            let _ = write!(out, ": {}", present::clean(&finding.why));
        }
        out.push('\n');
    }
    print(out.as_bytes())?;
    Ok(status)
}

/// What is wrong with a machine.
fn of_machine(name: &str) -> Result<Vec<Finding>, Failure> {
    let steward = Steward::of_user()?;
    let shown: Shown = steward.get(&machine::path(name))?;
    let whole = match &shown.phase {
        Phase::Running | Phase::Stopped => Ok(()),
        Phase::Partial(why) => Err(format!("{why}; stead up {name} finishes it")),
        Phase::Unknown(why) => Err(why.clone()),
    };
    let runs = shown.phase == Phase::Running;
    let mut findings = vec![Finding::needed("it is whole", whole)];
    let stopped = || format!("stead up {name} starts it");
    findings.push(Finding::of("it runs", if runs { Ok(()) } else { Err(stopped()) }));
    if runs {
        let words = ["/bin/sh", "-c", "exit 0"].map(String::from);
        let entered = door::command(&steward, name, None, &[], &words)
            .map_err(|failure| failure.to_string())
            .and_then(|command| within(command, PATIENCE));
        findings.push(Finding::needed("a command runs inside", entered));
    }
    findings.extend(shown.notes.into_iter().map(|note| Finding::of("all is well", Err(note))));
    Ok(findings)
}

/// Runs a command, which is killed if it takes longer. Why it did not succeed.
fn within(mut command: Command, limit: Duration) -> Result<(), String> {
    let failed = |e: std::io::Error| e.to_string();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    let ended = ended.map_err(|e| failed(e.into()))?;
    let time = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: 0 };
    let mut fds = [PollFd::new(&ended, PollFlags::IN)];
    let in_time = loop {
        match poll(&mut fds, Some(&time)) {
            Err(Errno::INTR) => {}
            polled => break polled.is_ok_and(|n| n > 0),
        }
    };
    if !in_time {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("nobody answers from inside within {} s", limit.as_secs()));
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.trim().to_owned()) }
}

/// What this host can do.
fn of_host() -> Result<Vec<Finding>, Failure> {
    let places = Places::from_env()?;
    places.create()?;
    // Beside the real ones: what lies on another file system may behave otherwise.
    let own = Own::new(&places)?;
    let programs = Programs { sandbox: sandbox::program(), hold: launch::program() };
    let engine = Sandbox::new(&own.data, &own.runtime, programs);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut notes = Vec::new();
    let made = runtime.block_on(try_one(&engine, &mut notes));
    let can = engine.abilities();
    let root = rustix::process::geteuid().is_root();
    let mut findings = vec![Finding::needed(
        "a sandbox starts, with a network of its own",
        made.map_err(|e| e.to_string()),
    )];
    findings.push(Finding::able("limits of memory, processors and processes hold", can.limits));
    let disk = match can.disk_limit {
        Ability::No(why) => Err(why),
        Ability::Yes => has(&["mkfs.ext4"], "e2fsprogs"),
    };
    findings.push(Finding::of("limits of disk", disk));
    findings.push(Finding::able("snapshots of a machine that runs", can.live_snapshots));
    findings.push(Finding::of("copies of states share their blocks", shares_blocks(&places.data)));
    let images = if root {
        has(&["mmdebstrap", "debootstrap"], "mmdebstrap")
    } else {
        Err("only root can make them".into())
    };
    findings.push(Finding::of("images of other systems, such as debian/12", images));
    findings.extend(vm::findings(&places));
    findings.extend(host::findings(&places));
    findings.extend(
        notes.into_iter().map(|note| Finding::of("a sandbox is all that it should be", Err(note))),
    );
    Ok(findings)
}

/// Makes a machine, runs something in it, and takes it away again.
async fn try_one(engine: &Sandbox, notes: &mut Vec<String>) -> Result<(), EngineError> {
    let wanted = Wanted {
        name: NAME.into(),
        id: format!("{:016x}{:016x}", now_ms(), std::process::id()),
        number: NUMBER,
        address: std::net::Ipv4Addr::new(10, 90, 255, 254),
        declared: stead_file::scratch(),
        network: None,
        state: NAME.into(),
        created: now_ms(),
    };
    let tried = async {
        engine.create(&wanted, &Steps::none()).await?;
        engine.start(&wanted, &Steps::none()).await?;
        notes.extend(engine.look(NAME).await?.into_iter().flat_map(|seen| seen.notes));
        let words = ["/bin/sh", "-c", "exit 0"].map(String::from).to_vec();
        let mut command = engine.exec(NAME, &Exec { command: words, ..Exec::default() }).await?;
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|e| EngineError::Failed(format!("nothing runs in it: {e}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(EngineError::Failed(format!("nothing runs in it: {said}")))
    }
    .await;
    let gone = engine.destroy(NAME, &Steps::none()).await;
    tried.and(gone)
}

/// Folders of the throwaway machine, gone when this is.
struct Own {
    data: PathBuf,
    runtime: PathBuf,
}

impl Own {
    fn new(places: &Places) -> Result<Self, Failure> {
        let name = format!("doctor-{}", std::process::id());
        let own = Own { data: places.data.join(&name), runtime: places.runtime.join(&name) };
        std::fs::create_dir_all(&own.data)?;
        std::fs::create_dir_all(&own.runtime)?;
        Ok(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for folder in [&self.data, &self.runtime] {
            // What a machine that could not be taken away still holds stays.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Whether one of these programs is there.
fn has(programs: &[&str], package: &str) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let there = folders.into_iter().any(|dir| programs.iter().any(|p| dir.join(p).is_file()));
    if there { Ok(()) } else { Err(format!("there is no {}: install {package}", programs[0])) }
}

fn shares_blocks(data: &Path) -> Result<(), String> {
    let stat = rustix::fs::statfs(data).map_err(|e| e.to_string())?;
    if SHARING.contains(&stat.f_type) {
        return Ok(());
    }
    Err("btrfs and xfs can; here what a running machine wrote is copied for each snapshot".into())
}
