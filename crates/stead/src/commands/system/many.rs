//! What `stead apply` does about systems: several machines are switched at once.

use super::bring::{Line, bring};
use super::of;
use crate::commands::print_json;
use crate::commands::work::Show;
use crate::failure::Failure;
use crate::stead_file::SteadFile;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use stead_system::Whole;
use stead_system::apply::Summary;

/// Whose switch says something.
struct Who {
    machine: String,
    system: String,
}

/// What a switch says.
enum Said {
    /// A line of its own: as it came, and as it was understood.
    Line(Vec<u8>, Box<Line>),
    /// How it ended.
    Ended(Result<Summary, Failure>),
}

/// Brings these machines to their systems, so many at a time, and shows how far each is. One that fails keeps none of the
/// others from it. Gives why it failed, by machine.
///
/// # Errors
/// If nobody reads what is shown.
pub fn bring_all(
    file: &SteadFile,
    machines: &[String],
    parallel: usize,
    json: bool,
) -> Result<Vec<(String, String)>, Failure> {
    let wholes = machines.iter().filter_map(|machine| {
        let system = file.declaration.machines.get(machine)?.system.as_ref()?;
        Some(of(file, system, machine))
    });
    let left = Mutex::new(wholes.collect::<Vec<Whole>>().into_iter());
    let (say, said) = channel();
    let workers = parallel.clamp(1, machines.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (left, say) = (&left, say.clone());
            scope.spawn(move || {
                while let Some(whole) = left.lock().ok().and_then(|mut left| left.next()) {
                    one(&whole, &say);
                }
            });
        }
        drop(say);
        let mut show = Show::new(json);
        let mut failed = Vec::new();
        for (who, said) in said {
            if let Some(why) = heard(&mut show, json, &who, said)? {
                failed.push((who.machine, why));
            }
        }
        show.clear();
        Ok(failed)
    })
}

/// Switches one, and says what it says. That nobody listens any more does not cut it short.
fn one(whole: &Whole, say: &Sender<(Who, Said)>) {
    let tell = |said: Said| {
        let who = Who { machine: whole.machine.clone(), system: whole.name.clone() };
        let _ = say.send((who, said));
    };
    let ended = bring(whole, false, |raw, line| {
        tell(Said::Line(raw.to_owned(), Box::new(line.clone())));
        Ok(())
    });
    tell(Said::Ended(ended));
}

/// Shows what a switch says; gives why it failed.
fn heard(show: &mut Show, json: bool, who: &Who, said: Said) -> Result<Option<String>, Failure> {
    let Who { machine, system } = who;
    let key = format!("system of {machine}");
    match said {
        Said::Line(raw, _) if json => {
            if let Ok(Value::Object(mut line)) = serde_json::from_slice(&raw) {
                line.insert("machine".into(), machine.as_str().into());
                line.insert("system".into(), system.as_str().into());
                print_json(&line)?;
            }
        }
        Said::Line(_, line) => {
            if let Some(text) = line.changed() {
                show.step(&key, machine, &text);
            }
            if let Some(text) = line.failure() {
                show.tell(&format!("{machine}: failed: {text}"));
            }
            if let Some(text) = line.remarked() {
                show.note(machine, &text);
            }
        }
        Said::Ended(ended) => {
            show.end(&key);
            let (what, failed) = match ended {
                Ok(Summary { changed: 0, failed: 0 }) => ("as declared".to_owned(), false),
                Ok(Summary { changed, failed: 0 }) => (format!("{changed} changed"), false),
                Ok(Summary { changed, failed }) => {
                    (format!("{changed} changed, {failed} failed"), true)
                }
                Err(failure) => (failure.in_a_line(), true),
            };
            if failed {
                return Ok(Some(format!("{machine}: system {system}: {what}")));
            }
            if !json {
                show.tell(&format!("{machine}: system {system}: {what}"));
            }
        }
    }
    Ok(None)
}
