//! What is drawn over the list: the form, the help, and lines that are typed into.

use super::super::form::{AGENTS, Field, Form};
use super::super::input::Input;
use super::super::keys::KEYS;
use super::{Theme, put};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

/// Draws a line that is typed into, scrolled so that the cursor is in sight. Where that is comes back.
pub fn input(frame: &mut Frame<'_>, area: Rect, label: &str, input: &Input) -> Position {
    let (before, after) = input.halves();
    let room = usize::from(area.width).saturating_sub(label.len() + 1);
    let mut start = 0;
    while Span::raw(&before[start..]).width() > room {
        start += before[start..].chars().next().map_or(1, char::len_utf8);
    }
    let before = &before[start..];
    let column = label.len() + Span::raw(before).width();
    put(frame, area, Line::raw(format!("{label}{before}{after}")));
    let last = area.width.saturating_sub(1);
    Position { x: area.x + u16::try_from(column).unwrap_or(last).min(last), y: area.y }
}

/// Draws the form for a new session. Where the cursor belongs comes back.
pub fn form(frame: &mut Frame<'_>, window: Rect, form: &Form, theme: Theme) -> Option<Position> {
    let inner = card(frame, window, "new session", 64, Field::ALL.len() as u16 + 3);
    // In a low window, the field that keys go to and what is wrong with it come first.
    let at = Field::ALL.iter().position(|f| *f == form.field).unwrap_or(0);
    let spare = u16::from(inner.height > 1);
    let first = (at + 1).saturating_sub(usize::from(inner.height - spare));
    let bottom = inner.y + inner.height;
    let mut cursor = None;
    for (field, y) in Field::ALL.iter().skip(first).zip(inner.y..bottom - spare) {
        let area = Rect { y, height: 1, ..inner };
        let here = *field == form.field;
        let label = format!("{:<8}", field.label());
        let (text, hint) = match field {
            Field::Name => (&form.name, "made up"),
            Field::Command if AGENTS[form.agent] == "shell" => (&form.command, "your shell"),
            Field::Command => (&form.command, "no arguments"),
            Field::Machine => (&form.machine, "host"),
            Field::Folder if form.machine.text().trim() != "host" => {
                (&form.folder, "as the machine says")
            }
            Field::Folder => (&form.folder, ""),
            Field::Agent => {
                agent(frame, area, &label, form.agent, here);
                continue;
            }
        };
        let position = typed(frame, area, &label, text, hint, here);
        cursor = here.then_some(position).or(cursor);
    }
    let last = Rect { y: bottom - 1, height: 1, ..inner };
    match (&form.error, form.busy) {
        (_, true) => put(frame, last, Line::styled("starting it", Theme::faint())),
        (Some(why), _) => {
            let height = inner.height.saturating_sub(Field::ALL.len() as u16).clamp(1, 2);
            let area = Rect { y: bottom - height, height, ..inner };
            let text = Paragraph::new(super::lines::clean(why)).wrap(Wrap { trim: true });
            frame.render_widget(text.style(theme.bad()), area);
        }
        // With no line to spare, the field itself is the last.
        (None, _) if spare > 0 && form.field == Field::Agent => {
            put(frame, last, Line::styled("left and right choose", Theme::faint()));
        }
        _ => {}
    }
    cursor.filter(|_| !form.busy)
}

fn typed(
    frame: &mut Frame<'_>,
    area: Rect,
    label: &str,
    text: &Input,
    hint: &str,
    here: bool,
) -> Position {
    let position = input(frame, area, label, text);
    let width = area.width.min(label.len() as u16);
    let style = if here { Theme::bold() } else { Theme::faint() };
    frame.buffer_mut().set_style(Rect { width, ..area }, style);
    if text.text().is_empty() && !hint.is_empty() {
        let rest = Rect { x: area.x + width, width: area.width - width, ..area };
        put(frame, rest, Line::styled(format!("({hint})"), Theme::faint()));
    }
    position
}

fn agent(frame: &mut Frame<'_>, area: Rect, label: &str, chosen: usize, here: bool) {
    let reversed = Theme::bold().add_modifier(Modifier::REVERSED);
    let mut spans =
        vec![Span::styled(label.to_owned(), if here { Theme::bold() } else { Theme::faint() })];
    let all: usize = label.len() + AGENTS.iter().map(|a| a.len() + 2).sum::<usize>();
    for (at, agent) in AGENTS.iter().enumerate() {
        let style = match (at == chosen, here) {
            (true, true) => reversed,
            (true, false) => Theme::bold(),
            (false, _) => Theme::faint(),
        };
        if at == chosen {
            spans.push(Span::styled(format!("[{agent}]"), style));
        } else if all <= usize::from(area.width) {
            spans.push(Span::styled(format!(" {agent} "), style));
        }
    }
    put(frame, area, Line::from(spans));
}

/// Draws the keys.
pub fn help(frame: &mut Frame<'_>, window: Rect, theme: Theme) {
    let legend = [
        ("!", "waiting for you", theme.waiting()),
        ("*", "running", Style::new()),
        ("-", "idle: its turn is over", Style::new()),
        ("?", "unknown", Style::new()),
        (". x", "ended well, ended badly", Style::new()),
    ];
    let rows = (KEYS.len() + legend.len()) as u16 + 1;
    let inner = card(frame, window, "keys", 50, rows);
    let keys = KEYS.iter().map(|(key, what)| (*key, *what, Theme::bold()));
    // A blank line stands between the two, where there is room for all of it.
    let blank = (inner.height >= rows).then_some(("", "", Style::new()));
    let column = if inner.width < 46 { 9 } else { 15 };
    for ((key, what, style), y) in
        keys.chain(blank).chain(legend).zip(inner.y..inner.y + inner.height)
    {
        // The first of several keys are enough where there is no room.
        let mut key = key;
        while key.len() >= column {
            key = key.rsplit_once(' ').map_or("", |(first, _)| first);
        }
        let line =
            Line::from(vec![Span::styled(format!("{key:<column$}"), style), Span::raw(what)]);
        put(frame, Rect { y, height: 1, ..inner }, line);
    }
}

/// A bordered area in the middle, above the footer; in small windows it is all of the rest, without a border.
fn card(frame: &mut Frame<'_>, window: Rect, title: &str, width: u16, rows: u16) -> Rect {
    let room = Rect { height: window.height.saturating_sub(1), ..window };
    if room.width < width.min(40) + 2 || room.height < rows + 2 {
        frame.render_widget(Clear, room);
        if room.height <= rows {
            return room;
        }
        put(frame, room, Line::styled(title.to_owned(), Theme::bold()));
        return Rect { y: room.y + 1, height: room.height - 1, ..room };
    }
    let width = (width + 4).min(room.width);
    let height = rows + 2;
    let x = room.x + (room.width - width) / 2;
    let y = room.y + (room.height - height) / 2;
    let area = Rect { x, y, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Block::new().borders(Borders::ALL).title(format!(" {title} ")), area);
    Rect { x: x + 2, y: y + 1, width: width - 4, height: rows }
}
