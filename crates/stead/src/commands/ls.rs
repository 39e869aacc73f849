//! `stead ls`.

use super::{print, print_json};
use crate::cli::Ls;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::steward::Steward;
use std::fmt::Write as _;
use stead_hold::clock::now_ms;
use stead_machine::model::Phase;
use stead_machine::plan::Common;
use stead_steward::machines::api::Shown;
use stead_wire::session::Session;

pub fn run(args: &Ls) -> Outcome {
    let steward = Steward::of_user()?;
    if args.machines {
        let machines = machines_of(&steward, args.machine.as_deref())?;
        if args.json.json {
            print_json(&machines)?;
        } else {
            print(machine_table(&machines, now_ms(), present::color()).as_bytes())?;
        }
        return Ok(0);
    }
    let mut sessions: Vec<Session> = steward.get("/v1/sessions")?;
    if let Some(machine) = &args.machine {
        sessions.retain(|session| &session.machine == machine);
    }
    if args.json.json {
        print_json(&sessions)?;
        return Ok(0);
    }
    let machines = machines_of(&steward, args.machine.as_deref())?;
    let color = present::color();
    let mut out = String::new();
    // Who has no machines need not hear of them.
    if machines.iter().any(|machine| machine.name != "host") {
        out.push_str(&machine_table(&machines, now_ms(), color));
        out.push('\n');
    }
    if sessions.is_empty() {
        out.push_str("no sessions; stead run starts one\n");
    } else {
        out.push_str(&table(&sessions, now_ms(), present::width(), color));
    }
    print(out.as_bytes())?;
    Ok(0)
}

fn machines_of(steward: &Steward, only: Option<&str>) -> Result<Vec<Shown>, Failure> {
    let mut machines: Vec<Shown> = steward.get("/v1/machines")?;
    if let Some(name) = only {
        machines.retain(|machine| machine.name == name);
    }
    Ok(machines)
}

/// A line a machine, in columns, and below it what a person should know of it; at the end what is said of several.
fn machine_table(machines: &[Shown], now: u64, color: bool) -> String {
    let longest = |of: &dyn Fn(&Shown) -> usize, least: usize| {
        machines.iter().map(of).max().unwrap_or(0).max(least)
    };
    let name = longest(&|m| m.name.len(), 7).min(32);
    let engine = longest(&|m| m.engine.len(), 6).min(16);
    let common = Common::of(machines.iter().map(|m| (&*m.name, said(m))));
    let mut out = String::new();
    let head = format!(
        "{:name$}  {:engine$}  {:7}  {:>4}  {:15}  IMAGE",
        "MACHINE", "ENGINE", "STATE", "AGE", "ADDRESS"
    );
    let _ = writeln!(out, "{}", present::paint(&head, "2", color));
    for machine in machines {
        let (word, sgr) = match &machine.phase {
            Phase::Running => ("running", "32"),
            Phase::Stopped => ("stopped", "2"),
            Phase::Partial(_) => ("partial", "31"),
            Phase::Unknown(_) => ("unknown", "35"),
        };
        let age = machine.since.map(|since| present::age(since, now)).unwrap_or_default();
        let address = machine.address.map(|address| address.to_string()).unwrap_or_default();
        let image = machine.declared.as_ref().map_or("", |declared| declared.image.as_str());
        let line = format!(
            "{:name$}  {:engine$}  {}  {age:>4}  {address:15}  {}",
            present::cut(&machine.name, name),
            present::cut(&machine.engine, engine),
            present::paint(&format!("{word:7}"), sgr, color),
            present::clean(image),
        );
        let _ = writeln!(out, "{}", line.trim_end());
        for own in said(machine).iter().filter(|said| !common.has(said)) {
            let _ = writeln!(out, "  {}", present::clean(own));
        }
    }
    for line in common.lines() {
        let _ = writeln!(out, "{}", present::clean(&line));
    }
    out
}

/// What a person should know of a machine: why its state is not a plain one, and what its engine notes.
fn said(machine: &Shown) -> Vec<String> {
    let why = match &machine.phase {
        Phase::Running | Phase::Stopped => None,
        Phase::Partial(why) | Phase::Unknown(why) => Some(why),
    };
    why.into_iter().chain(&machine.notes).cloned().collect()
}

/// A line a session, in columns.
fn table(sessions: &[Session], now: u64, width: usize, color: bool) -> String {
    let longest = |of: &dyn Fn(&Session) -> usize, least: usize| {
        sessions.iter().map(of).max().unwrap_or(0).max(least)
    };
    let name = longest(&|s| s.name.len(), 4).min(32);
    let machine = longest(&|s| s.machine.len(), 7).min(16);
    let state = longest(&|s| present::state(s).chars().count(), 7).min(24);
    let rest = width.saturating_sub(name + machine + state + 5 + 8).max(12);
    let mut out = String::new();
    let head = format!(
        "{:name$}  {:machine$}  {:state$}  {:>4}  COMMAND",
        "NAME", "MACHINE", "STATE", "AGE"
    );
    let _ = writeln!(out, "{}", present::paint(&head, "2", color));
    for session in sessions {
        let word = present::cut(&present::state(session), state);
        let padding = " ".repeat(state - word.chars().count());
        let what = match &session.agent {
            Some(agent) if session.title.is_empty() => agent.clone(),
            Some(agent) => format!("{agent}: {}", session.title),
            None => present::command(&session.command),
        };
        let _ = writeln!(
            out,
            "{:name$}  {:machine$}  {}{padding}  {:>4}  {}",
            present::cut(&session.name, name),
            present::cut(&session.machine, machine),
            present::paint(&word, present::state_color(session), color),
            present::age(session.status.since, now),
            present::cut(&what, rest),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_for_several_machines_is_one_line() {
        let machine = |name: &str, notes: &[&str]| Shown {
            name: name.into(),
            id: String::new(),
            engine: "sandbox".into(),
            phase: Phase::Running,
            since: None,
            address: None,
            owner: None,
            declared: None,
            created: 0,
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let mut machines = vec![machine("host", &[]), machine("a", &["no limits", "old"])];
        machines
            .push(Shown { phase: Phase::Partial("half".into()), ..machine("b", &["no limits"]) });
        let table = machine_table(&machines, 0, false);
        let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "MACHINE  ENGINE   STATE     AGE  ADDRESS          IMAGE",
                "host     sandbox  running",
                "a        sandbox  running",
                "  old",
                "b        sandbox  partial",
                "  half",
                "a, b: no limits",
            ]
        );
        machines.extend(["c", "d", "e"].map(|name| machine(name, &["no limits"])));
        assert!(machine_table(&machines, 0, false).ends_with("\n5 machines: no limits\n"));
    }
}
