//! The lines above the screen.

use super::model::Model;
use super::paint;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::Line;
use alacritty_terminal::vte::Parser;
use stead_wire::session::Size;

/// The lines that have scrolled off above the last screen, oldest first and at most `lines` of them, for a terminal
/// of this size that was given `raw`. Each ends with a plain pen and CR LF; a line that was wrapped is one line,
/// counted by its rows. Only the primary screen counts.
pub fn scrollback(raw: &[u8], size: Size, lines: usize) -> Vec<u8> {
    let mut model = Model::new(size, lines);
    Parser::<1024>::new().advance(&mut model, raw);
    let grid = model.primary.as_ref().unwrap_or(&model.grid);
    let cols = usize::from(model.size.cols);
    let mut out = Vec::new();
    for line in -(grid.history_size() as i32)..0 {
        let row = &grid[Line(line)];
        // The rest of a wrapped line may still be on the screen.
        let goes_on = paint::wraps(row) && cols == row.len() && line < -1;
        let end = if goes_on { cols } else { paint::content_end(row, cols) };
        out.extend_from_slice(paint::row(grid, Line(line), 0, end).as_bytes());
        if !goes_on {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(raw: &str, lines: usize) -> String {
        String::from_utf8(scrollback(raw.as_bytes(), Size { cols: 10, rows: 3 }, lines)).unwrap()
    }

    #[test]
    fn what_scrolled_off_and_no_more() {
        let raw = "1\r\n\x1b[31mtwo\x1b[m x\r\n3\r\n4\r\n5\r\n6";
        assert_eq!(lines(raw, 10), "1\r\n\x1b[31mtwo\x1b[m x\r\n3\r\n");
        assert_eq!(lines(raw, 1), "3\r\n");
        assert_eq!(lines(raw, 0), "");
        assert_eq!(lines("few\r\nlines", 10), "");
    }

    #[test]
    fn a_wrapped_line_is_one() {
        assert_eq!(lines("0123456789abc\r\n\r\n\r\n", 10), "0123456789abc\r\n");
        assert_eq!(lines("0123456789\r\n\r\n\r\n", 10), "0123456789\r\n");
    }

    #[test]
    fn the_alternate_screen_does_not_count() {
        assert_eq!(lines("a\r\nb\r\nc\r\nd\x1b[?1049hx\r\nx\r\nx\r\nx\r\nx", 10), "a\r\n");
    }
}
