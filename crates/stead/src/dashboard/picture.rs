//! A session's screen, or the part of it around the cursor, ready to be drawn.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use stead_hold::term::Terminal;
use stead_wire::session::Size;

/// What the preview shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// Lines of the screen.
    pub lines: Vec<Line<'static>>,
    /// Column and row of the cursor in them, if it shows.
    pub cursor: Option<(u16, u16)>,
    /// What is to be said instead of, or above, a screen.
    pub note: Option<String>,
}

impl Picture {
    /// The part of the screen around the cursor that fits into `pane`.
    pub fn of(terminal: &Terminal, pane: Size) -> Self {
        let screen = terminal.size();
        let (col, row, visible) = terminal.cursor();
        let left = first_shown(col, pane.cols, screen.cols, 0);
        // Blank rows at the end of the screen are the first to go.
        let text = terminal.text();
        let used = text.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        let used = u16::try_from(used).unwrap_or(screen.rows).max(row + 1);
        let top = first_shown(row, pane.rows, used, pane.rows / 4);
        let rows = top..screen.rows.min(top.saturating_add(pane.rows));
        let lines = rows.map(|row| line(&terminal.row_ansi(row, left, pane.cols))).collect();
        let cursor = (col.wrapping_sub(left), row.wrapping_sub(top));
        let inside = cursor.0 < pane.cols && cursor.1 < pane.rows;
        Picture { lines, cursor: (visible && inside).then_some(cursor), note: None }
    }
}

/// The first row or column shown: the cursor is in sight, with so much of the window behind it. Agents write their
/// status below the line they read.
fn first_shown(cursor: u16, window: u16, screen: u16, behind: u16) -> u16 {
    let before = window.saturating_sub(behind + 1);
    cursor.saturating_sub(before).min(screen.saturating_sub(window))
}

/// Text with SGR sequences as styled text. Other sequences are left out.
fn line(ansi: &str) -> Line<'static> {
    let mut spans = Vec::new();
    let mut style = Style::new();
    let mut rest = ansi;
    while !rest.is_empty() {
        let end = rest.find('\x1b').unwrap_or(rest.len());
        if end > 0 {
            spans.push(Span::styled(rest[..end].to_owned(), style));
        }
        rest = &rest[end..];
        if let Some(body) = rest.strip_prefix("\x1b[") {
            let end = body.find(|c: char| ('@'..='~').contains(&c)).unwrap_or(body.len());
            if body[end..].starts_with('m') {
                sgr(&body[..end], &mut style);
            }
            rest = body.get(end + 1..).unwrap_or("");
        } else if let Some(body) = rest.strip_prefix("\x1b]") {
            // A hyperlink: up to BEL or ST.
            let end = body.find(['\x07', '\x1b']).unwrap_or(body.len());
            let body = &body[end..];
            rest = body.strip_prefix("\x1b\\").or_else(|| body.strip_prefix('\x07')).unwrap_or("");
        } else {
            rest = rest.get(1..).unwrap_or("");
        }
    }
    Line::from(spans)
}

/// Applies the parameters of one SGR sequence.
fn sgr(parameters: &str, style: &mut Style) {
    let mut groups = parameters.split(';').map(|group| {
        let mut numbers = group.split(':').map(|n| n.parse::<u16>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.collect::<Vec<_>>())
    });
    while let Some((code, sub)) = groups.next() {
        let mut color = || {
            if sub.is_empty() {
                let kind = groups.next()?.0;
                let count = if kind == 5 { 1 } else { 3 };
                let numbers: Vec<u16> = groups.by_ref().take(count).map(|(n, _)| n).collect();
                extended(kind, &numbers)
            } else {
                // `38:2::r:g:b` has an empty colour space before the colour.
                extended(sub[0], &sub[sub.len().saturating_sub(if sub[0] == 5 { 1 } else { 3 })..])
            }
        };
        *style = match code {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 if sub.first() == Some(&0) => style.remove_modifier(Modifier::UNDERLINED),
            4 | 21 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            8 => style.add_modifier(Modifier::HIDDEN),
            9 => style.add_modifier(Modifier::CROSSED_OUT),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => style.remove_modifier(Modifier::ITALIC),
            24 => style.remove_modifier(Modifier::UNDERLINED),
            27 => style.remove_modifier(Modifier::REVERSED),
            28 => style.remove_modifier(Modifier::HIDDEN),
            29 => style.remove_modifier(Modifier::CROSSED_OUT),
            30..=37 => style.fg(basic(code - 30)),
            38 => color().map_or(*style, |c| style.fg(c)),
            39 => style.fg(Color::Reset),
            40..=47 => style.bg(basic(code - 40)),
            48 => color().map_or(*style, |c| style.bg(c)),
            49 => style.bg(Color::Reset),
            // The underline's own colour takes its parameters and is not shown.
            58 => {
                color();
                *style
            }
            90..=97 => style.fg(basic(code - 90 + 8)),
            100..=107 => style.bg(basic(code - 100 + 8)),
            // Blinking would be drawn for ever, and it is somebody else's screen.
            _ => *style,
        };
    }
}

