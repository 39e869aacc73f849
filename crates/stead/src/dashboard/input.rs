//! A line of text that a person edits.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Most characters that a line takes.
const MAX: usize = 1000;

/// The text and where the cursor is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    text: Vec<char>,
    cursor: usize,
}

impl Input {
    /// With this text, the cursor behind it.
    pub fn new(text: &str) -> Self {
        let mut input = Input::default();
        input.insert(text);
        input
    }

    /// The text.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The text before the cursor, and the rest.
    pub fn halves(&self) -> (String, String) {
        let (before, after) = self.text.split_at(self.cursor);
        (before.iter().collect(), after.iter().collect())
    }

    /// Puts text in at the cursor. Control characters are left out: a pasted line break does not submit.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text.len() < MAX {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
    }

    /// Takes a key. `false`: it means nothing to a line of text.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('b') if control => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Char('f') if control => self.right(),
            KeyCode::Char('d') if control => self.delete(),
            KeyCode::Char('h') if control => self.backspace(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
            KeyCode::Char('w') if control => self.delete_word(),
            KeyCode::Backspace if alt => self.delete_word(),
            KeyCode::Char(c) if !control && !alt => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.backspace(),
            KeyCode::Delete => self.delete(),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.right(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.text.len());
    }

    fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.text.remove(self.cursor);
        }
    }

    fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    fn delete_word(&mut self) {
        let blank = |c: &char| c.is_whitespace();
        let end = self.cursor;
        while self.cursor > 0 && blank(&self.text[self.cursor - 1]) {
            self.cursor -= 1;
        }
        while self.cursor > 0 && !blank(&self.text[self.cursor - 1]) {
            self.cursor -= 1;
        }
        self.text.drain(self.cursor..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, keys: &[(KeyCode, KeyModifiers)]) {
        for (code, modifiers) in keys {
            assert!(input.key(KeyEvent::new(*code, *modifiers)), "{code:?}");
        }
    }

    #[test]
    fn a_line_is_edited_anywhere() {
        let none = KeyModifiers::NONE;
        let mut input = Input::new("login");
        press(&mut input, &[(KeyCode::Home, none), (KeyCode::Char('x'), none)]);
        assert_eq!(input.halves(), ("x".into(), "login".into()));
        press(
            &mut input,
            &[(KeyCode::Delete, none), (KeyCode::Right, none), (KeyCode::Backspace, none)],
        );
        assert_eq!(input.text(), "xgin");
        press(
            &mut input,
            &[(KeyCode::End, none), (KeyCode::Left, none), (KeyCode::Char('é'), none)],
        );
        assert_eq!(input.text(), "xgién");
    }

    #[test]
    fn words_and_lines_go_at_once() {
        let control = KeyModifiers::CONTROL;
        let mut input = Input::new("make test  now ");
        press(&mut input, &[(KeyCode::Char('w'), control)]);
        assert_eq!(input.text(), "make test  ");
        press(&mut input, &[(KeyCode::Char('w'), control), (KeyCode::Char('u'), control)]);
        assert_eq!(input.text(), "");
    }

    #[test]
    fn pasted_control_characters_are_left_out() {
        let mut input = Input::new("a\r\nb\x1b");
        assert_eq!(input.text(), "ab");
        assert!(!input.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
        input.insert(&"x".repeat(5000));
        assert_eq!(input.text().len(), MAX);
    }
}
