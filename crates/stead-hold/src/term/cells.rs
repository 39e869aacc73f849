//! Operations on the cells of a line that leave no half of a wide character.

use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use std::ops::Range;

/// Puts right what a change of size may leave behind: cursors off the grid, halves of wide characters.
pub fn mend(grid: &mut Grid<Cell>) {
    for line in 0..grid.screen_lines() as i32 {
        let cells = &mut grid[Line(line)][..];
        for column in 0..cells.len() {
            let alone = (is_wide(&cells[column]) && !cells.get(column + 1).is_some_and(is_spacer))
                || (is_spacer(&cells[column]) && (column == 0 || !is_wide(&cells[column - 1])));
            if alone {
                cells[column].clear_wide();
                cells[column].flags.remove(Flags::WIDE_CHAR_SPACER);
            }
        }
    }
    let (last_line, last_column) = (grid.screen_lines() as i32 - 1, grid.columns() - 1);
    for cursor in [&mut grid.cursor, &mut grid.saved_cursor] {
        cursor.point.line = Line(cursor.point.line.0.clamp(0, last_line));
        cursor.point.column = Column(cursor.point.column.0.min(last_column));
        cursor.input_needs_wrap &= cursor.point.column.0 == last_column;
    }
}

pub fn is_wide(cell: &Cell) -> bool {
    cell.flags.contains(Flags::WIDE_CHAR)
}

pub fn is_spacer(cell: &Cell) -> bool {
    cell.flags.contains(Flags::WIDE_CHAR_SPACER)
}

/// Erases cells; of a wide character that is cut in two, the other half goes too.
pub fn erase_cells(cells: &mut [Cell], columns: Range<usize>, blank: &Cell) {
    let Range { start, end } = columns;
    if start >= end {
        return;
    }
    if start > 0 && is_wide(&cells[start - 1]) {
        cells[start - 1] = blank.clone();
    }
    if end < cells.len() && is_wide(&cells[end - 1]) {
        cells[end] = blank.clone();
    }
    cells[start..end].fill(blank.clone());
}

/// Moves the cells from `at` on to the right and leaves blanks.
pub fn insert_cells(cells: &mut [Cell], at: usize, count: usize, blank: &Cell) {
    if at > 0 && is_wide(&cells[at - 1]) {
        cells[at - 1] = blank.clone();
        cells[at].flags.remove(Flags::WIDE_CHAR_SPACER);
    }
    let count = count.min(cells.len() - at);
    cells[at..].rotate_right(count);
    cells[at..at + count].fill(blank.clone());
    if let Some(last) = cells.last_mut().filter(|last| is_wide(last)) {
        *last = blank.clone();
    }
}

/// Moves the cells after the `count` from `at` on to the left and leaves blanks at the end.
pub fn delete_cells(cells: &mut [Cell], at: usize, count: usize, blank: &Cell) {
    let count = count.min(cells.len() - at);
    let length = cells.len();
    cells[at..].rotate_left(count);
    cells[length - count..].fill(blank.clone());
    if at > 0 && is_wide(&cells[at - 1]) {
        cells[at - 1] = blank.clone();
    }
    if is_spacer(&cells[at]) {
        cells[at] = blank.clone();
    }
}
