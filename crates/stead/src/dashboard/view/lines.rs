//! Lines of text that fit the width there is.

use super::super::list::{self, Row};
use super::super::model::{Deed, Mode};
use super::Theme;
use crate::present;
use ratatui::text::{Line, Span};
use std::path::Path;
use stead_steward::machines::api::Shown;
use stead_wire::session::Session;

/// Widths of the list's columns; 0 leaves one out.
pub struct Columns {
    /// The marker and the symbol, with the blanks after them.
    mark: usize,
    state: usize,
    name: usize,
    who: usize,
    age: usize,
    detail: usize,
}

impl Columns {
    /// What the sessions want, cut to what there is.
    pub fn fit(width: u16, shown: &[&Session]) -> Self {
        let width = usize::from(width);
        let longest = |f: &dyn Fn(&Session) -> usize| shown.iter().map(|s| f(s)).max().unwrap_or(0);
        let mark = if width >= 50 { 4 } else { 3 };
        let state = if width >= 30 { 9 } else { 0 };
        let age = 5;
        let mut left = width.saturating_sub(mark + state + age);
        let most = if width >= 50 { width / 3 } else { left };
        let name = (longest(&|s| s.name.len()).max(4) + 1).min(most).min(left);
        left -= name;
        let wanted = longest(&|s| Span::raw(list::who(s)).width()).clamp(4, 12) + 1;
        let who = if left >= wanted { wanted } else { 0 };
        left -= who;
        let detail = if left >= 8 { left } else { 0 };
        Columns { mark, state, name, who, age, detail }
    }
}

/// A row of the list.
pub fn row(row: &Row<'_>, columns: &Columns, now: u64, theme: Theme) -> Line<'static> {
    match row {
        Row::Machine { name, machine, sessions, waiting } => {
            head(name, *machine, &count(*sessions, *waiting), theme)
        }
        Row::Session(session) => line(session, columns, now, theme),
    }
}

/// A machine's line: `box  sandbox running  2 sessions, 1 waiting`, and what a person should know of it.
fn head(name: &str, machine: Option<&Shown>, count: &str, theme: Theme) -> Line<'static> {
    // The selection's mark stands in the first column.
    let mut spans = Vec::new();
    match machine {
        Some(machine) if name != "host" => {
            spans.push(Span::styled(format!("  {}", clean(name)), Theme::bold()));
            spans.push(Span::styled(format!("  {} ", clean(&machine.engine)), Theme::faint()));
            spans.push(Span::styled(list::phase(machine), theme.phase(&machine.phase)));
            spans.push(Span::styled(format!("  {count}"), Theme::faint()));
            let remark = list::remark(machine);
            if !remark.is_empty() {
                spans.push(Span::styled(format!("  {}", clean(&remark)), theme.waiting()));
            }
        }
        _ => {
            spans.push(Span::styled(clean(name), Theme::bold()));
            spans.push(Span::styled(format!("  {count}"), Theme::faint()));
        }
    }
    Line::from(spans)
}

fn line(session: &Session, columns: &Columns, now: u64, theme: Theme) -> Line<'static> {
    let style = theme.state(session);
    let symbol = list::symbol(session);
    let mark = if columns.mark == 4 { format!("  {symbol} ") } else { format!(" {symbol} ") };
    let age = present::age(list::since(session), now);
    let mut name = Theme::bold();
    if list::ended(session) {
        name = Theme::faint();
    }
    let detail_style = match () {
        () if session.warning.is_some() => theme.bad(),
        () if list::waits(session) => theme.waiting(),
        () => Theme::faint(),
    };
    let mut spans = vec![Span::styled(mark, style)];
    if columns.state > 0 {
        spans.push(Span::styled(pad(&list::state(session), columns.state), style));
    }
    spans.push(Span::styled(pad(&session.name, columns.name), name));
    if columns.who > 0 {
        spans.push(Span::raw(pad(list::who(session), columns.who)));
    }
    spans.push(Span::styled(format!("{age:>width$} ", width = columns.age - 1), Theme::faint()));
    if columns.detail > 0 {
        spans.push(Span::styled(fit(&list::detail(session), columns.detail), detail_style));
    }
    Line::from(spans)
}

/// `3 sessions, 1 waiting`.
pub fn count(sessions: usize, waiting: usize) -> String {
    let noun = if sessions == 1 { "session" } else { "sessions" };
    match waiting {
        0 => format!("{sessions} {noun}"),
        _ => format!("{sessions} {noun}, {waiting} waiting"),
    }
}

