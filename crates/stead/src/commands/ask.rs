//! Asking before something is lost.

use super::{attach, print};
use crate::failure::Failure;
use std::io::{BufRead, Write};

/// Shows what goes and asks whether it may. With `yes` it is shown, and nobody is asked.
///
/// # Errors
/// If the answer is no, or there is nobody to ask.
pub fn whether(yes: bool, goes: &[String], question: &str) -> Result<(), Failure> {
    if !yes && !attach::has_terminal() {
        return Err(Failure::misused(format!("there is no terminal to ask in: {question}"))
            .help("--yes does it without asking"));
    }
    for line in goes {
        print(format!("  {line}\n").as_bytes())?;
    }
    if yes {
        return Ok(());
    }
    print(format!("{question} [y/N] ").as_bytes())?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("nothing was done"))
    }
}

/// Shows lines and goes on only if somebody types this very word.
///
/// # Errors
/// If the answer is another, or there is nobody to ask; `otherwise` is what to do then.
pub fn for_a_word(
    lines: &[String],
    word: &str,
    question: &str,
    otherwise: &str,
) -> Result<(), Failure> {
    let there = attach::has_terminal();
    for line in lines {
        if there {
            print(format!("  {line}\n").as_bytes())?;
        } else {
            eprintln!("  {line}");
        }
    }
    if !there {
        return Err(
            Failure::misused(format!("there is no terminal to ask in: {question}")).help(otherwise)
        );
    }
    print(format!("{question} Type {word} to do it: ").as_bytes())?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == word { Ok(()) } else { Err(Failure::failed("nothing was done")) }
}
