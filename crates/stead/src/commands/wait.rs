//! `stead wait`.

use super::{print, print_json};
use crate::cli::Wait;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::resolve::{self, Found};
use crate::steward::Steward;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use stead_hold::client::{self, ClientError, Connection};
use stead_hold::term::Terminal;
use stead_wire::message::{Ask, Attach, Purpose, ToClient};
use stead_wire::session::{Exit, Size};
use stead_wire::status::State;

/// How long an ended session's hold has to hear that its end is known.
const ACK_PATIENCE: Duration = Duration::from_secs(1);

enum What<'a> {
    Exit,
    State(State),
    Text(&'a str),
}

/// What was waited for, or the end before it.
enum Reached {
    Yes,
    Ended(Exit),
}

pub fn run(args: &Wait) -> Outcome {
    let steward = Steward::of_user()?;
    let what = match args.what.as_str() {
        "exit" => return for_exit(&steward, &args.name, args.timeout, args.json.json),
        "idle" => What::State(State::Idle),
        "waiting" => What::State(State::Waiting),
        "running" => What::State(State::Running),
        "" => return Err(Failure::misused("nothing to wait for: exit, idle, waiting, or a text")),
        text => What::Text(text),
    };
    let found = resolve::session(&steward, &args.name)?;
    let reached = wait(&found, &what, args.timeout)?;
    if args.json.json {
        print_json(&resolve::session(&steward, &found.session.id)?.session)?;
    }
    match reached {
        Reached::Yes => Ok(0),
        Reached::Ended(exit) => {
            Err(Failure::failed(format!("{} ended before that: {exit}", found.session.name))
                .help(format!("stead logs {} shows what it printed", found.session.name)))
        }
    }
}

/// Waits for the end and hands on the exit status.
pub fn for_exit(steward: &Steward, name: &str, timeout: Option<Duration>, json: bool) -> Outcome {
    let found = resolve::session(steward, name)?;
    let exit = match wait(&found, &What::Exit, timeout)? {
        Reached::Ended(exit) => exit,
        Reached::Yes => unreachable!("an end is always told as such"),
    };
    let session = resolve::session(steward, &found.session.id)?.session;
    if json {
        print_json(&session)?;
    } else if let Some(result) = session.report.as_ref().and_then(|r| r.result.as_ref()) {
        print(format!("{}\n", present::clean(result)).as_bytes())?;
    }
    if let Some(failed) = &exit.failed {
        return Err(Failure::failed(format!("{name} did not start: {failed}")));
    }
    if exit.code.is_none() && exit.signal.is_none() {
        return Err(Failure::failed(format!("{name} was lost: its machine or its hold went down"))
            .help(format!("stead restart {name} starts it again")));
    }
    Ok(u8::try_from(exit.shell_status()).unwrap_or(1))
}

/// Waits for the end, however it comes.
pub fn end_of(steward: &Steward, name: &str) -> Result<(), Failure> {
    let found = resolve::session(steward, name)?;
    wait(&found, &What::Exit, None).map(|_| ())
}

fn wait(found: &Found, what: &What<'_>, timeout: Option<Duration>) -> Result<Reached, Failure> {
    if let Some(exit) = &found.session.exit {
        if matches!(what, What::Exit) {
            let _ = client::ask::<serde_json::Value>(&found.socket, Ask::Ack, ACK_PATIENCE);
        }
        return Ok(Reached::Ended(exit.clone()));
    }
    let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
    let purpose = match what {
        What::Text(_) => Purpose::Attach(Attach { read_only: true, ..Attach::default() }),
        What::Exit | What::State(_) => Purpose::Watch,
    };
    let (mut hold, welcome) = match Connection::open(&found.socket, purpose) {
        Ok(opened) => opened,
        // It may have ended since the steward was asked.
        Err(e) => return found.folder.exit()?.map(Reached::Ended).ok_or_else(|| e.into()),
    };
    let mut screen = Terminal::new(welcome.size);
    loop {
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(timed_out(found, what, timeout));
            }
            hold.set_timeout(left)?;
        }
        let message = match hold.next_message() {
            Ok(message) => message,
            Err(ClientError::Io(e)) if e.kind() == ErrorKind::WouldBlock => continue,
            Err(e) => return found.folder.exit()?.map(Reached::Ended).ok_or_else(|| e.into()),
        };
        match (message, what) {
            (ToClient::Exited(exit), what) => {
                if matches!(what, What::Exit) {
                    // The hold lingers for whoever wants to know; now somebody does.
                    let _ = hold.ask::<serde_json::Value>(Ask::Ack);
                }
                return Ok(Reached::Ended(exit));
            }
            (ToClient::Status(status), What::State(state)) if status.state == *state => {
                return Ok(Reached::Yes);
            }
            (ToClient::Size(note), What::Text(_)) => screen.resize(note.size),
            (
                ToClient::Output { bytes, .. } | ToClient::Repaint { bytes, .. },
                What::Text(text),
            ) => {
                screen.feed(&bytes);
                if shows(&screen, text, welcome.size) {
                    return Ok(Reached::Yes);
                }
            }
            _ => {}
        }
    }
}

/// Whether the text is on the screen; a line that goes on in the next row counts as one.
fn shows(screen: &Terminal, text: &str, size: Size) -> bool {
    let rows = screen.text();
    if rows.iter().any(|row| row.contains(text)) {
        return true;
    }
    rows.windows(2).any(|pair| {
        pair[0].chars().count() == usize::from(size.cols) && pair.concat().contains(text)
    })
}

fn timed_out(found: &Found, what: &What<'_>, timeout: Option<Duration>) -> Failure {
    let what = match what {
        What::Exit => "to end".to_owned(),
        What::State(state) => format!("to be {state}"),
        What::Text(text) => format!("to show {:?}", present::cut(text, 40)),
    };
    let waited = timeout.unwrap_or_default();
    Failure::timeout(format!("waited {waited:?} for {} {what}", found.session.name))
        .help(format!("stead status {} --explain says what it is doing", found.session.name))
}
