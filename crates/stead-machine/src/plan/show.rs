//! A plan for people, without colour: the first character of a line says its kind.

use super::{Action, Common, Entry, Plan, System, SystemAction, limits};
use std::fmt;

const SESSION: &str = "session to start";
const SESSIONS: &str = "sessions to start";
const SYSTEM: &str = "system to switch";
const SYSTEMS: &str = "systems to switch";

impl fmt::Display for Plan {
    /// One line or more a machine that is not as declared, one a session to be started, what is said of several
    /// machines, and a line that counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let common = Common::of(self.machines.iter().map(|entry| (&*entry.name, entry.said())));
        let shown = self.machines.iter().filter(|entry| entry.is_shown(&common));
        let widest = shown.clone().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
        for entry in shown {
            for line in entry.lines(widest, &common) {
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        let names = self.sessions.iter().map(|start| start.name.chars().count());
        let widest = names.max().unwrap_or(0);
        for start in &self.sessions {
            writeln!(f, "+ session {:widest$}  start   on {}", start.name, start.machine)?;
        }
        for line in common.lines() {
            writeln!(f, "  {line}")?;
        }
        f.write_str(&self.summary())
    }
}

impl Plan {
    /// How many of each, in one line: `1 to create, 2 to change; 5 as declared`.
    pub fn summary(&self) -> String {
        let c = &self.counts;
        let part = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
        let changes: Vec<String> = [
            part(c.create, "to create"),
            part(c.change, "to change"),
            part(c.start, "to start"),
            part(c.stop, "to stop"),
            part(c.finish, "to finish"),
            part(c.destroy, "to destroy"),
            part(c.switch, if c.switch == 1 { SYSTEM } else { SYSTEMS }),
            part(self.sessions.len(), if self.sessions.len() == 1 { SESSION } else { SESSIONS }),
        ]
        .into_iter()
        .flatten()
        .collect();
        let changes = if changes.is_empty() { "nothing to do".into() } else { changes.join(", ") };
        let rest: Vec<String> = [
            part(c.nothing, "as declared"),
            part(c.blocked, "blocked"),
            part(c.unknown, "unknown"),
            part(c.wait, if c.wait == 1 { "system waits" } else { "systems wait" }),
        ]
        .into_iter()
        .flatten()
        .collect();
        if rest.is_empty() { changes } else { format!("{changes}; {}", rest.join(", ")) }
    }
}

impl Entry {
    /// The character that its lines begin with: `+ ~ > . ! - ? x` and a space for nothing.
    pub fn sign(&self) -> char {
        match self.action {
            Action::Create => '+',
            Action::Change { .. } => '~',
            Action::Start => '>',
            Action::Stop => '.',
            Action::Finish { .. } => '!',
            Action::Destroy { .. } => '-',
            Action::Blocked { .. } => 'x',
            Action::Unknown { .. } => '?',
            Action::Nothing => match self.system.as_ref().map(|system| &system.action) {
                Some(SystemAction::Switch { .. }) => '~',
                Some(SystemAction::Blocked { .. }) => 'x',
                Some(SystemAction::Nothing { .. } | SystemAction::Waits { .. }) | None => ' ',
            },
        }
    }

    /// Whether it has lines of its own.
    fn is_shown(&self, common: &Common<'_>) -> bool {
        self.action != Action::Nothing
            || self.switches()
            || self.said().iter().any(|said| !common.has(said))
    }

    /// What is said of it, a sentence each.
    fn said(&self) -> Vec<String> {
        let why = match &self.action {
            Action::Blocked { why } | Action::Unknown { why } => Some(why),
            _ => None,
        };
        let word = self.action.word();
        let drift = self.drift.iter().map(|drift| {
            format!("drift: {} was applied as {}, is {}", drift.what, drift.applied, drift.seen)
        });
        // What stands in the way is told by the action.
        let remarks =
            self.remarks.iter().filter(|remark| Some(&remark.text) != why).map(|remark| {
                let kind = if remark.refused { "refused" } else { "warning" };
                format!("{kind}: {}", remark.text)
            });
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        let system = self.system.as_ref().and_then(System::obstacle);
        why.map(|why| format!("{word}: {why}"))
            .into_iter()
            .chain(system)
            .chain(drift)
            .chain(remarks)
            .chain(notes)
            .collect()
    }

    /// Its lines, the name padded to this many columns, without what is said of others, too.
    fn lines(&self, widest: usize, common: &Common<'_>) -> Vec<String> {
        let head = format!("{} {:widest$}  ", self.sign(), self.name);
        let below = " ".repeat(widest + 4);
        let mut own = self.said();
        own.retain(|said| !common.has(said));
        let switch = self.system.as_ref().and_then(System::switch);
        let mut lines = Vec::new();
        match &self.action {
            Action::Create => {
                let what = self.becomes.as_ref().map(|b| limits(&b.declared));
                lines.push(format!("{head}create   {}", what.unwrap_or_default()));
            }
            Action::Change { keys, restart, then_run } => {
                let words = keys.iter().map(|k| {
                    let why = if restart.contains(&k.key) { "  (restart)" } else { "" };
                    format!("{} {} → {}{why}", k.key, k.before, k.after)
                });
                let then = then_run.map(|run| if run { "then start" } else { "then stop" });
                let words: Vec<String> = words.chain(then.map(String::from)).collect();
                lines.push(format!("{head}change   {}", words.first().map_or("", |w| w)));
                lines.extend(words.iter().skip(1).map(|word| format!("{below}         {word}")));
            }
            Action::Start => lines.push(format!("{head}start")),
            Action::Stop => lines.push(format!("{head}stop")),
            Action::Finish { what } => lines.push(format!("{head}finish   {what}")),
            Action::Destroy { goes } => {
                lines.push(format!("{head}destroy  {}", goes.join(", ")));
            }
            Action::Nothing => lines.push(match &switch {
                Some(switch) => format!("{head}switch   {switch}"),
                None if self.is_as_declared() => format!("{head}as declared"),
                None => format!("{head}as declared but for its system"),
            }),
            Action::Blocked { .. } | Action::Unknown { .. } => {
                let word = format!("{}: ", self.action.word());
                let why = own.first().and_then(|said| said.strip_prefix(&word)).map(str::to_owned);
                if why.is_some() {
                    own.remove(0);
                }
                lines.push(format!("{head}{}  {}", self.action.word(), why.unwrap_or_default()));
            }
        }
        let then = switch.filter(|_| self.action != Action::Nothing);
        lines.extend(then.map(|switch| format!("{below}then switch {switch}")));
        lines.extend(own.iter().map(|said| format!("{below}{said}")));
        lines
    }
}
