//! What the foreground of a terminal sleeps on, read once from `/proc`.
//!
//! This is the only part of the judge that looks at the world, and the only source that speaks for
//! programs which say nothing themselves. What it answers:
//!
//! * A program blocked in a read of the terminal, or waiting for it to become readable, wants a person. In line
//!   mode it has asked for a line ([`ProbeResult::AsksLine`]: `apt`, `read -p`, a password). In raw mode it takes keys
//!   ([`ProbeResult::TakesKeys`]: vim, less, a REPL): nothing was asked, the next task may be typed, so the
//!   judge calls it idle unless the screen shows a question.
//! * A program that sleeps on anything else, or does not sleep, is at work: a timer, a child, a disk, a socket.
//! * An event loop that waits for the terminal *and* for sockets or children cannot be told apart from one at
//!   work: [`ProbeResult::Both`], which the judge calls unknown.
//! * What may not be inspected (`sudo` before an ordinary user) is [`ProbeResult::Blind`]: unknown, never idle.
//!
//! One look costs a few dozen small reads; the judge says when it is worth it.

mod asleep;
mod tree;

use asleep::{Asleep, asleep};
use std::path::Path;

/// How the evidence of a shell at its prompt ends.
pub(super) const AT_PROMPT: &str = "waits for a command";

/// How the terminal treats what is typed (termios local flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtyModes {
    /// Whole lines are handed over (ICANON).
    pub canonical: bool,
    /// What is typed shows (ECHO).
    pub echo: bool,
}

/// What to look at. The hold knows all of it from its pseudo-terminal.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The session's first process.
    pub first: i32,
    /// The terminal's foreground process group; `None` where the kernel does not say.
    pub foreground: Option<i32>,
    /// The terminal's device number (`st_rdev` of its slave side).
    pub tty: u64,
    /// Its modes now.
    pub modes: TtyModes,
}

/// What the foreground does, with the evidence in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// At work.
    Works(String),
    /// A shell waits for its next command.
    AtPrompt(String),
    /// A program waits for a line from a person.
    AsksLine(String),
    /// A program waits for keys in raw mode.
    TakesKeys(String),
    /// A program waits for the terminal and for something else.
    Both(String),
    /// It cannot be told.
    Blind(String),
}

/// Looks once.
pub fn look(target: Target) -> ProbeResult {
    look_below(Path::new("/proc"), target)
}

fn look_below(proc: &Path, target: Target) -> ProbeResult {
    let Some(group) = target.foreground.filter(|g| *g > 0) else {
        return ProbeResult::Blind("the terminal has no foreground process group".into());
    };
    let members = tree::members(proc, target.first, group);
    if members.is_empty() {
        return ProbeResult::Blind(format!("no process of the foreground group {group} is seen"));
    }
    let mut busy = None;
    let mut blind = None;
    let mut on_terminal = None;
    for &pid in &members {
        let name = tree::name(proc, pid);
        match asleep(proc, pid, target.tty) {
            Asleep::OnTerminal { reads, others } => {
                if on_terminal.as_ref().is_none_or(|(_, _, old, _)| !old) {
                    on_terminal = Some((pid, name, reads, others));
                }
            }
            Asleep::Elsewhere(what) => busy = Some(format!("{name} ({pid}) {what}")),
            Asleep::Denied(why) => {
                blind = Some(format!("{name} ({pid}) cannot be inspected: {why}"));
            }
            Asleep::Gone => {}
        }
    }
    match (on_terminal, blind, busy) {
        (Some((pid, name, reads, others)), _, _) => {
            judge_sleeper(proc, &target, pid, &name, reads, others)
        }
        (None, Some(why), _) => ProbeResult::Blind(why),
        (None, None, Some(what)) => ProbeResult::Works(what),
        (None, None, None) => {
            ProbeResult::Blind(format!("the foreground group {group} ended under the look"))
        }
    }
}

fn judge_sleeper(
    proc: &Path,
    target: &Target,
    pid: i32,
    name: &str,
    reads: bool,
    others: Option<&'static str>,
) -> ProbeResult {
    let who = format!("{name} ({pid})");
    if let Some(others) = others {
        return ProbeResult::Both(format!("{who} waits for the terminal and for {others}"));
    }
    let shell = Shell::of(&tree::arguments(proc, pid));
    match (target.modes.canonical, shell) {
        (true, Some(Shell::Editing)) if reads => {
            ProbeResult::AsksLine(format!("{who} reads a line for a command of its own"))
        }
        (_, Some(_)) => ProbeResult::AtPrompt(format!("{who} {AT_PROMPT}")),
        (true, None) if target.modes.echo => {
            ProbeResult::AsksLine(format!("{who} reads a line from the terminal"))
        }
        (true, None) => ProbeResult::AsksLine(format!("{who} reads a line that does not show")),
        (false, None) => ProbeResult::TakesKeys(format!("{who} waits for keys")),
    }
}

/// An interactive shell, as its arguments tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// It edits its command line in raw mode: in line mode it reads for its `read` builtin.
    Editing,
    /// It reads commands in line mode too, so a prompt and a `read` look alike.
    Plain,
}

impl Shell {
    fn of(arguments: &[String]) -> Option<Shell> {
        const EDITING: [&str; 9] =
            ["bash", "zsh", "fish", "nu", "elvish", "xonsh", "tcsh", "mksh", "pwsh"];
        const PLAIN: [&str; 6] = ["sh", "dash", "ash", "ksh", "csh", "rbash"];
        let first = arguments.first()?;
        let base = first.rsplit('/').next().unwrap_or(first).trim_start_matches('-');
        let mut kind = if EDITING.contains(&base) {
            Shell::Editing
        } else if PLAIN.contains(&base) {
            Shell::Plain
        } else {
            return None;
        };
        let mut rest = arguments[1..].iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--rcfile" | "--init-file" | "-O" | "+O" | "-o" | "+o" => {
                    rest.next();
                }
                "--noediting" => kind = Shell::Plain,
                "-s" => return Some(kind),
                long if long.starts_with("--") => {
                    if matches!(long, "--command" | "--commands") {
                        return None;
                    }
                }
                // A cluster of short options with c among them is followed by a command to run.
                short if short.starts_with(['-', '+']) => {
                    if short.contains('c') {
                        return None;
                    }
                }
                _script => return None,
            }
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_interactive_unless_it_was_given_work() {
        let of = |line: &str| Shell::of(&line.split(' ').map(Into::into).collect::<Vec<_>>());
        assert_eq!(of("-bash"), Some(Shell::Editing));
        assert_eq!(of("/bin/bash --rcfile x -i"), Some(Shell::Editing));
        assert_eq!(of("bash --noediting"), Some(Shell::Plain));
        assert_eq!(of("bash -lc ls"), None);
        assert_eq!(of("bash script.sh"), None);
        assert_eq!(of("/bin/sh"), Some(Shell::Plain));
        assert_eq!(of("sh -c ls"), None);
        assert_eq!(of("vim"), None);
        assert_eq!(Shell::of(&[]), None);
    }

    #[test]
    fn nothing_to_see_is_blind() {
        let target = Target {
            first: 1,
            foreground: None,
            tty: 0,
            modes: TtyModes { canonical: true, echo: true },
        };
        assert!(matches!(look(target), ProbeResult::Blind(_)));
        let target = Target { foreground: Some(i32::MAX), ..target };
        assert!(matches!(look(target), ProbeResult::Blind(_)));
    }
}
