//! `stead init`, `schema`, `plan`, `apply`.

use super::{ask, consent, login, print, print_json, system, work};
use crate::cli::{Apply, Init, Plan as Arguments};
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::stead_file::{self, SteadFile};
use crate::steward::Steward;
use hyper::Method;
use serde_json::Value;
use std::io::Write;
use stead_machine::Plan;
use stead_machine::model::Phase;
use stead_machine::plan::{Action, Entry, System, SystemAction};
use stead_steward::machines::{Line, api};

pub fn init(args: &Init) -> Outcome {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => std::env::current_dir()?,
    };
    let path = folder.join(::stead_file::FILE_NAME);
    let name = std::path::absolute(&folder)?
        .file_name()
        .map_or_else(|| "home".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(
        |e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::failed(format!("{} is there already", path.display()))
                    .help("stead plan shows what it would change")
            }
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Failure::failed(format!("there is no folder {}", folder.display()))
                    .help("name one that is there; mkdir makes one")
            }
            _ => Failure::failed(format!("cannot write {}: {e}", path.display()))
                .help("name a folder that you may write to"),
        },
    )?;
    file.write_all(::stead_file::init(&name).as_bytes())?;
    print(format!("{}\n", path.display()).as_bytes())?;
    Ok(0)
}

pub fn schema() -> Outcome {
    let mut text = serde_json::to_vec_pretty(&::stead_file::schema())?;
    text.push(b'\n');
    print(&text)?;
    Ok(0)
}

pub fn plan(args: &Arguments) -> Outcome {
    let plan = look(args.file.file.as_deref(), &args.machines)?.plan;
    if args.json.json {
        print_json(&plan)?;
    } else {
        print(shown(&plan).as_bytes())?;
    }
    Ok(status(&plan))
}

pub fn apply(args: &Apply) -> Outcome {
    let Looked { file, mut body, mut plan } = look(args.file.file.as_deref(), &args.machines)?;
    if !args.json.json {
        print(shown(&plan).as_bytes())?;
    }
    let sensitive = consent::sensitive(&plan);
    if !sensitive.is_empty() {
        consent::ask_for(&sensitive, &mut body.declaration)?;
        plan = Steward::of_user()?.post("/v1/plan", &body)?;
        if !args.json.json {
            print(shown(&plan).as_bytes())?;
        }
    }
    let machines: Vec<String> = plan.machines.iter().map(|entry| entry.name.clone()).collect();
    if args.share_agent_auth {
        login::warn(&machines);
    } else {
        consent::tell_of_logins(&plan);
    }
    if !plan.has_changes() && !args.share_agent_auth {
        return Ok(status(&plan));
    }
    if plan.machines.iter().any(|entry| matches!(entry.action, Action::Destroy { .. })) {
        ask::whether(args.yes, &[], "destroy what is marked with -?")?;
    }
    let steward = Steward::of_user()?;
    carry_out(&steward, args, &file, body, plan)?;
    if args.share_agent_auth {
        let machines = running(&steward, machines)?;
        return login::share(&steward, &machines, args.json.json);
    }
    Ok(0)
}

/// Does what a plan shows: machines, then the systems of those that are as declared, then the sessions on them.
fn carry_out(
    steward: &Steward,
    args: &Apply,
    file: &SteadFile,
    declared: api::Declared,
    plan: Plan,
) -> Result<(), Failure> {
    let json = args.json.json;
    let mut failed: Vec<String> = plan.machines.iter().filter_map(blocked).collect();
    let switches = plan.machines.iter().filter(|entry| entry.switches());
    let switches: Vec<String> = switches.map(|entry| entry.name.clone()).collect();
    let sessions = plan.sessions.clone();
    let parallel = args.parallel;
    let mut ask = api::Apply { declared, plan, parallel, later: switches.clone() };
    if let Err(failure) = work::part(steward, Method::POST, "/v1/apply", Some(&ask), json) {
        // What has no code is that the steward is gone: nobody knows how far it came.
        if failure.code().is_none() || switches.is_empty() && failed.is_empty() {
            return Err(failure);
        }
        failed.push(failure.to_string());
    }
    if !switches.is_empty() {
        let brought = bring_systems(steward, args, file, &ask.declared, &switches, &mut failed)?;
        ask.plan.machines.clear();
        ask.plan.sessions = sessions;
        ask.plan.sessions.retain(|start| brought.contains(&start.machine));
        ask.later.clear();
        if !ask.plan.sessions.is_empty()
            && let Err(failure) = work::part(steward, Method::POST, "/v1/apply", Some(&ask), json)
        {
            failed.push(failure.to_string());
        }
    }
    if !failed.is_empty() {
        return Err(Failure::failed(failed.join("; ")).help("stead plan shows what is left to do"));
    }
    if json { print_json(&Line::Done { done: Value::Null }) } else { Ok(()) }
}

