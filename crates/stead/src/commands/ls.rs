//! `stead ls`.

use super::{print, print_json};
use crate::cli::Ls;
use crate::failure::Outcome;
use crate::present;
use crate::steward::Steward;
use std::fmt::Write as _;
use stead_hold::clock::now_ms;
use stead_wire::session::Session;

pub fn run(args: &Ls) -> Outcome {
    let steward = Steward::of_user()?;
    let mut sessions: Vec<Session> = steward.get("/v1/sessions")?;
    if let Some(machine) = &args.machine {
        sessions.retain(|session| &session.machine == machine);
    }
    if args.json.json {
        print_json(&sessions)?;
    } else if sessions.is_empty() {
        print(b"no sessions; stead run starts one\n")?;
    } else {
        print(table(&sessions, now_ms(), present::width(), present::color()).as_bytes())?;
    }
    Ok(0)
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
