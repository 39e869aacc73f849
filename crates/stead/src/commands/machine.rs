//! `stead up`, `down`, `destroy`, `diff`, `clone`, `move`, and `restart` of a machine.

use super::{ask, login, print, print_json, work};
use crate::cli::{CloneMachine, Destroy, Diff, Machines, Move, Up};
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::resolve::path_part;
use crate::steward::Steward;
use hyper::Method;
use std::collections::BTreeMap;
use std::path::Path;
use stead_machine::model::{Change, ChangeKind, Phase};
use stead_steward::machines::api;

/// Where a machine is on the steward's interface.
pub fn path(machine: &str) -> String {
    format!("/v1/machines/{}", path_part(machine))
}

/// A machine that runs: started if it is stopped, made if the stead file declares it or it is a scratch machine.
///
/// # Errors
/// If there is none of this name, or it cannot be had.
pub fn ready(steward: &Steward, name: &str, json: bool) -> Result<api::Shown, Failure> {
    ready_of(steward, name, None, json)
}

/// The same, declared by this stead file, or by the nearest one.
///
/// # Errors
/// As [`ready`].
pub fn ready_of(
    steward: &Steward,
    name: &str,
    file: Option<&Path>,
    json: bool,
) -> Result<api::Shown, Failure> {
    let shown = match steward.get::<api::Shown>(&path(name)) {
        Ok(shown) => shown,
        Err(failure) if failure.code() == Some("not-found") => {
            return make(steward, name, file, failure);
        }
        Err(failure) => return Err(failure),
    };
    match &shown.phase {
        Phase::Running => Ok(shown),
        Phase::Stopped => {
            let up = format!("{}/up", path(name));
            work::quietly(steward, Method::POST, &up, None::<&()>, json)?;
            steward.get(&path(name))
        }
        Phase::Partial(why) => {
            Err(Failure::failed(format!("machine \"{name}\" is not whole: {why}"))
                .help(format!("stead up {name} finishes it, stead destroy {name} removes it")))
        }
        Phase::Unknown(why) => {
            Err(Failure::failed(format!("what machine \"{name}\" does cannot be told: {why}")))
        }
    }
}

/// Refuses a machine that does not run: whoever only looks starts nothing.
///
/// # Errors
/// That it does not, or that this cannot be told.
pub fn runs(steward: &Steward, name: &str) -> Result<(), Failure> {
    match steward.get::<api::Shown>(&path(name))?.phase {
        Phase::Running => Ok(()),
        Phase::Unknown(why) => {
            Err(Failure::failed(format!("what machine \"{name}\" does cannot be told: {why}")))
        }
        Phase::Stopped | Phase::Partial(_) => {
            Err(Failure::failed(format!("machine \"{name}\" does not run"))
                .help(format!("stead up {name} starts it")))
        }
    }
}

/// Whether a machine of this name is made from defaults where no stead file declares it.
pub fn is_scratch(name: &str) -> bool {
    name == "scratch" || name.starts_with("scratch-")
}

/// Makes a machine that is not there.
fn make(
    steward: &Steward,
    name: &str,
    file: Option<&Path>,
    missing: Failure,
) -> Result<api::Shown, Failure> {
    let file = crate::stead_file::read_if_there(file)?;
    let declared = file.and_then(|file| {
        file.declaration.machines.contains_key(name).then_some(api::Declared {
            declaration: file.declaration,
            owner: file.owner,
            only: Vec::new(),
            systems: BTreeMap::new(),
        })
    });
    if declared.is_none() && !is_scratch(name) {
        return Err(missing.help(
            "stead ls shows the machines there are; declare it in stead.toml, or use one called \"scratch\" \
             (or scratch-...), which needs no file",
        ));
    }
    let body = api::Make { name: name.to_owned(), declared };
    let done = work::quietly(steward, Method::POST, "/v1/machines", Some(&body), false)?;
    Ok(serde_json::from_value(done)?)
}

/// Where a folder of this host is inside a machine that shares it.
pub fn inside(machine: &api::Shown, here: &Path) -> Option<std::path::PathBuf> {
    let shares = &machine.declared.as_ref()?.shares;
    let share = shares
        .iter()
        .filter(|share| here.starts_with(&share.host))
        .max_by_key(|share| share.host.as_os_str().len())?;
    let rest = here.strip_prefix(&share.host).ok()?;
    Some(if rest.as_os_str().is_empty() { share.inside.clone() } else { share.inside.join(rest) })
}