/// Brings the systems of those of these machines that are as declared otherwise. Gives the machines whose systems are
/// there now.
fn bring_systems(
    steward: &Steward,
    args: &Apply,
    file: &SteadFile,
    declared: &api::Declared,
    switches: &[String],
    failed: &mut Vec<String>,
) -> Result<Vec<String>, Failure> {
    let now: Plan = steward.post("/v1/plan", declared)?;
    let mut ready = Vec::new();
    let mut brought = Vec::new();
    for entry in now.machines {
        if entry.action != Action::Nothing || !switches.contains(&entry.name) {
            continue;
        }
        if entry.switches() {
            ready.push(entry.name);
        } else if entry.is_as_declared() {
            brought.push(entry.name);
        }
    }
    let left = system::bring_all(file, &ready, args.parallel, args.json.json)?;
    ready.retain(|name| left.iter().all(|(machine, _)| machine != name));
    brought.append(&mut ready);
    failed.extend(left.into_iter().map(|(_, why)| why));
    Ok(brought)
}

/// Why a machine's system cannot be brought, if so.
fn blocked(entry: &Entry) -> Option<String> {
    match &entry.system {
        Some(System { action: SystemAction::Blocked { why }, name }) => {
            Some(format!("{}: system {name}: {why}", entry.name))
        }
        _ => None,
    }
}

/// Those of these machines that run, without this host.
fn running(steward: &Steward, mut machines: Vec<String>) -> Result<Vec<String>, Failure> {
    let all: Vec<api::Shown> = steward.get("/v1/machines")?;
    machines.retain(|name| {
        all.iter().any(|it| it.name == *name && it.engine != "host" && it.phase == Phase::Running)
    });
    Ok(machines)
}

fn status(plan: &Plan) -> u8 {
    u8::try_from(plan.exit_status()).unwrap_or(1)
}

/// A stead file, and what would change.
struct Looked {
    file: SteadFile,
    body: api::Declared,
    plan: Plan,
}

/// Reads the file and asks the steward what would change.
fn look(file: Option<&std::path::Path>, only: &[String]) -> Result<Looked, Failure> {
    let file = stead_file::read(file)?;
    for name in only {
        if !file.declaration.machines.contains_key(name) {
            let declared: Vec<&str> =
                file.declaration.machines.keys().map(String::as_str).collect();
            return Err(Failure::misused(format!("{} declares no machine \"{name}\"", file.owner))
                .help(format!("it declares: {}", declared.join(", "))));
        }
    }
    let body = api::Declared {
        declaration: file.declaration.clone(),
        owner: file.owner.clone(),
        only: only.to_vec(),
        systems: system::of_machines(&file, only),
    };
    let plan: Plan = Steward::of_user()?.post("/v1/plan", &body)?;
    Ok(Looked { file, body, plan })
}

/// The plan with colours: what comes is green, what goes red, what changes yellow.
fn shown(plan: &Plan) -> String {
    let color = present::color();
    let mut out = String::new();
    for line in plan.to_string().lines() {
        let sgr = match line.as_bytes().first() {
            Some(b'+') => "32",
            Some(b'-') => "31",
            Some(b'~') => "33",
            Some(b'?') => "35",
            Some(b'!') => "1;31",
            _ => "",
        };
        let line = present::clean(line);
        out.push_str(&if sgr.is_empty() { line } else { present::paint(&line, sgr, color) });
        out.push('\n');
    }
    out
}
