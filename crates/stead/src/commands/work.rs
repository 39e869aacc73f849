//! Following work on machines: bars on a terminal, lines elsewhere.

use super::{print, print_json};
use crate::failure::Failure;
use crate::present;
use crate::steward::Steward;
use hyper::Method;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal;
use std::time::Duration;
use stead_machine::operation::{Event, EventKind, OperationStatus};
use stead_machine::plan::Common;
use stead_steward::machines::Line;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Asks for work, shows how far it is on standard error, and returns its result once it is done. With `json` the
/// events are printed to standard output instead, a line each.
///
/// # Errors
/// Why it was not done.
pub fn follow(
    steward: &Steward,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
    json: bool,
) -> Result<Value, Failure> {
    let mut show = Show::new(json);
    let done = watch(steward, method, path, body, &mut show)?;
    if json {
        print_json(&Line::Done { done: done.clone() })?;
    }
    Ok(done)
}

/// As [`follow`], for work that a person did not ask for by name: its result is not printed.
///
/// # Errors
/// Why it was not done.
pub fn quietly(
    steward: &Steward,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
    json: bool,
) -> Result<Value, Failure> {
    watch(steward, method, path, body, &mut Show { only_bars: true, ..Show::new(json) })
}

/// As [`follow`], for work that is a part of something larger: its result is not printed.
///
/// # Errors
/// Why it was not done.
pub fn part(
    steward: &Steward,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
    json: bool,
) -> Result<Value, Failure> {
    watch(steward, method, path, body, &mut Show::new(json))
}

fn watch(
    steward: &Steward,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
    show: &mut Show,
) -> Result<Value, Failure> {
    let mut outcome = Err(Failure::failed("the steward went away before the work was done")
        .help("ask for the same again: what was begun is finished or undone"));
    for line in steward.lines_of(method, path, body)? {
        match serde_json::from_slice::<Line>(&line) {
            Ok(Line::Event(event)) => show.event(&event)?,
            Ok(Line::Done { done }) => outcome = Ok(done),
            Ok(Line::Problem { problem }) => outcome = Err(problem.into()),
            // An event of a later version.
            Err(_) => {}
        }
    }
    show.clear();
    show.tell_failures(outcome.as_ref().err());
    outcome
}

/// What a person sees meanwhile.
pub struct Show {
    bars: Option<MultiProgress>,
    of: HashMap<String, ProgressBar>,
    json: bool,
    /// Nothing is printed where there are no bars.
    only_bars: bool,
    /// Operations that failed: machine and why. What they come to is known at the end of the work.
    failed: Vec<(String, String)>,
    notes: Notes,
}

/// What was noted of machines. What was told of one is not told again of each, but once of all in the end.
#[derive(Default)]
struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    /// Remembers a note. Whether no other machine had the same.
    fn is_first(&mut self, machine: &str, text: &str) -> bool {
        let known =
            self.0.iter().any(|(of, notes)| of != machine && notes.iter().any(|n| n == text));
        self.0.entry(machine.into()).or_default().push(text.into());
        !known
    }

    /// A line for each note that several machines had.
    fn alike(&self) -> Vec<String> {
        let said = self.0.iter().map(|(machine, notes)| (machine.as_str(), notes.clone()));
        Common::of(said).lines().collect()
    }
}

impl Show {
    /// Nothing yet. With `json` there are no bars.
    pub fn new(json: bool) -> Self {
        let bars = (!json && std::io::stderr().is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Show {
            bars,
            of: HashMap::new(),
            json,
            only_bars: false,
            failed: Vec::new(),
            notes: Notes::default(),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if self.json {
            return if self.only_bars { Ok(()) } else { print_json(event) };
        }
        let machine = present::clean(&event.machine);
        match &event.what {
            EventKind::Begun { kind } => self.step(&event.operation, &machine, kind.word()),
            EventKind::Step { what } => {
                self.step(&event.operation, &machine, &present::clean(what));
            }
            EventKind::Note { text } => self.note(&machine, &present::clean(text)),
            EventKind::Progress { done, total } => {
                if let Some(bar) = self.of.get(&event.operation) {
                    bar.set_length(*total);
                    bar.set_position(*done);
                }
            }
            EventKind::Ended { status } => {
                self.end(&event.operation);
                if let OperationStatus::Failed(why) = status {
                    self.failed.push((machine, why.clone()));
                } else if self.bars.is_none() {
                    self.tell(&format!("{machine}: done"));
                }
            }
        }
        Ok(())
    }

    /// A piece of work on a machine has come so far.
    pub fn step(&mut self, work: &str, machine: &str, what: &str) {
        let Some(bars) = &self.bars else { return };
        let bar = self.of.entry(work.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(machine.to_owned());
            bar.enable_steady_tick(TURN);
            bar
        });
        bar.set_message(what.to_owned());
    }

    /// A piece of work is over.
    pub fn end(&mut self, work: &str) {
        if let Some(bar) = self.of.remove(work) {
            bar.finish_and_clear();
        }
    }

    /// Something a person should know of a machine.
    pub fn note(&mut self, machine: &str, text: &str) {
        if self.notes.is_first(machine, text) {
            self.tell(&format!("{machine}: {text}"));
        }
    }

    /// A line of its own.
    pub fn tell(&self, line: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(line)),
            None if self.only_bars => {}
            None => eprintln!("{line}"),
        }
    }

    /// Tells what failed, but for what the failure of the work as a whole tells.
    fn tell_failures(&mut self, whole: Option<&Failure>) {
        let only = self.failed.len() == 1;
        for (machine, why) in std::mem::take(&mut self.failed) {
            if !whole.is_some_and(|failure| only || failure.to_string().contains(&why)) {
                self.tell(&format!("{machine}: failed: {}", present::clean(&why)));
            }
        }
    }

    /// All of it is over: what many machines had alike is told.
    pub fn clear(&mut self) {
        for (_, bar) in self.of.drain() {
            bar.finish_and_clear();
        }
        for line in self.notes.alike() {
            self.tell(&line);
        }
    }
}

/// Prints a line, or nothing where JSON was asked for.
///
/// # Errors
/// If nobody reads.
pub fn say(json: bool, line: &str) -> Result<(), Failure> {
    if json { Ok(()) } else { print(format!("{line}\n").as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::Notes;

    #[test]
    fn a_note_of_many_machines_is_told_of_the_first_and_then_of_all() {
        let mut notes = Notes::default();
        assert!(notes.is_first("a", "no limits"));
        assert!(notes.is_first("a", "line") && notes.is_first("a", "line"), "it may say so twice");
        for machine in ["b", "c", "d", "e"] {
            assert!(!notes.is_first(machine, "no limits"));
        }
        assert!(notes.is_first("b", "old"));
        assert_eq!(notes.alike(), ["all 5 machines: no limits"]);
    }
}
