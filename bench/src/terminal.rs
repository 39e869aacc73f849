//! The observer: a terminal model that is not the one under test, fed with what a client prints.
//!
//! It answers what programs ask a terminal at their start, because a real one does and some
//! programs wait for the answer.

use crate::client::{BUFFER, COLUMNS, Client, Got, ROWS};
use crate::error::{Error, Result};
use std::num::NonZeroU16;
use std::time::Instant;
use vt100::{Callbacks, Parser, Screen};

/// Answers owed to the program.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Answers {
    fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        second: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        let param = params.first().and_then(|p| p.first()).copied().unwrap_or(0);
        match (first, second, last, param) {
            (None, _, 'c', _) => self.push("\x1b[?62;22c"),
            (Some(b'>'), _, 'c', _) => self.push("\x1b[>1;10;0c"),
            (Some(b'>'), _, 'q', _) => self.push("\x1bP>|observer\x1b\\"),
            (None, _, 'n', 5) => self.push("\x1b[0n"),
            (None, _, 'n', 6) => {
                let (row, column) = screen.cursor_position();
                self.push(&format!("\x1b[{};{}R", row + 1, column + 1));
            }
            (None, _, 't', 14) => self.push("\x1b[4;384;640t"),
            (None, _, 't', 16) => self.push("\x1b[6;16;8t"),
            (None, _, 't', 18) => self.push(&format!("\x1b[8;{ROWS};{COLUMNS}t")),
            (Some(b'?'), Some(b'$'), 'p', mode) => {
                let state = if mode == 2026 { 2 } else { 0 };
                self.push(&format!("\x1b[?{mode};{state}$y"));
            }
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, params: &[&[u8]]) {
        match params {
            [b"10", b"?"] => self.push("\x1b]10;rgb:c0c0/c0c0/c0c0\x1b\\"),
            [b"11", b"?"] => self.push("\x1b]11;rgb:0000/0000/0000\x1b\\"),
            [b"4", pairs @ ..] => {
                for pair in pairs.chunks(2) {
                    if let [index, b"?"] = pair {
                        let index = String::from_utf8_lossy(index);
                        self.push(&format!("\x1b]4;{index};rgb:8080/8080/8080\x1b\\"));
                    }
                }
            }
            _ => {}
        }
    }
}

/// A terminal that shows what it is fed.
pub struct Terminal(Parser<Answers>);

impl Default for Terminal {
    fn default() -> Self {
        let size = |n| NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN);
        Terminal(Parser::new_with_callbacks(size(ROWS), size(COLUMNS), 0, Answers::default()))
    }
}

impl Terminal {
    /// A terminal that was fed `bytes`.
    pub fn showing(bytes: &[u8]) -> Self {
        let mut terminal = Terminal::default();
        terminal.0.process(bytes);
        terminal
    }

    /// Feeds what `client` printed and gives it the answers that it asked for.
    ///
    /// # Errors
    /// If the answers cannot be written.
    pub fn feed(&mut self, bytes: &[u8], client: &Client) -> Result<()> {
        self.0.process(bytes);
        let answers = std::mem::take(&mut self.0.callbacks_mut().0);
        if answers.is_empty() { Ok(()) } else { client.write(&answers) }
    }

    /// Where this screen first differs from another, in words; `None` if text, colours, attributes
    /// and cursor are all the same.
    pub fn difference(&self, other: &Terminal) -> Option<String> {
        let (mine, theirs) = (self.0.screen(), other.0.screen());
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let (a, b) = (mine.cell(row, column)?, theirs.cell(row, column)?);
                if !same_cell(a, b) {
                    return Some(format!(
                        "row {} column {}: {:?} {:?} on {:?} instead of {:?} {:?} on {:?}",
                        row + 1,
                        column + 1,
                        a.contents(),
                        a.fgcolor(),
                        a.bgcolor(),
                        b.contents(),
                        b.fgcolor(),
                        b.bgcolor(),
                    ));
                }
            }
        }
        let (mine, theirs) = (mine.cursor_position(), theirs.cursor_position());
        (mine != theirs).then(|| format!("cursor at {mine:?} instead of {theirs:?}"))
    }

    /// Feeds a client's output until the screen is exactly `wanted`; the instant at which the last
    /// needed bytes had been read.
    ///
    /// # Errors
    /// If that does not come to pass by the deadline: then the first difference is named.
    pub fn await_screen(
        &mut self,
        client: &Client,
        wanted: &Terminal,
        deadline: Instant,
    ) -> Result<Instant> {
        let mut buffer = [0; BUFFER];
        loop {
            let difference = self.difference(wanted);
            let why = match client.read(&mut buffer, deadline)? {
                Got::Bytes(n) => {
                    let at = Instant::now();
                    self.feed(&buffer[..n], client)?;
                    if self.difference(wanted).is_none() {
                        return Ok(at);
                    }
                    continue;
                }
                Got::Nothing => "in time",
                Got::End => "before the client ended",
            };
            let difference = difference.unwrap_or_default();
            return Err(Error::new(format!("the screen did not appear {why}: {difference}")));
        }
    }
}

fn same_cell(a: &vt100::Cell, b: &vt100::Cell) -> bool {
    let text = |cell: &vt100::Cell| match cell.contents() {
        "" => " ".to_owned(),
        text => text.to_owned(),
    };
    a == b
        || (text(a) == text(b)
            && a.fgcolor() == b.fgcolor()
            && a.bgcolor() == b.bgcolor()
            && a.bold() == b.bold()
            && a.italic() == b.italic()
            && a.underline() == b.underline()
            && a.inverse() == b.inverse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload;

    #[test]
    fn the_same_screen_painted_another_way_is_the_same() {
        let a = Terminal::showing(b"\x1b[31mred\x1b[0m plain\x1b[5;5H");
        let b = Terminal::showing(b"\x1b[1;5Hplain\x1b[H\x1b[38;5;1mred\x1b[m \x1b[5;5H");
        assert_eq!(a.difference(&b), None);
    }

    #[test]
    fn colour_attribute_text_and_cursor_count() {
        let a = Terminal::showing(b"\x1b[31mred\x1b[5;5H");
        for other in [
            &b"\x1b[32mred\x1b[5;5H"[..],
            b"\x1b[31;1mred\x1b[5;5H",
            b"\x1b[31mrod\x1b[5;5H",
            b"\x1b[31mred\x1b[5;6H",
        ] {
            assert!(a.difference(&Terminal::showing(other)).is_some());
        }
    }

    #[test]
    fn the_painted_screen_fills_every_cell() {
        let painted = Terminal::showing(&payload::screen());
        let screen = painted.0.screen();
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let cell = screen.cell(row, column).unwrap();
                assert!(cell.has_contents(), "row {row} column {column} is empty");
            }
        }
    }
}