fn extended(kind: u16, numbers: &[u16]) -> Option<Color> {
    let byte = |n: u16| u8::try_from(n).ok();
    match (kind, numbers) {
        (5, [index]) => Some(Color::Indexed(byte(*index)?)),
        (2, [r, g, b]) => Some(Color::Rgb(byte(*r)?, byte(*g)?, byte(*b)?)),
        _ => None,
    }
}

fn basic(index: u16) -> Color {
    const COLORS: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    COLORS[usize::from(index) % 16]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_and_attributes_are_read() {
        let plain = Style::new();
        let line = line(
            "a\x1b[1;31mb\x1b[22;38;5;200;48;2;1;2;3mc\x1b[0;38:2::9:8:7;58:5:1;4:3md\x1b[4:0;39me\
             \x1b[m\x1b]8;;http://x\x1b\\f\x1b]8;;\x07g\x1b[97;7mh",
        );
        let bold = plain.fg(Color::Red).add_modifier(Modifier::BOLD);
        let expected = [
            ("a", plain),
            ("b", bold),
            (
                "c",
                bold.fg(Color::Indexed(200))
                    .bg(Color::Rgb(1, 2, 3))
                    .remove_modifier(Modifier::BOLD | Modifier::DIM),
            ),
            ("d", plain.fg(Color::Rgb(9, 8, 7)).add_modifier(Modifier::UNDERLINED)),
            ("e", plain.fg(Color::Reset).remove_modifier(Modifier::UNDERLINED)),
            ("f", plain),
            ("g", plain),
            ("h", plain.fg(Color::White).add_modifier(Modifier::REVERSED)),
        ];
        let seen: Vec<_> = line.spans.iter().map(|s| (s.content.as_ref(), s.style)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_cursor_is_in_sight_with_room_below() {
        assert_eq!(first_shown(10, 24, 24, 6), 0);
        assert_eq!(first_shown(39, 12, 40, 3), 28, "the last row is the last shown");
        assert_eq!(first_shown(20, 12, 40, 3), 12);
        assert_eq!(first_shown(3, 12, 40, 3), 0);
        assert_eq!(first_shown(31, 40, 80, 0), 0, "lines begin at their beginning if they can");
        assert_eq!(first_shown(40, 40, 80, 0), 1);
        assert_eq!(first_shown(7, 1, 40, 0), 7);
        assert_eq!(first_shown(7, 0, 40, 0), 7);
    }

    #[test]
    fn a_screen_is_cropped_around_its_cursor() {
        let mut terminal = Terminal::new(Size { cols: 40, rows: 30 });
        terminal.feed(b"top\x1b[25;31H\x1b[32mhere");
        let picture = Picture::of(&terminal, Size { cols: 20, rows: 8 });
        let (col, row) = picture.cursor.unwrap();
        assert_eq!((col, row), (19, 7), "the rows below it are blank");
        assert_eq!(picture.lines.len(), 8);
        let text = picture.lines[7].to_string();
        assert_eq!(text.trim_end(), format!("{}here", " ".repeat(15)));
        terminal.feed(b"\x1b[s\x1b[29;1Hstatus\x1b[u");
        assert_eq!(Picture::of(&terminal, Size { cols: 20, rows: 8 }).cursor, Some((19, 5)));
        let whole = Picture::of(&terminal, Size { cols: 80, rows: 50 });
        assert_eq!((whole.lines.len(), whole.cursor), (30, Some((34, 24))));
    }

    proptest! {
        #[test]
        fn any_line_is_read(text in "[\\x1b\\[\\];:m0-9ax\\x07é]{0,60}") {
            line(&text);
        }

        #[test]
        fn the_cursor_never_leaves_the_window(cursor in 0u16..500, window in 1u16..300, screen in 1u16..=500, behind: u16) {
            let cursor = cursor.min(screen - 1);
            let first = first_shown(cursor, window, screen, behind % window);
            prop_assert!(cursor >= first && cursor < first + window);
        }
    }
}