/// Whether there is a machine of this name.
pub fn is(steward: &Steward, name: &str) -> bool {
    steward.get::<api::Shown>(&path(name)).is_ok()
}

pub fn up(args: &Up) -> Outcome {
    if args.share_agent_auth {
        login::warn(&args.machines);
    }
    let worst = each(&args.machines, args.json.json, "up")?;
    if args.share_agent_auth {
        return Ok(worst.max(login::share(&Steward::of_user()?, &args.machines, args.json.json)?));
    }
    Ok(worst)
}

pub fn down(args: &Machines) -> Outcome {
    each(&args.machines, args.json.json, "down")
}

pub fn restart(machine: &str, json: bool) -> Outcome {
    each(&[machine.to_owned()], json, "restart")
}

/// Does the same to each; one that fails does not keep the rest from it.
fn each(machines: &[String], json: bool, what: &str) -> Outcome {
    let steward = Steward::of_user()?;
    let mut worst = 0;
    for machine in machines {
        let path = format!("{}/{what}", path(machine));
        if let Err(failure) = work::follow(&steward, Method::POST, &path, None::<&()>, json) {
            if machines.len() == 1 {
                return Err(failure);
            }
            crate::failure::report(&failure);
            worst = worst.max(failure.status);
        }
    }
    Ok(worst)
}

pub fn destroy(args: &Destroy) -> Outcome {
    let steward = Steward::of_user()?;
    let mut goes = Vec::new();
    for machine in &args.machines {
        let lost: Vec<String> = steward.get(&format!("{}/goes", path(machine)))?;
        goes.extend(lost.into_iter().map(|what| format!("{machine}: {}", present::clean(&what))));
    }
    // With --yes standard output is for the events, where a program reads them.
    let goes = if args.yes && args.json.json { &[] } else { goes.as_slice() };
    let question = format!("destroy {}?", args.machines.join(", "));
    ask::whether(args.yes, goes, &question)?;
    let mut worst = 0;
    for machine in &args.machines {
        let path = path(machine);
        if let Err(failure) =
            work::follow(&steward, Method::DELETE, &path, None::<&()>, args.json.json)
        {
            crate::failure::report(&failure);
            worst = worst.max(failure.status);
        }
    }
    Ok(worst)
}

pub fn diff(args: &Diff) -> Outcome {
    let steward = Steward::of_user()?;
    let changes: Vec<Change> = steward.get(&format!("{}/diff", path(&args.machine)))?;
    if args.json.json {
        print_json(&changes)?;
        return Ok(0);
    }
    let mut out = String::new();
    for change in &changes {
        let (sign, color) = match change.kind {
            ChangeKind::Added => ("A", "32"),
            ChangeKind::Changed => ("C", "33"),
            ChangeKind::Deleted => ("D", "31"),
        };
        let line = format!("{sign} {}", present::clean(&change.path.to_string_lossy()));
        out.push_str(&present::paint(&line, color, present::color()));
        out.push('\n');
    }
    print(out.as_bytes())?;
    Ok(0)
}

pub fn clone(args: &CloneMachine) -> Outcome {
    let steward = Steward::of_user()?;
    let body = api::CloneInto { to: args.to.clone(), snapshot: args.snapshot.clone() };
    let path = format!("{}/clone", path(&args.from));
    work::follow(&steward, Method::POST, &path, Some(&body), args.json.json)?;
    Ok(0)
}

pub fn move_state(args: &Move) -> Outcome {
    if args.from == args.to {
        return Err(Failure::misused("a state cannot be moved to where it is"));
    }
    let steward = Steward::of_user()?;
    let goes = [
        format!("{} is left with an empty state", args.from),
        format!("the state of {} is kept as a snapshot and replaced", args.to),
    ];
    // With --yes nobody is asked, and the command says it all.
    let goes = if args.yes { &[] } else { goes.as_slice() };
    ask::whether(args.yes, goes, &format!("move the state of {} to {}?", args.from, args.to))?;
    let body = api::MoveTo { to: args.to.clone() };
    let path = format!("{}/move", path(&args.from));
    work::follow(&steward, Method::POST, &path, Some(&body), args.json.json)?;
    Ok(0)
}
