//! `stead screen`.

use super::{print, print_json};
use crate::cli::{Screen, ScreenFormat};
use crate::failure::{Failure, Outcome};
use crate::resolve::{self, Found};
use crate::steward::Steward;
use std::time::Duration;
use stead_hold::client;
use stead_hold::term::Terminal;
use stead_wire::message::{self, Ask};

/// How long a hold has to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub fn run(args: &Screen) -> Outcome {
    let steward = Steward::of_user()?;
    let found = resolve::session(&steward, &args.name)?;
    let format = match args.format {
        ScreenFormat::Text => "text",
        ScreenFormat::Ansi => "ansi",
        ScreenFormat::Json => "json",
    };
    let screen = if found.session.exit.is_some() {
        last_screen(&found, args.format)?
    } else {
        client::ask(&found.socket, Ask::Screen { format: format.into() }, PATIENCE)?
    };
    match args.format {
        ScreenFormat::Text => print(format!("{}\n", screen.content.trim_end()).as_bytes())?,
        ScreenFormat::Ansi => print(screen.content.as_bytes())?,
        ScreenFormat::Json => print_json(&screen)?,
    }
    Ok(0)
}

/// The screen as it was when the session ended.
fn last_screen(found: &Found, format: ScreenFormat) -> Result<message::Screen, Failure> {
    let bytes = found.folder.last_screen().ok_or_else(|| {
        Failure::failed(format!("{} has ended and left no screen", found.session.name))
            .help(format!("stead logs {} shows what it printed", found.session.name))
    })?;
    let mut terminal = Terminal::new(found.session.size);
    terminal.feed(&bytes);
    let (cursor_col, cursor_row, cursor_visible) = terminal.cursor();
    Ok(message::Screen {
        size: found.session.size,
        content: match format {
            ScreenFormat::Ansi => String::from_utf8_lossy(&bytes).into_owned(),
            ScreenFormat::Text | ScreenFormat::Json => terminal.text().join("\n"),
        },
        cursor_col,
        cursor_row,
        cursor_visible,
        alternate: terminal.alternate(),
        title: terminal.title().to_owned(),
        offset: found.session.output,
        cells: (format == ScreenFormat::Json).then(|| terminal.cells()),
    })
}
