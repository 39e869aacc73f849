//! The terminal of a hold: what is on the screen, how to paint it anywhere, and scanners of streams.
//!
//! Nothing here does input or output. [`Terminal`] is the model; [`filter`], [`plain`] and [`scrollback()`] work on
//! raw streams. `docs/terminal-model.md` says why the model rests on `alacritty_terminal`.

mod advance;
mod bulk;
mod cells;
pub mod filter;
mod keyboard;
mod model;
mod modes;
mod paint;
mod palette;
mod perform;
pub mod plain;
mod reply;
pub mod scan;
mod scrollback;
mod sgr;
mod signal;
#[cfg(test)]
mod tests;
mod view;

pub use filter::QueryFilter;
pub use paint::SOFT_RESET;
pub use plain::Plain;
pub use scrollback::scrollback;
pub use signal::{PromptMark, Signal};

use alacritty_terminal::index::Line;
use alacritty_terminal::vte::Parser;
use model::Model;
use modes::Modes;
use scan::{Scanner, State};
use stead_wire::message::Colors;
use stead_wire::session::Size;

/// Most bytes of an unfinished sequence that are kept. A longer string is nothing that shows.
const MAX_PENDING: usize = 64 * 1024;

/// The modes that a client needs to know to send input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent switches")]
pub struct InputModes {
    /// Pasted text goes between brackets.
    pub bracketed_paste: bool,
    /// Cursor keys send application sequences.
    pub app_cursor: bool,
    /// The keypad sends application sequences.
    pub app_keypad: bool,
    /// The program wants to know of the focus.
    pub focus: bool,
    /// What the mouse reports: 0 nothing, or the private mode 9, 1000, 1002, 1003.
    pub mouse: u16,
    /// How it reports: 0, or the private mode 1005, 1006, 1015, 1016.
    pub mouse_encoding: u16,
    /// Flags of the kitty keyboard protocol in force.
    pub kitty_keyboard: u8,
}

/// A terminal's state, fed with what a program prints.
pub struct Terminal {
    parser: Parser,
    model: Model,
    scanner: Scanner,
    pending: Vec<u8>,
    /// The kind of string that is thrown away until its end, because it is too long.
    swallowed: Option<State>,
    skip: bool,
}

impl Terminal {
    /// An empty terminal of this size, cut to what is allowed.
    pub fn new(size: Size) -> Self {
        Terminal {
            parser: Parser::new(),
            model: Model::new(size, 0),
            scanner: Scanner::default(),
            pending: Vec::new(),
            swallowed: None,
            skip: true,
        }
    }

    /// A terminal that looks at every byte, for tests of the one that does not.
    #[cfg(test)]
    fn without_skipping(size: Size) -> Self {
        Terminal { skip: false, ..Terminal::new(size) }
    }

    /// The size.
    pub fn size(&self) -> Size {
        self.model.size
    }

    /// Changes the size, cut to what is allowed.
    pub fn resize(&mut self, size: Size) {
        self.model.resize(size);
    }

    /// Says what colours the person's terminal has, for programs that ask.
    pub fn set_colors(&mut self, colors: Colors) {
        self.model.palette.set_defaults(colors);
    }

