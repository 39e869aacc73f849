//! Menus in a terminal: type to narrow, arrows to move, space to mark, enter to take.

use super::{Asker, Failure};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use std::io::{self, Write};

/// Asks by menus on this terminal.
pub struct Menus;

/// What a key has come to.
#[derive(Debug, PartialEq, Eq)]
enum Pressed {
    Go,
    Done,
    Left,
}

/// One menu, without its terminal.
struct Menu<'a> {
    items: &'a [String],
    /// Any number can be marked.
    many: bool,
    typed: String,
    /// The place among those that fit.
    at: usize,
    marked: Vec<usize>,
}

impl Menu<'_> {
    /// The items whose letters include what was typed, in its order.
    fn fitting(&self) -> Vec<usize> {
        let all = 0..self.items.len();
        all.filter(|at| fits(&self.items[*at], &self.typed)).collect()
    }

    fn press(&mut self, key: KeyEvent) -> Pressed {
        let fitting = self.fitting();
        let here = fitting.get(self.at).copied();
        let code = match key.code {
            // Enter, if it was typed before this terminal gave each key.
            KeyCode::Char('j') if key.modifiers.contains(KeyModifiers::CONTROL) => KeyCode::Enter,
            code => code,
        };
        match code {
            KeyCode::Esc => return Pressed::Left,
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Pressed::Left;
            }
            KeyCode::Enter if self.many || here.is_some() => {
                if !self.many {
                    self.marked = here.into_iter().collect();
                }
                return Pressed::Done;
            }
            KeyCode::Up => self.at = self.at.saturating_sub(1),
            KeyCode::Down if self.at + 1 < fitting.len() => self.at += 1,
            KeyCode::Char(' ') if self.many => {
                if let Some(here) = here {
                    match self.marked.iter().position(|marked| *marked == here) {
                        Some(at) => drop(self.marked.remove(at)),
                        None => self.marked.push(here),
                    }
                }
            }
            KeyCode::Backspace => {
                self.typed.pop();
                self.at = 0;
            }
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.typed.push(c);
                self.at = 0;
            }
            _ => {}
        }
        Pressed::Go
    }

    fn lines(&self, what: &str) -> Vec<String> {
        let how = if self.many { "space marks, enter takes" } else { "enter takes" };
        let mut lines = vec![format!("{what} ({how}): {}", self.typed)];
        for (place, at) in self.fitting().into_iter().enumerate() {
            let here = if place == self.at { '>' } else { ' ' };
            let mark = match (self.many, self.marked.contains(&at)) {
                (false, _) => "",
                (true, true) => "[x] ",
                (true, false) => "[ ] ",
            };
            lines.push(format!("{here} {mark}{}", self.items[at]));
        }
        lines
    }
}

/// Whether the letters of `typed` are in `item`, in this order.
fn fits(item: &str, typed: &str) -> bool {
    let mut letters = item.chars().flat_map(char::to_lowercase);
    typed.chars().flat_map(char::to_lowercase).all(|wanted| letters.any(|c| c == wanted))
}

/// A terminal that gives each key, for as long as this lives.
struct Raw;

impl Raw {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

/// Shows a menu until something is taken, and leaves one line of it.
fn show(menu: &mut Menu<'_>, what: &str) -> Result<Vec<usize>, Failure> {
    let raw = Raw::enter()?;
    let mut out = io::stdout().lock();
    let pressed = loop {
        let lines = menu.lines(what);
        write!(out, "\r\x1b[J{}", lines.join("\r\n"))?;
        // Back to the first line, so that the next picture is drawn over this one.
        if lines.len() > 1 {
            write!(out, "\x1b[{}A", lines.len() - 1)?;
        }
        out.flush()?;
        let Event::Key(key) = read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match menu.press(key) {
            Pressed::Go => {}
            pressed => break pressed,
        }
    };
    let taken: Vec<&str> = menu.marked.iter().map(|at| menu.items[*at].as_str()).collect();
    let taken = if taken.is_empty() { "none".into() } else { taken.join("; ") };
    let left = pressed == Pressed::Left;
    let said = if left { "left" } else { &taken };
    write!(out, "\r\x1b[J{what}: {said}\r\n")?;
    out.flush()?;
    drop(raw);
    if left { Err(Failure::failed("nothing was written")) } else { Ok(menu.marked.clone()) }
}

impl Asker for Menus {
    fn one(&mut self, what: &str, items: &[String], default: usize) -> Result<usize, Failure> {
        let mut menu =
            Menu { items, many: false, typed: String::new(), at: default, marked: Vec::new() };
        Ok(show(&mut menu, what)?.first().copied().unwrap_or(default))
    }

    fn some(&mut self, what: &str, items: &[String]) -> Result<Vec<usize>, Failure> {
        let mut menu = Menu { items, many: true, typed: String::new(), at: 0, marked: Vec::new() };
        show(&mut menu, what)
    }

    fn text(&mut self, what: &str, default: &str) -> Result<String, Failure> {
        let (input, output) = (io::stdin().lock(), io::stdout().lock());
        super::plain::Plain { input, output }.text(what, default)
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        crate::commands::print(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(menu: &mut Menu<'_>, keys: &str) -> Pressed {
        let mut last = Pressed::Go;
        for key in keys.chars() {
            let code = match key {
                '\r' => KeyCode::Enter,
                'v' => KeyCode::Down,
                '^' => KeyCode::Up,
                '<' => KeyCode::Backspace,
                key => KeyCode::Char(key),
            };
            last = menu.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
        last
    }

    #[test]
    fn typing_narrows_and_enter_takes() {
        let items: Vec<String> = ["small", "medium", "large", "huge"].map(String::from).into();
        let menu = |many| Menu { items: &items, many, typed: String::new(), at: 0, marked: vec![] };
        for (keys, taken) in
            [("\r", 0), ("vv\r", 2), ("vvvvvv^\r", 2), ("hg\r", 3), ("zz<<md\r", 1)]
        {
            let mut menu = menu(false);
            assert_eq!(press(&mut menu, keys), Pressed::Done, "{keys:?}");
            assert_eq!(menu.marked, [taken], "{keys:?}");
        }
        let mut none = menu(false);
        assert_eq!(press(&mut none, "zz\r"), Pressed::Go, "nothing fits, nothing is taken");
        let mut many = menu(true);
        assert_eq!(press(&mut many, " v hu <<^^ \r"), Pressed::Done);
        assert_eq!(many.marked, [1, 3]);
        assert!(many.lines("size").contains(&"  [x] huge".to_owned()), "{:?}", many.lines("size"));
        let early = KeyEvent::new(KeyCode::Char('j'), KeyModifiers::CONTROL);
        assert_eq!(many.press(early), Pressed::Done);
        let left = many.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(left, Pressed::Left);
    }
}