/// A question that y answers.
pub fn question(name: &str, deed: &Deed, width: usize, theme: Theme) -> Line<'static> {
    let (word, more) = match deed {
        Deed::Kill => ("kill", "its command and all that it started"),
        Deed::Remove => ("remove", "its history goes too"),
        Deed::Restart => ("start again", "it has ended"),
        Deed::Rename(_) => ("rename", ""),
    };
    asked(word, name, more, width, theme)
}

/// Whether a machine is to be stopped under so many living sessions.
pub fn stop_question(name: &str, sessions: usize, width: usize, theme: Theme) -> Line<'static> {
    let more = match sessions {
        0 => "nothing lives in it; its state stays".to_owned(),
        1 => "its session ends; its state stays".to_owned(),
        n => format!("its {n} sessions end; its state stays"),
    };
    asked("stop", name, &more, width, theme)
}

fn asked(word: &str, name: &str, more: &str, width: usize, theme: Theme) -> Line<'static> {
    let long = format!("{word} {name}? {more}");
    let short = format!("{word} {name}?");
    let room = width.saturating_sub(5);
    let text = if long.len() <= room { long } else { fit(&short, room) };
    Line::from(vec![Span::styled(text, theme.waiting()), Span::raw("  y/n")])
}

/// Keys worth knowing now, as many as fit.
pub fn keys(width: usize, mode: &Mode, on_machine: bool) -> Line<'static> {
    // In the order of the line, each with its rank: the higher ranks go first where there is no room.
    const LIST: [(&str, &str, u8); 9] = [
        ("enter", "attach", 1),
        ("n", "new", 3),
        ("x", "kill", 4),
        ("d", "remove", 6),
        ("r", "rename", 7),
        ("/", "filter", 5),
        ("p", "preview", 8),
        ("?", "help", 0),
        ("q", "quit", 2),
    ];
    const MACHINE: [(&str, &str, u8); 6] = [
        ("u", "start", 1),
        ("d", "stop", 3),
        ("n", "new session", 4),
        ("/", "filter", 5),
        ("?", "help", 0),
        ("q", "quit", 2),
    ];
    const FORM: [(&str, &str, u8); 3] =
        [("enter", "starts it", 0), ("esc", "cancels", 1), ("tab", "next", 2)];
    const HELP: [(&str, &str, u8); 1] = [("any key", "closes this", 0)];
    let all: &[_] = match mode {
        Mode::New(_) => &FORM,
        Mode::Help => &HELP,
        _ if on_machine => &MACHINE,
        _ => &LIST,
    };
    let mut left = width + 2;
    let mut ranked: Vec<_> = all.iter().collect();
    ranked.sort_by_key(|(.., rank)| *rank);
    let taken: Vec<u8> = ranked
        .into_iter()
        .take_while(|(key, word, _)| {
            let needed = key.len() + word.len() + 3;
            let fits = needed <= left;
            left = left.saturating_sub(needed);
            fits
        })
        .map(|(.., rank)| *rank)
        .collect();
    let mut spans = Vec::new();
    for (key, word, _) in all.iter().filter(|(.., rank)| taken.contains(rank)) {
        spans.push(Span::styled(*key, Theme::bold()));
        spans.push(Span::styled(format!(" {word}  "), Theme::faint()));
    }
    Line::from(spans)
}

/// A folder as a person would write it.
pub fn folder(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".into(),
        Some(rest) => clean(&format!("~/{}", rest.display())),
        None => clean(&path.display().to_string()),
    }
}

/// Without control characters, which a terminal would obey.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Cut to a width in columns; what is cut shows as `…`.
fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if Span::raw(text.as_str()).width() <= width {
        return text;
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if Span::raw(short.as_str()).width() >= width {
            short.pop();
            break;
        }
    }
    short.push('…');
    short
}

/// Cut and filled up to a width in columns, the last of them blank.
fn pad(text: &str, width: usize) -> String {
    let mut text = fit(text, width.saturating_sub(1));
    let blanks = width.saturating_sub(Span::raw(text.as_str()).width());
    text.extend(std::iter::repeat_n(' ', blanks));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(pad("日本語", 6), "日本… ");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(fit("a\x1b[31mb", 20), "a [31mb");
    }

    #[test]
    fn homes_are_short() {
        let home = Some(Path::new("/home/a"));
        assert_eq!(folder(Path::new("/home/a/src"), home), "~/src");
        assert_eq!(folder(Path::new("/home/a"), home), "~");
        assert_eq!(folder(Path::new("/home/ab"), home), "/home/ab");
    }
}