    /// Takes in output, up to the last complete sequence; the rest is [`Self::pending`].
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if let Some(kind) = self.swallowed {
            let ends = |b: &u8| matches!(b, 0x1b | 0x18 | 0x1a) || (*b == 7 && kind == State::Osc);
            let Some(end) = bytes.iter().position(ends) else { return };
            // An escape character may begin more than the terminator.
            bytes = &bytes[end + usize::from(bytes[end] != 0x1b)..];
            self.swallowed = None;
        }
        if !self.pending.is_empty() {
            let Some(rest) = self.scanner.finish(bytes) else {
                self.pending.extend_from_slice(bytes);
                self.limit_pending();
                return;
            };
            self.pending.extend_from_slice(&bytes[..rest]);
            advance::advance(&mut self.parser, &mut self.model, &self.pending);
            self.pending.clear();
            bytes = &bytes[rest..];
        }
        if self.skip {
            bytes = bulk::skip(&mut self.parser, &mut self.model, bytes);
        }
        let complete = self.scanner.complete(bytes);
        advance::advance(&mut self.parser, &mut self.model, &bytes[..complete]);
        self.pending.extend_from_slice(&bytes[complete..]);
        self.limit_pending();
    }

    fn limit_pending(&mut self) {
        if self.pending.len() <= MAX_PENDING {
            return;
        }
        if self.scanner.state().in_string() {
            self.swallowed = Some(self.scanner.state());
        }
        self.pending = Vec::new();
        self.scanner.reset();
    }

    /// The beginning of a sequence that has not ended. A terminal that is given [`Self::repaint`], then this,
    /// then what is fed next, has missed nothing.
    pub fn pending(&self) -> &[u8] {
        match self.swallowed {
            // Opens a string that terminals ignore, ended by what ends the one that was thrown away.
            Some(State::Osc) => b"\x1b]6969;",
            Some(_) => b"\x1bX",
            None => &self.pending,
        }
    }

    /// Answers to what the program asked, in order; each is given once.
    pub fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.model.replies)
    }

    /// What the program told its terminal to tell the person, in order; each is given once.
    pub fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.model.signals)
    }

    /// Sequences that bring any terminal of the same size, in any state, to this state, except for
    /// [`Self::pending`]. The native scrollback stays as it is.
    pub fn repaint(&self) -> Vec<u8> {
        paint::repaint(&self.model)
    }

    /// The rows as text, without the blanks at their ends.
    pub fn text(&self) -> Vec<String> {
        view::text(&self.model)
    }

    /// The screen as data: an array of rows, each an array of runs of cells that look the same, without
    /// what is blank at the end of the row.
    ///
    /// | key | value |
    /// | --- | --- |
    /// | `text` | the characters |
    /// | `fg`, `bg`, `underline_color` | a number from 0 to 255, or `"#rrggbb"`; absent for the default |
    /// | `attrs` | `bold`, `dim`, `italic`, `underline`, `double-underline`, `undercurl`, `dotted-underline`, `dashed-underline`, `blink`, `inverse`, `hidden`, `strike`; absent if none |
    /// | `link` | the hyperlink's URI; absent if none |
    pub fn cells(&self) -> serde_json::Value {
        view::cells(&self.model)
    }

    /// Up to `width` columns of a row from `from_col` on, as text with SGR sequences that begins and ends with a
    /// plain pen. What lies outside the screen is left out.
    pub fn row_ansi(&self, row: u16, from_col: u16, width: u16) -> String {
        if row >= self.model.size.rows {
            return String::new();
        }
        let to = from_col.saturating_add(width).min(self.model.size.cols);
        paint::row(&self.model.grid, Line(i32::from(row)), from_col.into(), to.into())
    }

    /// The cursor's column and row, from 0, and whether it is seen.
    pub fn cursor(&self) -> (u16, u16, bool) {
        let point = self.model.grid.cursor.point;
        let column = (point.column.0 as u16).min(self.model.size.cols - 1);
        (column, point.line.0 as u16, self.model.modes.has(Modes::SHOW_CURSOR))
    }

    /// Whether the alternate screen is in use.
    pub fn alternate(&self) -> bool {
        self.model.alternate()
    }

    /// The title that the program gave.
    pub fn title(&self) -> &str {
        &self.model.title
    }

    /// The modes that matter for input.
    pub fn modes(&self) -> InputModes {
        let modes = self.model.modes;
        InputModes {
            bracketed_paste: modes.has(Modes::PASTE),
            app_cursor: modes.has(Modes::APP_CURSOR),
            app_keypad: modes.has(Modes::APP_KEYPAD),
            focus: modes.has(Modes::FOCUS),
            mouse: modes.mouse.0,
            mouse_encoding: modes.mouse_encoding,
            kitty_keyboard: self.model.keyboards[usize::from(self.model.alternate())].current(),
        }
    }
}
