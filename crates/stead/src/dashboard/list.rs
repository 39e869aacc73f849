//! Which sessions are shown, in which order, and how their states read.

use std::collections::BTreeMap;
use stead_machine::model::Phase;
use stead_steward::machines::api::Shown;
use stead_wire::session::{EndedBy, Session};
use stead_wire::status::State;

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Row<'a> {
    /// A machine, above its sessions.
    Machine {
        /// Its name.
        name: &'a str,
        /// What is known of it; `None`: there is none of this name any more, or not yet.
        machine: Option<&'a Shown>,
        /// How many of its sessions are shown.
        sessions: usize,
        /// How many of those wait for a person.
        waiting: usize,
    },
    /// A session.
    Session(&'a Session),
}

/// What can be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// A machine by name.
    Machine(String),
    /// A session by id.
    Session(String),
}

impl Row<'_> {
    /// What is selected with this line. Of this host's line nothing is: it cannot be started or stopped.
    pub fn pick(&self) -> Option<Pick> {
        match self {
            Row::Machine { name: "host", .. } | Row::Machine { machine: None, .. } => None,
            Row::Machine { name, .. } => Some(Pick::Machine((*name).to_owned())),
            Row::Session(session) => Some(Pick::Session(session.id.clone())),
        }
    }
}

/// Whether the session's process has ended.
pub fn ended(session: &Session) -> bool {
    session.exit.is_some() || session.status.state == State::Exited
}

/// Whether it waits for a person.
pub fn waits(session: &Session) -> bool {
    !ended(session) && session.status.state == State::Waiting
}

/// The sessions that the filter lets through, machine by machine, this host first. Within one: those that wait,
/// the longest first; then the living as they were made, so that lines stay where they are while
/// agents take turns; then the ended, the last one first.
pub fn shown<'a>(sessions: &'a [Session], filter: &str) -> Vec<&'a Session> {
    let words = words(filter);
    let mut shown: Vec<&Session> = sessions.iter().filter(|s| matches(s, &words)).collect();
    shown.sort_by_key(|s| {
        let (rank, at) = match () {
            () if waits(s) => (0, s.status.since),
            () if !ended(s) => (1, s.created),
            () => (2, u64::MAX - since(s)),
        };
        (s.machine != "host", s.machine.as_str(), rank, at, s.name.as_str())
    });
    shown
}

/// The same with the machines' own lines between them, and with machines that have no sessions. This host has a line
/// only above sessions.
pub fn rows<'a>(shown: &[&'a Session], machines: &'a [Shown], filter: &str) -> Vec<Row<'a>> {
    type Group<'a> = (Option<&'a Shown>, Vec<&'a Session>);
    let words = words(filter);
    let key = |name: &'a str| (name != "host", name);
    let mut groups: BTreeMap<(bool, &str), Group<'_>> = BTreeMap::new();
    for session in shown {
        groups.entry(key(&session.machine)).or_default().1.push(session);
    }
    for machine in machines {
        let alone = machine.name != "host" && is_called(machine, &words);
        if alone || groups.contains_key(&key(&machine.name)) {
            groups.entry(key(&machine.name)).or_default().0 = Some(machine);
        }
    }
    let mut rows = Vec::with_capacity(shown.len() + groups.len());
    for ((_, name), (machine, sessions)) in groups {
        let waiting = sessions.iter().filter(|s| waits(s)).count();
        rows.push(Row::Machine { name, machine, sessions: sessions.len(), waiting });
        rows.extend(sessions.into_iter().map(Row::Session));
    }
    rows
}

/// What a machine does, in one word.
pub fn phase(machine: &Shown) -> &'static str {
    match machine.phase {
        Phase::Running => "running",
        Phase::Stopped => "stopped",
        Phase::Partial(_) => "partial",
        Phase::Unknown(_) => "unknown",
    }
}

/// What a person should know of a machine, in one line; empty if that is nothing.
pub fn remark(machine: &Shown) -> String {
    let why = match &machine.phase {
        Phase::Partial(why) | Phase::Unknown(why) => Some(why),
        Phase::Running | Phase::Stopped => None,
    };
    why.into_iter().chain(&machine.notes).map(String::as_str).collect::<Vec<_>>().join("; ")
}

