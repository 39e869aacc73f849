//! `stead search`.

use super::{print, print_json};
use crate::cli::Search;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::resolve;
use crate::steward::Steward;
use serde_json::json;
use std::ops::ControlFlow;
use stead_hold::clock::now_ms;
use stead_hold::history::search::{self, Options, Pattern};
use stead_wire::session::Session;

pub fn run(args: &Search) -> Outcome {
    let pattern = if args.regex {
        Pattern::regex(&args.pattern, args.ignore_case)
    } else {
        Pattern::literal(&args.pattern, args.ignore_case)
    }
    .map_err(|e| {
        // What is wrong stands in the last line, below a drawing of where.
        let text = e.to_string();
        let why = text.lines().last().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        Failure::misused(format!("the pattern is wrong: {why}"))
    })?;
    let steward = Steward::of_user()?;
    let sessions: Vec<Session> = if args.names.is_empty() {
        steward.get("/v1/sessions")?
    } else {
        args.names
            .iter()
            .map(|name| resolve::session(&steward, name).map(|found| found.session))
            .collect::<Result<_, _>>()?
    };
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut found = 0usize;
    let mut failed = false;
    let color = present::color();
    let now = now_ms();
    for session in sessions {
        if left == 0 {
            break;
        }
        super::history::bring(&steward, &session)?;
        let mut broken = None;
        let folder = steward.places().session(&session.id);
        let result = search::search(&folder.history(), &pattern, &Options::default(), |line| {
            found += 1;
            left -= 1;
            let printed = if args.json.json {
                print_json(&json!({
                    "session": session.name,
                    "id": session.id,
                    "offset": line.offset,
                    "at": line.at_ms,
                    "line": line.line,
                }))
            } else {
                let age = present::age(line.at_ms, now);
                let name = present::paint(&session.name, "36", color);
                let age = present::paint(&format!("{age:>4}"), "2", color);
                print(
                    format!("{name} {age}  {}\n", present::clean(line.line.trim_end())).as_bytes(),
                )
            };
            match printed {
                Ok(()) if left > 0 => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(failure) => {
                    broken = Some(failure);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(failure) = broken {
            return Err(failure);
        }
        if let Err(e) = result {
            // The others are searched all the same.
            crate::failure::report(&Failure::from(e));
            failed = true;
        }
    }
    // As grep does: nothing found is not success.
    Ok(if failed { 2 } else { u8::from(found == 0) })
}
