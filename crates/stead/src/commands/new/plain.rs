//! Asking line by line.

use super::{Asker, Failure};
use std::io::{BufRead, Write};

/// Questions on one stream, answers from another.
pub struct Plain<R, W> {
    pub input: R,
    pub output: W,
}

impl<R: BufRead, W: Write> Plain<R, W> {
    fn answer(&mut self, question: &str) -> Result<String, Failure> {
        write!(self.output, "{question}: ")?;
        self.output.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Err(Failure::failed("there was no answer, and nothing was written"));
        }
        Ok(line.trim().to_owned())
    }

    fn list(&mut self, what: &str, items: &[String]) -> Result<(), Failure> {
        writeln!(self.output, "{what}")?;
        for (at, item) in items.iter().enumerate() {
            writeln!(self.output, "  {} {item}", at + 1)?;
        }
        Ok(())
    }
}

/// The item that a word stands for: its number, or how it begins, if no other begins so.
fn item(word: &str, items: &[String]) -> Option<usize> {
    if let Ok(number) = word.parse::<usize>() {
        return number.checked_sub(1).filter(|at| *at < items.len());
    }
    let word = word.to_lowercase();
    let mut fits =
        items.iter().enumerate().filter(|(_, item)| item.to_lowercase().starts_with(&word));
    let (at, _) = fits.next()?;
    fits.next().is_none().then_some(at)
}

impl<R: BufRead, W: Write> Asker for Plain<R, W> {
    fn one(&mut self, what: &str, items: &[String], default: usize) -> Result<usize, Failure> {
        self.list(what, items)?;
        loop {
            let answer = self.answer(&format!("one of them [{}]", default + 1))?;
            if answer.is_empty() {
                return Ok(default);
            }
            match item(&answer, items) {
                Some(at) => return Ok(at),
                None => writeln!(self.output, "{answer:?} is none of them")?,
            }
        }
    }

    fn some(&mut self, what: &str, items: &[String]) -> Result<Vec<usize>, Failure> {
        self.list(what, items)?;
        'asked: loop {
            let answer = self.answer("any of them, with blanks between [none]")?;
            let mut chosen = Vec::new();
            for word in answer.split_whitespace() {
                let Some(at) = item(word, items) else {
                    writeln!(self.output, "{word:?} is none of them")?;
                    continue 'asked;
                };
                if !chosen.contains(&at) {
                    chosen.push(at);
                }
            }
            return Ok(chosen);
        }
    }

    fn text(&mut self, what: &str, default: &str) -> Result<String, Failure> {
        let shown = if default.is_empty() { "none" } else { default };
        let answer = self.answer(&format!("{what} [{shown}]"))?;
        Ok(if answer.is_empty() { default.to_owned() } else { answer })
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        write!(self.output, "{text}")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_numbers_beginnings_or_nothing() {
        let items: Vec<String> = ["small", "medium", "mini"].map(String::from).into();
        let asked = |answers: &str| {
            let mut plain = Plain { input: answers.as_bytes(), output: Vec::new() };
            let one = plain.one("size", &items, 1).ok();
            (one, String::from_utf8(plain.output).unwrap())
        };
        assert_eq!(asked("\n").0, Some(1));
        assert_eq!(asked("3\n").0, Some(2));
        assert_eq!(asked("SM\n").0, Some(0));
        let (one, said) = asked("m\n9\nmed\n");
        assert_eq!(one, Some(1));
        assert!(said.contains("\"m\" is none of them") && said.contains("\"9\" is none"), "{said}");
        assert_eq!(asked("").0, None);
        let mut plain = Plain { input: &b"x\n3 1 3\n"[..], output: Vec::new() };
        assert_eq!(plain.some("all", &items).unwrap(), [2, 0]);
    }
}
