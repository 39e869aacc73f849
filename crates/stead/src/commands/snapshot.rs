//! `stead snapshot`.

use super::machine::path;
use super::{ask, print, print_json, work};
use crate::cli::Snapshot as Command;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::resolve::path_part;
use crate::steward::Steward;
use hyper::Method;
use std::fmt::Write as _;
use stead_hold::clock::now_ms;
use stead_machine::model::{Consistency, Snapshot};
use stead_steward::machines::api;

pub fn run(command: &Command) -> Outcome {
    let steward = Steward::of_user()?;
    match command {
        Command::Create { machine, name, note, memory, json } => {
            let body = api::Keep { name: name.clone(), note: note.clone(), memory: *memory };
            let path = format!("{}/snapshots", path(machine));
            let done = work::follow(&steward, Method::POST, &path, Some(&body), json.json)?;
            let made: Snapshot = serde_json::from_value(done)?;
            work::say(json.json, &format!("{}  ({})", made.name, worth(&made)))?;
        }
        Command::Ls { machine, json } => {
            let all: Vec<Snapshot> = steward.get(&format!("{}/snapshots", path(machine)))?;
            if json.json {
                print_json(&all)?;
            } else if all.is_empty() {
                print(format!("no snapshots; stead snapshot create {machine}\n").as_bytes())?;
            } else {
                print(table(&all, now_ms()).as_bytes())?;
            }
        }
        Command::Restore { machine, name, json } => {
            let path = format!("{}/snapshots/{}/restore", path(machine), path_part(name));
            work::follow(&steward, Method::POST, &path, None::<&()>, json.json)?;
        }
        Command::Rm { machine, names, yes, json } => {
            let there: Vec<Snapshot> = steward.get(&format!("{}/snapshots", path(machine)))?;
            // Before anybody is asked, and before the first one goes.
            if let Some(missing) = names.iter().find(|n| there.iter().all(|s| s.name != **n)) {
                return Err(none(machine, missing, &there));
            }
            let question = format!("remove {} of {machine}?", names.join(", "));
            ask::whether(*yes, &[], &question)?;
            for name in names {
                let path = format!("{}/snapshots/{}", path(machine), path_part(name));
                work::follow(&steward, Method::DELETE, &path, None::<&()>, json.json)?;
            }
        }
    }
    Ok(0)
}

fn none(machine: &str, name: &str, there: &[Snapshot]) -> Failure {
    let name = present::clean(name);
    let help = match there {
        [] => format!("it has none; stead snapshot create {machine} makes one"),
        there => {
            let names: Vec<&str> = there.iter().map(|s| s.name.as_str()).collect();
            format!("it has {}", present::cut(&names.join(", "), 200))
        }
    };
    Failure::failed(format!("\"{machine}\" has no snapshot \"{name}\"")).help(help)
}

fn worth(snapshot: &Snapshot) -> &'static str {
    match snapshot.consistency {
        Consistency::Crash => "crash-consistent",
        Consistency::Quiesced => "quiesced",
        Consistency::Memory => "with memory",
    }
}

fn table(all: &[Snapshot], now: u64) -> String {
    let name = all.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).clamp(4, 40);
    let mut out = String::new();
    let head = format!("{:name$}  {:>4}  {:16}  {:20}  NOTE", "NAME", "AGE", "WORTH", "HOW");
    let _ = writeln!(out, "{}", present::paint(&head, "2", present::color()));
    for snapshot in all {
        let note = match (snapshot.automatic, snapshot.note.as_str()) {
            (true, "") => "made by stead",
            (_, note) => note,
        };
        let _ = writeln!(
            out,
            "{:name$}  {:>4}  {:16}  {:20}  {}",
            present::cut(&snapshot.name, name),
            present::age(snapshot.at, now),
            worth(snapshot),
            present::cut(&snapshot.how, 20),
            present::clean(note),
        );
    }
    out
}
