//! `stead init`, `schema`, `plan`, `apply`.

use super::{ask, consent, login, print, print_json, work};
use crate::cli::{Apply, Init, Plan as Arguments};
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::stead_file;
use crate::steward::Steward;
use hyper::Method;
use std::io::Write;
use stead_machine::Plan;
use stead_machine::model::Phase;
use stead_machine::plan::Action;
use stead_steward::machines::api;

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
    let plan = look(args.file.file.as_deref(), &args.machines)?.1;
    if args.json.json {
        print_json(&plan)?;
    } else {
        print(shown(&plan).as_bytes())?;
    }
    Ok(status(&plan))
}

pub fn apply(args: &Apply) -> Outcome {
    let (mut body, mut plan) = look(args.file.file.as_deref(), &args.machines)?;
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
    let body = api::Apply { declared: body, plan, parallel: args.parallel };
    work::follow(&steward, Method::POST, "/v1/apply", Some(&body), args.json.json)?;
    if args.share_agent_auth {
        let all: Vec<api::Shown> = steward.get("/v1/machines")?;
        let runs = |name: &String| {
            all.iter()
                .any(|it| it.name == *name && it.engine != "host" && it.phase == Phase::Running)
        };
        let machines: Vec<String> = machines.into_iter().filter(runs).collect();
        return login::share(&steward, &machines, args.json.json);
    }
    Ok(0)
}

fn status(plan: &Plan) -> u8 {
    u8::try_from(plan.exit_status()).unwrap_or(1)
}

/// Reads the file and asks the steward what would change.
fn look(file: Option<&std::path::Path>, only: &[String]) -> Result<(api::Declared, Plan), Failure> {
    let file = stead_file::read(file)?;
    for name in only {
        if !file.declaration.machines.contains_key(name) {
            let declared: Vec<&str> =
                file.declaration.machines.keys().map(String::as_str).collect();
            return Err(Failure::misused(format!("{} declares no machine \"{name}\"", file.owner))
                .help(format!("it declares: {}", declared.join(", "))));
        }
    }
    let body =
        api::Declared { declaration: file.declaration, owner: file.owner, only: only.to_vec() };
    let steward = Steward::of_user()?;
    let plan: Plan = steward.post("/v1/plan", &body)?;
    Ok((body, plan))
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
