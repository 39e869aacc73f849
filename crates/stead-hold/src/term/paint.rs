//! Painting: sequences that bring a terminal, whatever its state, to the state of a model.

use super::keyboard::Keyboard;
use super::model::Model;
use super::modes::Modes;
use super::palette;
use super::reply::cursor_style_number;
use super::sgr::{self, Style};
use alacritty_terminal::grid::{Charsets, Cursor, Dimensions, Grid, Row};
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{CharsetIndex, Color, StandardCharset};
use std::fmt::Write;
use std::ops::Range;

/// Takes back, in any terminal, whatever a program may have turned on: an unfinished string, modes, margins,
/// character sets, colours of text, the cursor's style, keyboard protocols. Leaves the screen, the native
/// scrollback, the title and the palette alone, and goes back to the primary screen.
pub const SOFT_RESET: &str = concat!(
    "\x1b\\\x1b[<99u\x1b[r\x1b[?1049l",
    "\x1b[4;20l\x1b[?1;5;6;9;12;45;66;69;1000;1002;1003;1004;1005;1006;1015;1016;2004;2031;2048l",
    "\x1b[?7;25h\x1b[r\x1b>",
    "\x1b(B\x1b)B\x1b*B\x1b+B\x0f",
    "\x1b[0 q\x1b[<99u\x1b[>4m\x1b[m\x1b]8;;\x1b\\",
);

/// What is done with blanks.
#[derive(Clone, Copy, PartialEq)]
enum Blanks {
    /// They are printed.
    Print,
    /// Long runs are skipped; the screen is blank there.
    Skip,
    /// As before, and the line goes on in the next one.
    SkipAndWrap,
}

/// The longest run of blanks that is printed rather than skipped.
const SHORT_RUN: usize = 4;

/// Writes sequences and remembers what they left the pen as.
struct Painter {
    out: String,
    style: Style,
    link: Option<Hyperlink>,
}

/// Sequences that bring a terminal of the same size to the state of this model.
pub fn repaint(model: &Model) -> Vec<u8> {
    let out = String::with_capacity(4096);
    let mut painter = Painter { out, style: Style::DEFAULT, link: None };
    painter.out.push_str("\x1b[?2026h");
    painter.out.push_str(SOFT_RESET);
    painter.palette(model);
    painter.title(model);
    painter.tabs(model);
    painter.keyboard(&model.keyboards[0]);
    if let Some(primary) = &model.primary {
        painter.grid(primary, model.size.cols);
        // Entering the alternate screen saves the cursor once more.
        painter.saved_cursor(&primary.saved_cursor);
        painter.out.push_str("\x1b[?1049h");
        painter.plain_pen(&primary.saved_cursor);
        painter.out.push_str("\x1b[r");
        painter.tabs(model);
        painter.keyboard(&model.keyboards[1]);
    }
    painter.grid(&model.grid, model.size.cols);
    painter.saved_cursor(&model.grid.saved_cursor);
    painter.plain_pen(&model.grid.saved_cursor);
    painter.modes(model);
    painter.cursor(model);
    painter.out.into_bytes()
}

/// A row's cells from `from` to `to` as text with sequences, beginning and ending with a plain pen.
pub fn row(grid: &Grid<Cell>, line: Line, from: usize, to: usize) -> String {
    let mut painter = Painter { out: String::new(), style: Style::DEFAULT, link: None };
    painter.cells(&grid[line], from..to, Blanks::Print, true);
    painter.pen(&Style::DEFAULT, None);
    painter.out
}

/// The end of what is worth painting in a row.
pub fn content_end(row: &Row<Cell>, limit: usize) -> usize {
    row[..][..limit.min(row.len())].iter().rposition(|cell| !is_blank(cell)).map_or(0, |at| at + 1)
}

/// Whether a line goes on in the next one.
pub fn wraps(row: &Row<Cell>) -> bool {
    row.last().is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE))
}

/// Whether erasing with the default pen gives this cell.
fn is_blank(cell: &Cell) -> bool {
    is_erased(cell) && cell.bg == Style::DEFAULT.bg
}

