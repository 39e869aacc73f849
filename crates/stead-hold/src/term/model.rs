//! The state of a terminal and the operations on its grid.
//!
//! Grid, cells and reflow are `alacritty_terminal`'s. The operations are here because terminals differ in small
//! things (what becomes of half a wide character, when a pending wrap is forgotten), and a repaint is exact only
//! if the model does what the terminals in front of people do. Where those disagree, this follows xterm.js.

use super::cells::{delete_cells, erase_cells, insert_cells, mend};
use super::keyboard::Keyboard;
use super::modes::{Modes, Mouse};
use super::palette::Palette;
use super::signal::Signal;
use alacritty_terminal::grid::{Cursor, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{CharsetIndex, CursorShape, StandardCharset};
use alacritty_terminal::{grid::Dimensions, index::Point};
use std::ops::Range;
use stead_wire::session::Size;
use unicode_width::UnicodeWidthChar;

/// The bit of a cell's flags that the library leaves free: the cell blinks.
pub const BLINK: Flags = Flags::from_bits_retain(0x8000);

/// Most combining characters that one cell keeps.
const MAX_COMBINING: usize = 32;

/// Most entries of the title stack and of a kitty keyboard stack.
pub const MAX_STACK: usize = 16;

/// Most characters of a title that are kept.
const MAX_TITLE: usize = 1024;

/// The state of a terminal.
pub struct Model {
    /// The size that the program sees. The grid is at least two columns wide.
    pub size: Size,
    /// The screen in use.
    pub grid: Grid<Cell>,
    /// The primary screen while the alternate one is in use.
    pub primary: Option<Grid<Cell>>,
    /// Modes.
    pub modes: Modes,
    /// Rows that scroll.
    pub region: Range<Line>,
    /// Where tabs stop, one entry a column.
    pub tabs: Vec<bool>,
    /// Which of the cursor's four character sets is in use.
    pub charset: CharsetIndex,
    /// The cursor's shape and whether it blinks, if the program set it.
    pub cursor_style: Option<(CursorShape, bool)>,
    /// The window's title.
    pub title: String,
    /// Titles saved by the program.
    pub titles: Vec<String>,
    /// Kitty keyboard flags of the primary and of the alternate screen.
    pub keyboards: [Keyboard; 2],
    /// xterm's modifyOtherKeys.
    pub modify_other_keys: u8,
    /// Colours.
    pub palette: Palette,
    /// The last character, if it was printed by the very last thing that happened: what REP repeats and what a
    /// combining character joins.
    pub last: Option<char>,
    /// Answers to queries.
    pub replies: Vec<u8>,
    /// What the program told the terminal to tell the person.
    pub signals: Vec<Signal>,
    /// The device control string that is being received.
    pub control_string: Option<(super::reply::Request, Vec<u8>)>,
}

impl Model {
    /// An empty terminal that keeps so many lines that scroll off.
    pub fn new(size: Size, history: usize) -> Self {
        let size = size.clamped();
        let (cols, rows) = dimensions(size);
        Model {
            size,
            grid: Grid::new(rows, cols, history),
            primary: None,
            modes: Modes::default(),
            region: Line(0)..Line(rows as i32),
            tabs: (0..cols).map(default_tab).collect(),
            charset: CharsetIndex::G0,
            cursor_style: None,
            title: String::new(),
            titles: Vec::new(),
            keyboards: Default::default(),
            modify_other_keys: 0,
            palette: Palette::default(),
            last: None,
            replies: Vec::new(),
            signals: Vec::new(),
            control_string: None,
        }
    }

    /// Columns of the grid.
    pub fn cols(&self) -> usize {
        self.grid.columns()
    }

    /// Rows of the grid.
    pub fn rows(&self) -> i32 {
        self.grid.screen_lines() as i32
    }

    /// Whether the alternate screen is in use.
    pub fn alternate(&self) -> bool {
        self.primary.is_some()
    }

    /// The kitty keyboard flags of the screen in use.
    pub fn keyboard(&mut self) -> &mut Keyboard {
        &mut self.keyboards[usize::from(self.primary.is_some())]
    }

    /// The region in which lines scroll when it is the whole screen.
    pub fn whole_region(&self) -> Range<Line> {
        Line(0)..Line(self.rows())
    }

    /// Changes the size. Text of the primary screen is wrapped anew.
    pub fn resize(&mut self, size: Size) {
        let size = size.clamped();
        let (cols, rows) = dimensions(size);
        self.size = size;
        if cols == self.cols() && rows == self.rows() as usize {
            return;
        }
        if cols != self.cols() {
            let old = self.tabs.len();
            self.tabs.truncate(cols);
            self.tabs.extend((old.min(cols)..cols).map(default_tab));
        }
        self.grid.resize(self.primary.is_none(), rows, cols);
        mend(&mut self.grid);
        if let Some(primary) = &mut self.primary {
            primary.resize(true, rows, cols);
            mend(primary);
        }
        self.region = self.whole_region();
        self.last = None;
    }

    /// Prints a character.
    pub fn print(&mut self, raw: char) {
        let (c, width) = if raw < '\u{7f}' {
            (self.grid.cursor.charsets[self.charset].map(raw), 1)
        } else {
            match raw.width() {
                None => return,
                Some(0) => {
                    self.combine(raw);
                    return;
                }
                Some(width) => (raw, width),
            }
        };
        self.last = Some(raw);
        let cols = self.cols();
        let mut point = self.grid.cursor.point;
        if self.grid.cursor.input_needs_wrap && self.modes.has(Modes::WRAP) {
            self.wrap();
            point = self.grid.cursor.point;
        }
        let no_room = width == 2 && point.column.0 + 1 >= cols;
        if no_room && !self.modes.has(Modes::WRAP) {
            self.grid.cursor.input_needs_wrap = false;
            return;
        }
        if point.column.0 > 0 && self.cell(point).flags.contains(Flags::WIDE_CHAR_SPACER) {
            let blank = self.blank_of_pen();
            self.grid[point.line][point.column - 1] = blank;
        }
        if no_room {
            let mut spacer = self.blank_of_pen();
            spacer.flags.insert(Flags::LEADING_WIDE_CHAR_SPACER);
            self.grid[point.line][point.column] = spacer;
            self.wrap();
            point = self.grid.cursor.point;
        }
        if self.modes.has(Modes::INSERT) {
            let blank = self.blank_of_pen();
            insert_cells(&mut self.grid[point.line][..], point.column.0, width, &blank);
        }

        let template = &self.grid.cursor.template;
        let (fg, bg, flags, extra) =
            (template.fg, template.bg, template.flags, template.extra.clone());
        let row = &mut self.grid[point.line];
        let cell = &mut row[point.column];
        cell.c = c;
        cell.fg = fg;
        cell.bg = bg;
        cell.flags = flags;
        cell.extra = extra;
        let mut next = point.column + 1;
        if width == 2 {
            cell.flags.insert(Flags::WIDE_CHAR);
            let extra = cell.extra.clone();
            row[next] = Cell { c: ' ', fg, bg, flags: flags | Flags::WIDE_CHAR_SPACER, extra };
            next += 1;
        }
        if next.0 < cols {
            if row[next].flags.contains(Flags::WIDE_CHAR_SPACER) {
                let extra = row[point.column].extra.clone();
                row[next] = Cell { c: ' ', fg, bg, flags, extra };
            }
            self.grid.cursor.point.column = next;
            self.grid.cursor.input_needs_wrap = false;
        } else {
            self.grid.cursor.point.column = Column(cols - 1);
            self.grid.cursor.input_needs_wrap = true;
        }
    }

    fn combine(&mut self, c: char) {
        let Point { line, mut column } = self.grid.cursor.point;
        if !self.grid.cursor.input_needs_wrap {
            column = Column(column.saturating_sub(1));
        }
        if self.grid[line][column].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = Column(column.saturating_sub(1));
        }
        let cell = &mut self.grid[line][column];
        if cell.zerowidth().map_or(0, <[char]>::len) < MAX_COMBINING {
            cell.push_zerowidth(c);
        }
    }

    fn cell(&self, point: Point) -> &Cell {
        &self.grid[point.line][point.column]
    }

    /// A blank with the pen's colours and attributes.
    fn blank_of_pen(&self) -> Cell {
        Cell { c: ' ', ..self.grid.cursor.template.clone() }
    }

    /// What erasing leaves: nothing, on the pen's background.
    fn blank(&self) -> Cell {
        Cell::from(self.grid.cursor.template.bg)
    }

    fn wrap(&mut self) {
        let Point { line, .. } = self.grid.cursor.point;
        let last = Column(self.cols() - 1);
        self.grid[line][last].flags.insert(Flags::WRAPLINE);
        self.line_feed();
        self.grid.cursor.point.column = Column(0);
    }

    /// Down one line, scrolling at the end of the region.
    pub fn line_feed(&mut self) {
        self.grid.cursor.input_needs_wrap = false;
        let next = self.grid.cursor.point.line + 1;
        if next == self.region.end {
            self.grid.scroll_up(&self.region.clone(), 1);
        } else if next < self.rows() {
            self.grid.cursor.point.line = next;
        }
    }

    /// Up one line, scrolling at the top of the region.
    pub fn reverse_line_feed(&mut self) {
        self.grid.cursor.input_needs_wrap = false;
        let line = self.grid.cursor.point.line;
        if line == self.region.start {
            self.grid.scroll_down(&self.region.clone(), 1);
        } else if line > 0 {
            self.grid.cursor.point.line -= 1;
        }
    }

    /// Moves the region's lines up or down.
    pub fn scroll(&mut self, up: bool, count: usize) {
        self.scroll_from(self.region.start, up, count);
    }

    fn scroll_from(&mut self, start: Line, up: bool, count: usize) {
        let region = start..self.region.end;
        let count = count.min((region.end - region.start).0 as usize);
        if up {
            self.grid.scroll_up(&region, count);
        } else {
            self.grid.scroll_down(&region, count);
        }
    }

    /// Inserts or deletes lines at the cursor.
    pub fn shift_lines(&mut self, delete: bool, count: usize) {
        self.grid.cursor.input_needs_wrap = false;
        let line = self.grid.cursor.point.line;
        if self.region.contains(&line) {
            self.scroll_from(line, delete, count);
            self.grid.cursor.point.column = Column(0);
        }
    }

    /// Puts the cursor at a row and column, both within the screen and, in origin mode, the region.
    pub fn set_cursor(&mut self, line: i32, column: usize) {
        let (top, bottom) = if self.modes.has(Modes::ORIGIN) {
            (self.region.start.0, self.region.end.0 - 1)
        } else {
            (0, self.rows() - 1)
        };
        let last = self.cols() - 1;
        let cursor = &mut self.grid.cursor;
        cursor.point.line = Line(line.clamp(top, bottom));
        cursor.point.column = Column(column.min(last));
        cursor.input_needs_wrap = false;
    }

    /// Puts the cursor at a row and column counted from the origin.
    pub fn go_to(&mut self, line: i32, column: usize) {
        let origin = if self.modes.has(Modes::ORIGIN) { self.region.start.0 } else { 0 };
        self.set_cursor(line.saturating_add(origin), column);
    }

    /// Moves the cursor up or down; it stops at the edge of the region if it comes from within.
    pub fn move_rows(&mut self, by: i32) {
        let Point { line, column } = self.grid.cursor.point;
        let mut target = line.0.saturating_add(by);
        if by < 0 && line >= self.region.start {
            target = target.max(self.region.start.0);
        } else if by > 0 && line < self.region.end {
            target = target.min(self.region.end.0 - 1);
        }
        self.set_cursor(target, column.0);
    }

    /// Moves the cursor left or right.
    pub fn move_columns(&mut self, by: i32) {
        let Point { line, column } = self.grid.cursor.point;
        self.set_cursor(line.0, (column.0 as i32).saturating_add(by).max(0) as usize);
    }

    /// Moves the cursor to a later tab stop, or to an earlier one.
    pub fn tab(&mut self, forward: bool, count: usize) {
        if self.grid.cursor.input_needs_wrap {
            return;
        }
        for _ in 0..count.min(self.cols()) {
            let column = self.grid.cursor.point.column.0;
            self.grid.cursor.point.column = Column(if forward {
                let stops = self.tabs.iter().enumerate().skip(column + 1);
                stops.filter(|(_, set)| **set).map(|(i, _)| i).next().unwrap_or(self.cols() - 1)
            } else {
                self.tabs[..column].iter().rposition(|set| *set).unwrap_or(0)
            });
        }
    }

    /// Sets or clears the tab stop at the cursor.
    pub fn set_tab(&mut self, set: bool) {
        if !self.grid.cursor.input_needs_wrap {
            let column = self.grid.cursor.point.column.0;
            self.tabs[column] = set;
        }
    }

    /// Erases columns of the cursor's line.
    pub fn erase_in_line(&mut self, columns: Range<usize>) {
        let line = self.grid.cursor.point.line;
        let blank = self.blank();
        erase_cells(&mut self.grid[line][..], columns, &blank);
    }

    /// Erases `count` columns from the cursor on.
    pub fn erase_chars(&mut self, count: usize) {
        self.grid.cursor.input_needs_wrap = false;
        let column = self.grid.cursor.point.column.0;
        self.erase_in_line(column..(column + count).min(self.cols()));
    }

    /// The columns from the cursor to the end of its line; none while a wrap is pending.
    pub fn rest_of_line(&self) -> Range<usize> {
        let start = if self.grid.cursor.input_needs_wrap {
            self.cols()
        } else {
            self.grid.cursor.point.column.0
        };
        start..self.cols()
    }

    /// The columns up to and including the cursor.
    pub fn start_of_line(&self) -> Range<usize> {
        0..self.grid.cursor.point.column.0 + 1
    }

    /// Erases whole lines.
    pub fn erase_lines(&mut self, lines: Range<Line>) {
        if lines.start < lines.end {
            self.grid.reset_region(lines);
        }
    }

    /// Inserts blanks at the cursor.
    pub fn insert_chars(&mut self, count: usize) {
        self.grid.cursor.input_needs_wrap = false;
        let Point { line, column } = self.grid.cursor.point;
        let blank = self.blank();
        insert_cells(&mut self.grid[line][..], column.0, count, &blank);
    }

    /// Deletes characters at the cursor.
    pub fn delete_chars(&mut self, count: usize) {
        self.grid.cursor.input_needs_wrap = false;
        let Point { line, column } = self.grid.cursor.point;
        let blank = self.blank();
        delete_cells(&mut self.grid[line][..], column.0, count, &blank);
    }

    /// Fills the screen with the letter E.
    pub fn align(&mut self) {
        self.modes.set(Modes::ORIGIN, false);
        self.region = self.whole_region();
        self.go_to(0, 0);
        let mut cell = self.blank_of_pen();
        cell.c = 'E';
        cell.extra = None;
        for line in 0..self.rows() {
            self.grid[Line(line)][..].fill(cell.clone());
        }
    }

    /// Saves the cursor: where it is, its pen, its character sets.
    pub fn save_cursor(&mut self) {
        self.grid.saved_cursor = self.grid.cursor.clone();
    }

    /// Brings the saved cursor back. A pending wrap is not brought back.
    pub fn restore_cursor(&mut self) {
        self.grid.cursor = self.grid.saved_cursor.clone();
        let Point { line, column } = self.grid.cursor.point;
        self.set_cursor(line.0, column.0);
    }

    /// Goes to the alternate screen, which starts out empty.
    pub fn enter_alternate(&mut self) {
        if self.primary.is_some() {
            return;
        }
        let mut grid = Grid::new(self.rows() as usize, self.cols(), 0);
        grid.cursor = self.grid.cursor.clone();
        grid.reset_region(..);
        self.primary = Some(std::mem::replace(&mut self.grid, grid));
    }

    /// Goes back to the primary screen; cursor and pen stay as they are.
    pub fn leave_alternate(&mut self) {
        if let Some(mut primary) = self.primary.take() {
            primary.cursor = self.grid.cursor.clone();
            self.grid = primary;
        }
    }

    /// Sets the region that scrolls, from 1-based rows; 0 stands for the default.
    pub fn set_region(&mut self, top: u16, bottom: u16) {
        let rows = self.rows();
        let top = i32::from(top.max(1));
        let bottom = if bottom == 0 { rows } else { i32::from(bottom).min(rows) };
        if top < bottom {
            self.region = Line(top - 1)..Line(bottom);
            self.go_to(0, 0);
        }
    }

    /// Sets the title.
    pub fn set_title(&mut self, title: &str) {
        let title: String = title.chars().filter(|c| !c.is_control()).take(MAX_TITLE).collect();
        if title != self.title {
            self.title.clone_from(&title);
            self.signals.push(Signal::Title(title));
        }
    }

    /// Saves the title.
    pub fn push_title(&mut self) {
        if self.titles.len() == MAX_STACK {
            self.titles.remove(0);
        }
        self.titles.push(self.title.clone());
    }

    /// Brings the last saved title back.
    pub fn pop_title(&mut self) {
        if let Some(title) = self.titles.pop() {
            self.set_title(&title);
        }
    }

    /// The soft reset, DECSTR.
    pub fn soft_reset(&mut self) {
        let Modes { mouse, mouse_encoding, alternate_scroll, .. } = self.modes;
        self.modes = Modes { mouse, mouse_encoding, alternate_scroll, ..Modes::default() };
        self.region = self.whole_region();
        self.charset = CharsetIndex::G0;
        self.cursor_style = None;
        self.grid.cursor.template = Cell::default();
        for index in [CharsetIndex::G0, CharsetIndex::G1, CharsetIndex::G2, CharsetIndex::G3] {
            self.grid.cursor.charsets[index] = StandardCharset::Ascii;
        }
        self.grid.saved_cursor = Cursor::default();
        *self.keyboard() = Keyboard::default();
        self.modify_other_keys = 0;
    }

    /// The full reset, RIS. The title stays.
    pub fn full_reset(&mut self) {
        if let Some(primary) = self.primary.take() {
            self.grid = primary;
        }
        self.soft_reset();
        self.modes.mouse = Mouse::default();
        self.modes = Modes::default();
        self.grid.reset();
        self.grid.reset_region(..);
        self.tabs = (0..self.cols()).map(default_tab).collect();
        self.keyboards = Default::default();
        self.palette.reset_all();
    }
}

fn dimensions(size: Size) -> (usize, usize) {
    (usize::from(size.cols).max(2), usize::from(size.rows).max(1))
}

/// Whether a tab stops at this column before the program says otherwise.
pub fn default_tab(column: usize) -> bool {
    column.is_multiple_of(8)
}
