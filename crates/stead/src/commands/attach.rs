//! `stead attach`.

use super::print;
use crate::cli::Attach;
use crate::failure::{Failure, Outcome};
use crate::resolve;
use crate::steward::Steward;
use std::io::IsTerminal;
use stead_hold::attach::{self, Options};
use stead_hold::client::ClientError;
use stead_wire::session::{Exit, Session, Size};

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
    match attach::run(&steward.places().hold_socket(&session.id), options) {
        Ok(attach::Outcome::Detached) => {
            print(format!("[detached from {name}; stead attach {name} returns]\n").as_bytes())?;
            Ok(0)
        }
        Ok(attach::Outcome::Ended(exit)) => ended(name, &exit),
        Ok(attach::Outcome::Closed(why)) => closed(steward, session, &why),
        Err(attach::AttachError::Client(ClientError::Unreachable(e))) => {
            closed(steward, session, &format!("its hold cannot be reached: {e}"))
        }
        Err(e) => Err(e.into()),
    }
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