fn words(filter: &str) -> Vec<String> {
    filter.split_whitespace().map(str::to_lowercase).collect()
}

/// Every word is in the machine's name, engine or state.
fn is_called(machine: &Shown, words: &[String]) -> bool {
    let texts = [machine.name.to_lowercase(), machine.engine.to_lowercase(), phase(machine).into()];
    words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
}

/// Every word is in the name, the agent, the command, the state or the machine.
fn matches(session: &Session, words: &[String]) -> bool {
    let any = |word: &String| {
        let texts = [&session.name, &session.machine].into_iter().chain(&session.agent);
        let mut texts = texts.chain(&session.command).map(|t| t.to_lowercase());
        texts.any(|text| text.contains(word)) || state(session).contains(word.as_str())
    };
    words.iter().all(any)
}

/// The state in at most eight characters.
pub fn state(session: &Session) -> String {
    match &session.exit {
        Some(exit) if exit.failed.is_some() => "failed".into(),
        Some(exit) => match (exit.code, exit.signal, exit.by) {
            (_, _, EndedBy::Person) => "killed".into(),
            (Some(code), ..) => format!("exit {code}"),
            (None, Some(signal), _) => format!("sig {signal}"),
            (None, None, _) => "lost".into(),
        },
        None => session.status.state.word().into(),
    }
}

/// One character that says the same without a colour.
pub fn symbol(session: &Session) -> char {
    match session.status.state {
        _ if ended(session) => {
            if fine(session) {
                '.'
            } else {
                'x'
            }
        }
        State::Running => '*',
        State::Waiting => '!',
        State::Idle => '-',
        State::Exited | State::Unknown => '?',
    }
}

/// Whether an ended session ended well, or as somebody wanted.
pub fn fine(session: &Session) -> bool {
    session.exit.as_ref().is_none_or(|exit| {
        exit.failed.is_none() && (exit.code == Some(0) || exit.by == EndedBy::Person)
    })
}

/// The agent, or else the program.
pub fn who(session: &Session) -> &str {
    let program = || session.command.first().map_or("", |c| c.rsplit('/').next().unwrap_or(c));
    session.agent.as_deref().unwrap_or_else(program)
}

/// What there is to say beside the state: a warning first, then what the status rests on where that needs a
/// person, then what the program calls itself.
pub fn detail(session: &Session) -> String {
    if let Some(warning) = &session.warning {
        return format!("warning: {warning}");
    }
    match &session.exit {
        Some(exit) if exit.failed.is_some() => return exit.to_string(),
        // How it ended is said beside it; what it was is not.
        Some(_) => return crate::present::command(&session.command),
        None => {}
    }
    let detail = session.status.detail.trim();
    let title = session.title.trim();
    match session.status.state {
        State::Running | State::Idle if !ended(session) && !title.is_empty() => title.into(),
        _ if detail.is_empty() => title.into(),
        _ => detail.into(),
    }
}

/// Since when it is in its state; milliseconds since the Unix epoch.
pub fn since(session: &Session) -> u64 {
    session.exit.as_ref().map_or(session.status.since, |exit| exit.at)
}

/// Milliseconds until the shown age of something that began at `then` is another one.
pub fn until_next_age(then: u64, now: u64) -> u64 {
    let passed = now.saturating_sub(then);
    let step = match passed / 1000 {
        0..60 => 1_000,
        60..3600 => 60_000,
        3600..86_400 => 3_600_000,
        _ => 86_400_000,
    };
    // A time that is still to come shows as zero until it has passed for a second.
    then.saturating_sub(now) + step - passed % step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_age_comes_when_it_shows() {
        for (passed, until) in [
            (0, 1000),
            (999, 1),
            (59_500, 500),
            (60_000, 60_000),
            (3_599_999, 1),
            (90_000_000, 82_800_000),
        ] {
            let now = 1_000_000_000;
            assert_eq!(until_next_age(now - passed, now), until, "{passed}");
            let shown = crate::present::age(now - passed, now);
            assert_ne!(crate::present::age(now - passed, now + until), shown);
            assert_eq!(crate::present::age(now - passed, now + until - 1), shown);
        }
        assert_eq!(until_next_age(5000, 2000), 4000);
    }
}
