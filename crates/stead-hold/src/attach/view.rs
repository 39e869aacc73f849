//! A session of another size than this terminal: the part around the cursor, drawn from a model.

use crate::term::Terminal;
use stead_wire::session::Size;

/// The session's screen, and what of it this terminal shows.
pub struct View {
    model: Terminal,
    window: Size,
    read_only: bool,
    drawn: Vec<Vec<u8>>,
    dirty: bool,
}

impl View {
    /// A session of size `session` in a terminal of size `window`.
    pub fn new(session: Size, window: Size, read_only: bool) -> Self {
        View { model: Terminal::new(session), window, read_only, drawn: Vec::new(), dirty: true }
    }

    /// One of the sizes has changed.
    pub fn resize(&mut self, session: Size, window: Size) {
        self.model.resize(session);
        self.window = window;
        self.drawn.clear();
        self.dirty = true;
    }

    /// Output of the session.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.model.feed(bytes);
        // The hold has answered whatever the output asked.
        let _ = self.model.take_replies();
        let _ = self.model.take_signals();
        self.dirty = true;
    }

    /// Draws what has changed since the last time.
    pub fn draw(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let session = self.model.size();
        // The last row says why the picture does not fill or fit, where there is a row to spare.
        let hint = self.window.rows > 4;
        let height = self.window.rows - u16::from(hint);
        let (col, row, visible) = self.model.cursor();
        let left = first_shown(col, self.window.cols, session.cols);
        let top = first_shown(row, height, session.rows);
        let mut lines: Vec<Vec<u8>> = (top..session.rows.min(top + height))
            .map(|row| self.model.row_ansi(row, left, self.window.cols).into_bytes())
            .collect();
        lines.resize(usize::from(height), Vec::new());
        if hint {
            let text = if self.read_only {
                format!(" session is {session} ")
            } else {
                format!(" session is {session}; prefix t takes the size ")
            };
            let text: String = text.chars().take(usize::from(self.window.cols)).collect();
            lines.push(format!("\x1b[7m{text}\x1b[0m").into_bytes());
        }
        out.extend_from_slice(b"\x1b[?2026h\x1b[?25l");
        for (at, line) in lines.iter().enumerate() {
            if self.drawn.get(at) != Some(line) {
                out.extend_from_slice(format!("\x1b[{};1H\x1b[0m\x1b[2K", at + 1).as_bytes());
                out.extend_from_slice(line);
            }
        }
        if visible {
            let (row, col) = (row - top + 1, col - left + 1);
            out.extend_from_slice(format!("\x1b[{row};{col}H\x1b[?25h").as_bytes());
        }
        out.extend_from_slice(b"\x1b[?2026l");
        self.drawn = lines;
    }
}

/// The first row or column shown, so that the cursor is in sight.
fn first_shown(cursor: u16, window: u16, session: u16) -> u16 {
    if session <= window || cursor < window {
        0
    } else {
        (cursor + 1 - window).min(session - window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_sight() {
        assert_eq!(first_shown(5, 80, 200), 0);
        assert_eq!(first_shown(80, 80, 200), 1);
        assert_eq!(first_shown(199, 80, 200), 120);
        assert_eq!(first_shown(30, 80, 40), 0);
    }
}
