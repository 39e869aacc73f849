//! Draws the model. Every state is told by a word and a symbol, so that colour only helps.

mod lines;
mod over;

use super::layout::{Panes, SMALLEST, panes};
use super::list::{self, Row};
use super::model::{Mode, Model};
use super::picture::Picture;
use crate::present;
use lines::Columns;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};
use stead_machine::model::Phase;
use stead_wire::session::Session;
use stead_wire::status::State;

/// How things are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are wanted; bold, dim and reverse are used in any case.
    pub color: bool,
}

impl Theme {
    /// A colour, where colours are wanted.
    fn fg(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// What is of less interest.
    fn faint() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn bold() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What went wrong.
    fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What waits for a person.
    fn waiting(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What a machine does.
    fn phase(self, phase: &Phase) -> Style {
        match phase {
            Phase::Running => self.fg(Color::Green),
            Phase::Stopped => Self::faint(),
            Phase::Partial(_) => self.bad(),
            Phase::Unknown(_) => self.fg(Color::Magenta),
        }
    }

    fn state(self, session: &Session) -> Style {
        match session.status.state {
            _ if list::ended(session) && list::fine(session) => Self::faint(),
            _ if list::ended(session) => self.fg(Color::Red),
            State::Running => self.fg(Color::Green),
            State::Waiting => self.waiting(),
            State::Idle => self.fg(Color::Cyan),
            State::Exited | State::Unknown => self.fg(Color::Magenta),
        }
    }
}

/// Where things go for this model; `None` in a window that is too small.
pub fn layout(model: &Model, window: Rect) -> Option<Panes> {
    let rows = model.rows().len();
    panes(window, rows, model.preview && model.current().is_some())
}

/// Draws a frame.
pub fn draw(frame: &mut Frame<'_>, model: &Model, picture: &Picture, theme: Theme) {
    let window = frame.area();
    let Some(panes) = layout(model, window) else {
        let (cols, rows) = SMALLEST;
        let texts = [
            format!("stead needs a window of {cols}x{rows}"),
            format!("needs {cols}x{rows}"),
            format!("{cols}x{rows}"),
        ];
        let text = texts.iter().find(|t| t.len() <= usize::from(window.width)).unwrap_or(&texts[2]);
        put(frame, window, Line::raw(text.as_str()));
        return;
    };
    header(frame, panes.header, model, theme);
    sessions(frame, panes.list, model, theme);
    if let (Some(whole), Some(screen)) = (panes.preview, panes.screen()) {
        preview(frame, whole, screen, panes.beside, model, picture, theme);
    }
    let cursor = match &model.mode {
        Mode::New(form) => {
            footer(frame, panes.footer, model, theme);
            over::form(frame, window, form, theme)
        }
        Mode::Help => {
            footer(frame, panes.footer, model, theme);
            over::help(frame, window, theme);
            None
        }
        _ => footer(frame, panes.footer, model, theme),
    };
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// Draws one line, cut to the area.
fn put(frame: &mut Frame<'_>, area: Rect, line: Line<'_>) {
    let area = Rect { height: area.height.min(1), ..area };
    frame.render_widget(line, area);
}

fn header(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let shown = model.shown();
    let waiting = shown.iter().filter(|s| list::waits(s)).count();
    let filtered = !model.filter.is_empty();
    let count = |short: bool| match (filtered, short) {
        (false, false) => lines::count(shown.len(), 0),
        (false, true) => shown.len().to_string(),
        (true, _) => format!("{} of {}", shown.len(), model.sessions.len()),
    };
    let width = usize::from(area.width);
    let mut spans =
        vec![Span::styled("stead", Theme::bold()), Span::raw("  "), Span::raw(count(width < 30))];
    if waiting > 0 {
        spans.push(Span::raw(", "));
        let style = theme.waiting().add_modifier(Modifier::REVERSED);
        spans.push(Span::styled(format!("{waiting} waiting"), style));
    }
    if filtered {
        spans.push(Span::styled(format!("  /{}", model.filter), theme.fg(Color::Cyan)));
    }
    put(frame, area, Line::from(spans));
    let gone = " no steward ";
    if model.lost.is_some() && width >= 50 {
        let at =
            Rect { x: area.x + area.width - gone.len() as u16, width: gone.len() as u16, ..area };
        put(frame, at, Line::styled(gone, theme.bad().add_modifier(Modifier::REVERSED)));
    }
}

fn sessions(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let shown = model.shown();
    let mut rows = model.rows();
    if rows.is_empty() {
        let text = if model.filter.is_empty() {
            "no sessions yet: n starts one".into()
        } else {
            format!("nothing matches \"{}\": esc clears the filter", model.filter)
        };
        frame.render_widget(
            ratatui::widgets::Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true }),
            area,
        );
        return;
    }
    if area.height < 4 && rows.len() > usize::from(area.height) {
        // Every line counts here.
        rows.retain(|row| row.pick().is_some());
    }
    let height = usize::from(area.height);
    let is_selected = |row: &Row<'_>| model.selected.is_some() && row.pick() == model.selected;
    let selected = rows.iter().position(is_selected).unwrap_or(0);
    let top = selected.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    let columns = Columns::fit(area.width, &shown);
    for (row, y) in rows.iter().skip(top).zip(area.y..area.y + area.height) {
        let at = Rect { y, height: 1, ..area };
        put(frame, at, lines::row(row, &columns, model.now, theme));
        if is_selected(row) {
            frame.buffer_mut().set_string(at.x, at.y, ">", Style::new());
            frame.buffer_mut().set_style(at, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    let below = rows.len().saturating_sub(top + height);
    if below > 0 {
        let text = format!(" +{below}");
        let width = (text.len() as u16).min(area.width);
        let at = Rect { x: area.x + area.width - width, y: area.bottom() - 1, width, height: 1 };
        put(frame, at, Line::styled(text, Theme::bold()));
    }
}

fn preview(
    frame: &mut Frame<'_>,
    whole: Rect,
    screen: Rect,
    beside: bool,
    model: &Model,
    picture: &Picture,
    theme: Theme,
) {
    let Some(session) = model.current() else { return };
    let borders = if beside { Borders::TOP | Borders::LEFT } else { Borders::TOP };
    let mut title = vec![Span::styled(format!(" {} ", session.name), Theme::bold())];
    title.push(Span::raw(format!("{} ", lines::clean(list::who(session)))));
    title.push(Span::styled(format!("{} ", session.size), Theme::faint()));
    let folder = lines::folder(&session.cwd, model.home.as_deref());
    title.push(Span::styled(format!("{folder} "), Theme::faint()));
    let note = picture.note.as_deref();
    if let Some(note) = note.filter(|_| !picture.lines.is_empty()) {
        title.insert(1, Span::styled(format!("{note} "), theme.bad()));
    }
    let block = Block::new().borders(borders).border_style(Theme::faint()).title(Line::from(title));
    frame.render_widget(block, whole);
    for (line, y) in picture.lines.iter().zip(screen.y..screen.y + screen.height) {
        put(frame, Rect { y, height: 1, ..screen }, line.clone());
    }
    if !theme.color {
        plain(frame, screen);
    }
    if let Some((col, row)) = picture.cursor {
        let at = Position { x: screen.x + col, y: screen.y + row };
        if let Some(cell) = frame.buffer_mut().cell_mut(at).filter(|_| screen.contains(at)) {
            let reversed = cell.modifier.contains(Modifier::REVERSED);
            cell.modifier.set(Modifier::REVERSED, !reversed);
        }
    }
    if picture.lines.is_empty() {
        put(frame, screen, Line::styled(note.unwrap_or("connecting").to_owned(), Theme::faint()));
    }
}

/// Takes the colours out of an area.
fn plain(frame: &mut Frame<'_>, area: Rect) {
    for position in area.positions() {
        if let Some(cell) = frame.buffer_mut().cell_mut(position) {
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
}

/// The last line: a question, an input, a notice, or keys. Where the cursor belongs comes back.
fn footer(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Option<Position> {
    if let Some(notice) = &model.notice {
        let style = if notice.bad { theme.bad() } else { theme.fg(Color::Green) };
        put(frame, area, Line::styled(present::cut(&notice.text, area.width.into()), style));
        return None;
    }
    match &model.mode {
        Mode::Filter(input) => return Some(over::input(frame, area, "/", input)),
        Mode::Rename(_, input) => return Some(over::input(frame, area, "name: ", input)),
        Mode::Confirm(subject, deed) => {
            put(frame, area, lines::question(&subject.name, deed, area.width.into(), theme));
        }
        Mode::Stop(name) => {
            let living = |s: &&Session| s.machine == *name && !list::ended(s);
            let sessions = model.sessions.iter().filter(living).count();
            put(frame, area, lines::stop_question(name, sessions, area.width.into(), theme));
        }
        _ => {
            let line = if let Some(why) = &model.lost {
                let text = format!("the steward is gone, trying again; sessions go on ({why})");
                Line::styled(present::cut(&text, area.width.into()), theme.bad())
            } else {
                lines::keys(area.width.into(), &model.mode, model.machine().is_some())
            };
            put(frame, area, line);
        }
    }
    None
}
