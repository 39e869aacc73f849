//! `stead attach`.

use super::print;
use crate::cli::Attach;
use crate::failure::{Failure, Outcome};
use crate::resolve;
use crate::steward::Steward;
use std::io::IsTerminal;
use std::time::Duration;
use stead_hold::attach::{self, Options};
use stead_hold::client::ClientError;
use stead_wire::api::Event;
use stead_wire::session::{Exit, Session, Size};
use stead_wire::status::State;

/// Times in a row that a session in a machine is come back to without success.
const TRIES: u32 = 10;
/// Time between two of them.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines of earlier output that are printed above the screen.
const SCROLLBACK: u32 = 200;

pub fn run(args: &Attach) -> Outcome {
    if !has_terminal() {
        return Err(Failure::misused("there is no terminal to show the session in").help(format!(
            "stead screen {0} prints what is on it; stead logs {0} all it printed",
            args.name
        )));
    }
    let steward = Steward::of_user()?;
    let found = resolve::session(&steward, &args.name)?;
    let options = Options {
        read_only: args.read_only,
        scrollback: if args.no_scrollback { 0 } else { SCROLLBACK },
        ..options()?
    };
    show(&steward, &found.session, &options)
}

/// How sessions are shown unless the command line says otherwise. `STEAD_PREFIX` sets the prefix key.
pub fn options() -> Result<Options, Failure> {
    let detach_key = match std::env::var("STEAD_PREFIX") {
        Ok(key) if !key.is_empty() => key
            .parse()
            .map_err(|e: attach::KeyError| Failure::misused(format!("STEAD_PREFIX: {e}")))?,
        _ => attach::DetachKey::default(),
    };
    Ok(Options { detach_key, ..Options::default() })
}

/// Shows a session until it ends or the person leaves.
pub fn show(steward: &Steward, session: &Session, options: &Options) -> Outcome {
    if let Some(exit) = &session.exit {
        return show_ended(steward, session, exit);
    }
    let name = &session.name;
    let socket = steward.places().hold_socket(&session.id);
    let mut options = options.clone();
    let mut tries = 0;
    loop {
        let why = match attach::run(&socket, &options) {
            Ok(attach::Outcome::Detached) => {
                let said = format!("[detached from {name}; stead attach {name} returns]\n");
                print(said.as_bytes())?;
                return Ok(0);
            }
            Ok(attach::Outcome::Ended(exit)) => return ended(name, &exit),
            Ok(attach::Outcome::Closed(why)) => {
                tries = 0;
                why
            }
            Err(attach::AttachError::Client(ClientError::Unreachable(e))) => {
                format!("its hold cannot be reached: {e}")
            }
            Err(attach::AttachError::Client(ClientError::Io(e))) => e.to_string(),
            Err(e) => return Err(e.into()),
        };
        tries += 1;
        // Between this terminal and a hold in a machine there is a steward, which may have gone: the next one finds it.
        if session.machine == "host" || tries > TRIES {
            return closed(steward, session, &why);
        }
        print(format!("[lost sight of {name}, looking for it]\n").as_bytes())?;
        match comes_back(steward, session) {
            Ok(true) => {}
            Ok(false) => return closed(steward, session, &why),
            // That steward was still dying when it was asked; the next answers.
            Err(_) if tries < TRIES => std::thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
        options.scrollback = 0;
    }
}

/// Waits until a session in a machine can be reached again. `false`: it has ended, or is gone.
fn comes_back(steward: &Steward, session: &Session) -> Result<bool, Failure> {
    let socket = steward.places().hold_socket(&session.id);
    for line in steward.lines("/v1/events")? {
        let ended = match serde_json::from_slice(&line) {
            Ok(Event::Session { session: now }) if now.id == session.id => now.exit.is_some(),
            Ok(Event::Status { id, now, .. }) if id == session.id => now.state == State::Exited,
            Ok(Event::Removed { id }) if id == session.id => true,
            _ => continue,
        };
        if ended {
            return Ok(false);
        }
        // Whatever is known of it, it is back once somebody listens.
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(true);
        }
    }
    // The steward that was asked has gone as well.
    Err(Failure::failed("the steward went away"))
}

/// The connection ended without the session saying why: the folder may know.
fn closed(steward: &Steward, session: &Session, why: &str) -> Outcome {
    match steward.places().session(&session.id).exit()? {
        Some(exit) => ended(&session.name, &exit),
        None => Err(Failure::failed(format!("lost sight of {}: {why}", session.name))
            .help(format!("stead status {} --explain says what is known", session.name))),
    }
}

/// Prints the last screen of an ended session.
fn show_ended(steward: &Steward, session: &Session, exit: &Exit) -> Outcome {
    if let Some(screen) = steward.places().session(&session.id).last_screen() {
        let mut terminal = stead_hold::term::Terminal::new(session.size);
        terminal.feed(&screen);
        let rows = usize::from(session.size.rows);
        let text = terminal.text();
        let last = text.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
        for row in 0..last.min(rows) {
            let line = terminal.row_ansi(row as u16, 0, session.size.cols);
            print(format!("{line}\x1b[0m\n").as_bytes())?;
        }
    }
    ended(&session.name, exit)
}

fn ended(name: &str, exit: &Exit) -> Outcome {
    print(format!("[{name} {exit}; stead restart {name} starts it again]\n").as_bytes())?;
    Ok(u8::try_from(exit.shell_status()).unwrap_or(1))
}

/// Whether a session can be shown here.
pub fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The size of the terminal, if there is one.
pub fn terminal_size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some(Size { cols: size.ws_col, rows: size.ws_row })
}
