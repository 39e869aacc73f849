//! `stead kill`, `rm`, `rename`, `restart`: what changes sessions that are there.

use super::{attach, print, print_json};
use crate::cli::{Kill, Rename, Restart, Rm};
use crate::failure::{Failure, Outcome};
use crate::resolve::{self, path_part};
use crate::steward::Steward;
use std::io::{BufRead, Write};
use stead_wire::api;
use stead_wire::session::{Session, check_name};

pub fn kill(args: &Kill) -> Outcome {
    let signal = match &args.signal {
        Some(name) => signal_number(name).ok_or_else(|| {
            Failure::misused(format!("no signal \"{name}\""))
                .help("INT, TERM, HUP, KILL, USR1, ..., or its number")
        })?,
        None => 0,
    };
    let steward = Steward::of_user()?;
    each(&args.names, |name| {
        let found = resolve::session(&steward, name)?;
        let path = format!("/v1/sessions/{}/kill", path_part(&found.session.id));
        let session: Session = steward.post(&path, &api::Kill { signal })?;
        if args.json.json { print_json(&session) } else { Ok(()) }
    })
}

pub fn rm(args: &Rm) -> Outcome {
    let steward = Steward::of_user()?;
    let mut sessions = Vec::new();
    let mut worst = 0;
    if args.ended {
        let all: Vec<Session> = steward.get("/v1/sessions")?;
        sessions.extend(all.into_iter().filter(|s| s.exit.is_some()));
    } else {
        worst = each(&args.names, |name| {
            let session = resolve::session(&steward, name)?.session;
            if session.exit.is_none() && !args.force {
                return Err(Failure::failed(format!("{name} has not ended")).help(format!(
                    "stead kill {name} ends it; stead rm --force {name} does both"
                )));
            }
            sessions.push(session);
            Ok(())
        })?;
    }
    if sessions.is_empty() {
        return Ok(worst);
    }
    if !args.yes && !attach::has_terminal() {
        return Err(
            Failure::misused("there is no terminal to ask in").help("--yes removes without asking")
        );
    }
    if !args.yes {
        let names: Vec<&str> = sessions.iter().map(|s| s.name.as_str()).collect();
        print(format!("remove {} with all history? [y/N] ", names.join(", ")).as_bytes())?;
        std::io::stdout().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::failed("nothing was removed"));
        }
    }
    for session in sessions {
        let path = format!("/v1/sessions/{}", path_part(&session.id));
        if session.exit.is_none() {
            let _: Session = steward.post(&format!("{path}/kill"), &api::Kill { signal: 0 })?;
            super::wait::end_of(&steward, &session.id)?;
        }
        steward.delete(&path)?;
    }
    Ok(worst)
}

pub fn rename(args: &Rename) -> Outcome {
    check_name(&args.new).map_err(Failure::misused)?;
    let steward = Steward::of_user()?;
    let found = resolve::session(&steward, &args.old)?;
    let path = format!("/v1/sessions/{}/rename", path_part(&found.session.id));
    let session: Session = steward.post(&path, &api::Rename { name: args.new.clone() })?;
    if args.json.json {
        print_json(&session)?;
    }
    Ok(0)
}

pub fn restart(args: &Restart) -> Outcome {
    let steward = Steward::of_user()?;
    if args.machine {
        return super::machine::restart(&args.name, args.json.json);
    }
    let found = match resolve::session(&steward, &args.name) {
        Ok(found) => found,
        // No session of this name: a machine may have it.
        Err(failure) if failure.code() == Some("not-found") => {
            return if super::machine::is(&steward, &args.name) {
                super::machine::restart(&args.name, args.json.json)
            } else {
                Err(failure)
            };
        }
        Err(failure) => return Err(failure),
    };
    let path = format!("/v1/sessions/{}/restart", path_part(&found.session.id));
    let session: Session = steward.post(&path, &())?;
    if args.json.json {
        print_json(&session)?;
    }
    Ok(0)
}

/// Does something to each; one that fails does not keep the rest from it. The worst exit status.
fn each(names: &[String], mut act: impl FnMut(&str) -> Result<(), Failure>) -> Outcome {
    let mut worst = 0;
    let last = names.len() - 1;
    for (at, name) in names.iter().enumerate() {
        match act(name) {
            Ok(()) => {}
            Err(failure) if at == last && worst == 0 => return Err(failure),
            Err(failure) => {
                crate::failure::report(&failure);
                worst = worst.max(failure.status);
            }
        }
    }
    Ok(worst)
}

/// A signal's number from its name, with or without `SIG`, or from a number.
fn signal_number(name: &str) -> Option<i32> {
    use rustix::process::Signal;
    if let Ok(number) = name.parse::<i32>() {
        return Signal::from_named_raw(number).map(|_| number);
    }
    let upper = name.to_ascii_uppercase();
    let signal = match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "ALRM" => Signal::ALARM,
        "TERM" => Signal::TERM,
        "CONT" => Signal::CONT,
        "STOP" => Signal::STOP,
        "TSTP" => Signal::TSTP,
        "WINCH" => Signal::WINCH,
        _ => return None,
    };
    Some(signal.as_raw())
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals() {
        assert_eq!(signal_number("TERM"), Some(15));
        assert_eq!(signal_number("sigint"), Some(2));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("NOPE"), None);
    }
}