/// Whether erasing with some background gives this cell.
fn is_erased(cell: &Cell) -> bool {
    cell.c == ' '
        && cell.fg == Style::DEFAULT.fg
        && cell.extra.is_none()
        && cell.flags.bits() & !Flags::WRAPLINE.bits() == 0
}

impl Painter {
    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let result = self.out.write_fmt(text);
        debug_assert!(result.is_ok(), "writing to a string");
    }

    fn pen(&mut self, style: &Style, link: Option<&Hyperlink>) {
        sgr::transition(&mut self.out, &self.style, style);
        self.style = *style;
        if self.link.as_ref() != link {
            match link {
                None => self.out.push_str("\x1b]8;;\x1b\\"),
                Some(link) => {
                    self.write(format_args!("\x1b]8;id={};{}\x1b\\", link.id(), link.uri()));
                }
            }
            self.link = link.cloned();
        }
    }

    fn pen_of(&mut self, cell: &Cell) {
        self.pen(&Style::of(cell), cell.hyperlink().as_ref());
    }

    /// Clears the screen and paints a grid. Ends with a plain pen, the cursor anywhere.
    fn grid(&mut self, grid: &Grid<Cell>, cols: u16) {
        let cols = usize::from(cols);
        self.out.push_str("\x1b[H\x1b[J");
        let mut wrapped = false;
        for line in 0..grid.screen_lines() as i32 {
            let row = &grid[Line(line)];
            let next = (line + 1 < grid.screen_lines() as i32).then(|| &grid[Line(line + 1)]);
            // A wrap is made by printing on, which needs something to print at both ends.
            let wraps = cols == row.len()
                && wraps(row)
                && next.is_some_and(|next| starts_with_text(next) && ends_with_text(row, next));
            let end = if wraps { row.len() } else { content_end(row, cols) };
            if end > 0 {
                if !wrapped {
                    self.write(format_args!("\x1b[{}H", line + 1));
                }
                let blanks = if wraps { Blanks::SkipAndWrap } else { Blanks::Skip };
                self.cells(row, 0..end, blanks, wrapped);
            }
            wrapped = wraps;
        }
        self.pen(&Style::DEFAULT, None);
    }

    /// Paints cells from the cursor on. `print_first` prints the first even if it is blank.
    fn cells(&mut self, row: &Row<Cell>, columns: Range<usize>, blanks: Blanks, print_first: bool) {
        let from = columns.start;
        let to = columns.end.min(row.len());
        let mut column = from;
        while column < to {
            let cell = &row[Column(column)];
            if blanks == Blanks::SkipAndWrap
                && column + 1 == row.len()
                && cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER)
            {
                // The wide character that comes next leaves it by itself.
                return;
            }
            if blanks != Blanks::Print && is_erased(cell) && !(print_first && column == from) {
                let rest = row[..][column..to].iter();
                let run = rest.take_while(|c| is_erased(c) && c.bg == cell.bg).count();
                let to_end = column + run == row.len();
                if run > SHORT_RUN && !(to_end && blanks == Blanks::SkipAndWrap) {
                    self.blanks(cell.bg, run, to_end);
                    column += run;
                    continue;
                }
            }
            self.pen_of(cell);
            let wide = cell.flags.contains(Flags::WIDE_CHAR);
            if cell.c.is_control() || is_orphan(row, column) || (wide && column + 1 >= to) {
                self.out.push(' ');
                column += 1;
            } else {
                self.out.push(cell.c);
                self.out.extend(cell.zerowidth().into_iter().flatten());
                column += 1 + usize::from(wide);
            }
        }
    }

    fn blanks(&mut self, bg: Color, count: usize, to_end: bool) {
        if bg != Style::DEFAULT.bg {
            self.pen(&Style { bg, ..Style::DEFAULT }, None);
            if to_end {
                self.out.push_str("\x1b[K");
            } else {
                self.write(format_args!("\x1b[{count}X"));
            }
        }
        if !to_end {
            self.write(format_args!("\x1b[{count}C"));
        }
    }

    fn palette(&mut self, model: &Model) {
        for (index, color) in model.palette.changes() {
            match (index, color) {
                (palette::FOREGROUND.., Some([r, g, b])) => {
                    let code = index - palette::FOREGROUND + 10;
                    self.write(format_args!("\x1b]{code};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\"));
                }
                (palette::FOREGROUND.., None) => {
                    self.write(format_args!("\x1b]{}\x1b\\", index - palette::FOREGROUND + 110));
                }
                (_, Some([r, g, b])) => {
                    self.write(format_args!("\x1b]4;{index};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\"));
                }
                (_, None) => self.write(format_args!("\x1b]104;{index}\x1b\\")),
            }
        }
    }

    fn title(&mut self, model: &Model) {
        for _ in &model.titles {
            self.out.push_str("\x1b[23;2t");
        }
        for title in &model.titles {
            self.write(format_args!("\x1b]2;{title}\x1b\\\x1b[22;2t"));
        }
        self.write(format_args!("\x1b]2;{}\x1b\\", model.title));
    }

    fn tabs(&mut self, model: &Model) {
        self.out.push_str("\x1b[3g\r");
        let mut column = 0;
        for stop in (0..usize::from(model.size.cols)).filter(|column| model.tabs[*column]) {
            if stop > column {
                self.write(format_args!("\x1b[{}C", stop - column));
            }
            self.out.push_str("\x1bH");
            column = stop;
        }
    }

    fn keyboard(&mut self, keyboard: &Keyboard) {
        self.out.push_str("\x1b[<99u");
        if keyboard.base != 0 {
            self.write(format_args!("\x1b[={};1u", keyboard.base));
        }
        for flags in &keyboard.pushed {
            self.write(format_args!("\x1b[>{flags}u"));
        }
    }

    fn charsets(&mut self, cursor: &Cursor<Cell>) {
        for (index, set) in [
            (CharsetIndex::G0, '('),
            (CharsetIndex::G1, ')'),
            (CharsetIndex::G2, '*'),
            (CharsetIndex::G3, '+'),
        ] {
            if cursor.charsets[index] == StandardCharset::SpecialCharacterAndLineDrawing {
                self.write(format_args!("\x1b{set}0"));
            }
        }
    }

    /// Saves a cursor, from a plain pen; leaves its pen in place.
    fn saved_cursor(&mut self, cursor: &Cursor<Cell>) {
        let Point { line, column } = cursor.point;
        self.write(format_args!("\x1b[{};{}H", line.0 + 1, column.0 + 1));
        self.pen_of(&cursor.template);
        self.charsets(cursor);
        self.out.push_str("\x1b7");
    }

    /// Makes the pen plain after `saved_cursor`.
    fn plain_pen(&mut self, cursor: &Cursor<Cell>) {
        self.pen(&Style::DEFAULT, None);
        if cursor.charsets != Charsets::default() {
            self.out.push_str("\x1b(B\x1b)B\x1b*B\x1b+B");
        }
    }

    fn modes(&mut self, model: &Model) {
        let on = |mode| model.modes.has(mode);
        if model.region != model.whole_region() {
            let (top, bottom) = (model.region.start.0 + 1, model.region.end.0);
            self.write(format_args!("\x1b[{top};{bottom}r"));
        }
        for (wanted, sequence) in [
            (on(Modes::INSERT), "\x1b[4h"),
            (on(Modes::NEW_LINE), "\x1b[20h"),
            (on(Modes::APP_CURSOR), "\x1b[?1h"),
            (on(Modes::REVERSE), "\x1b[?5h"),
            (on(Modes::ORIGIN), "\x1b[?6h"),
            (!on(Modes::WRAP), "\x1b[?7l"),
            (on(Modes::BLINK), "\x1b[?12h"),
            (!on(Modes::SHOW_CURSOR), "\x1b[?25l"),
            (on(Modes::FOCUS), "\x1b[?1004h"),
            (on(Modes::PASTE), "\x1b[?2004h"),
            (model.modes.alternate_scroll == Some(true), "\x1b[?1007h"),
            (model.modes.alternate_scroll == Some(false), "\x1b[?1007l"),
            (on(Modes::APP_KEYPAD), "\x1b="),
        ] {
            if wanted {
                self.out.push_str(sequence);
            }
        }
        for number in [model.modes.mouse.0, model.modes.mouse_encoding] {
            if number != 0 {
                self.write(format_args!("\x1b[?{number}h"));
            }
        }
        if model.modify_other_keys != 0 {
            self.write(format_args!("\x1b[>4;{}m", model.modify_other_keys));
        }
        if let Some((shape, blinks)) = model.cursor_style {
            self.write(format_args!("\x1b[{} q", cursor_style_number(shape, blinks)));
        }
    }

    fn go_to(&mut self, model: &Model, point: Point) {
        let top = if model.modes.has(Modes::ORIGIN) { model.region.start.0 } else { 0 };
        self.write(format_args!("\x1b[{};{}H", point.line.0 - top + 1, point.column.0 + 1));
    }

    /// Puts cursor and pen where they are, and repeats the last character if it was the last thing that
    /// happened, so that what joins or repeats it finds it.
    fn cursor(&mut self, model: &Model) {
        let cursor = &model.grid.cursor;
        let row = &model.grid[cursor.point.line];
        let mut point = cursor.point;
        if cursor.input_needs_wrap {
            if row[point.column].flags.contains(Flags::WIDE_CHAR_SPACER)
                && !is_orphan(row, point.column.0)
            {
                point.column -= 1;
            }
            self.go_to(model, point);
            self.cells(row, point.column.0..row.len(), Blanks::Print, true);
        } else {
            self.go_to(model, point);
        }
        self.pen_of(&cursor.template);
        self.charsets(cursor);
        self.out.push_str(match model.charset {
            CharsetIndex::G0 => "",
            CharsetIndex::G1 => "\x0e",
            CharsetIndex::G2 => "\x1bn",
            CharsetIndex::G3 => "\x1bo",
        });
        if !model.modes.has(Modes::UPDATE) {
            self.out.push_str("\x1b[?2026l");
        }
        if let Some((point, c)) = last_character(model) {
            self.go_to(model, point);
            self.out.push(c);
            self.out.extend(model.grid[point.line][point.column].zerowidth().into_iter().flatten());
        }
    }
}

/// Whether half of a wide character stands alone.
fn is_orphan(row: &Row<Cell>, column: usize) -> bool {
    let flags = |column: usize| row[Column(column)].flags;
    if flags(column).contains(Flags::WIDE_CHAR) {
        column + 1 >= row.len() || !flags(column + 1).contains(Flags::WIDE_CHAR_SPACER)
    } else {
        flags(column).contains(Flags::WIDE_CHAR_SPACER)
            && (column == 0 || !flags(column - 1).contains(Flags::WIDE_CHAR))
    }
}

fn starts_with_text(row: &Row<Cell>) -> bool {
    !row[Column(0)].flags.contains(Flags::WIDE_CHAR_SPACER)
}

/// Whether printing a line and then the next leaves the line's last cell as it is.
fn ends_with_text(row: &Row<Cell>, next: &Row<Cell>) -> bool {
    let last = &row[Column(row.len() - 1)];
    if last.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER) {
        let first = &next[Column(0)];
        return first.flags.contains(Flags::WIDE_CHAR) && Style::of(first) == Style::of(last);
    }
    !is_orphan(row, row.len() - 1)
}

/// Where the last character stands, if printing it again changes nothing else.
fn last_character(model: &Model) -> Option<(Point, char)> {
    let raw = model.last?;
    let cursor = &model.grid.cursor;
    if model.modes.has(Modes::INSERT) {
        return None;
    }
    let row = &model.grid[cursor.point.line];
    let mut point = cursor.point;
    if !cursor.input_needs_wrap {
        point.column = Column(point.column.0.checked_sub(1)?);
    }
    if row[point.column].flags.contains(Flags::WIDE_CHAR_SPACER) {
        point.column = Column(point.column.0.checked_sub(1)?);
    }
    let cell = &row[point.column];
    let same = cell.c == cursor.charsets[model.charset].map(raw)
        && Style::of(cell) == Style::of(&cursor.template)
        && cell.hyperlink() == cursor.template.hyperlink()
        && !is_orphan(row, point.column.0);
    same.then_some((point, raw))
}
