//! A stead file as it lies on disk: bytes that need not be text.

use crate::context::Context;
use crate::problem::{Problem, Report};
use crate::read::{Checked, read};
use std::fmt::Write;

/// How large a stead file may be, in bytes. A thousand machines with every key are less.
pub const MAX_FILE: usize = 1 << 20;

/// Reads a stead file from its bytes. Of a file that is too large no more than one byte over [`MAX_FILE`] is needed.
///
/// # Errors
/// As [`read`]; or that it is too large, or where it is not UTF-8.
pub fn read_bytes(bytes: &[u8], context: &Context<'_>) -> Result<Checked, Report> {
    let refuse = |text: &str, problem: Problem| {
        Err(Report::new(context.path.display().to_string(), text, vec![problem]))
    };
    if bytes.len() > MAX_FILE {
        let mut problem = Problem::new(0..0, "a stead file has at most 1 MiB, and this has more");
        problem.help("is it another file? `stead init` writes a first stead.toml");
        return refuse("", problem);
    }
    let fault = match std::str::from_utf8(bytes) {
        Ok(text) => return read(text, context),
        Err(fault) => fault,
    };
    let at = fault.valid_up_to();
    let wrong = &bytes[at..at + fault.error_len().unwrap_or(bytes.len() - at)];
    let mut hex = String::new();
    for byte in wrong {
        let _ = write!(hex, " {byte:02x}");
    }
    let mut problem = Problem::new(at..at + wrong.len(), format!("this is not UTF-8:{hex}"));
    problem.help(match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "it looks like UTF-16: have your editor save it as UTF-8"
        }
        bytes if bytes.contains(&0) => {
            "it looks like something else than text: `stead init` writes a first stead.toml"
        }
        _ => "have your editor save the file as UTF-8",
    });
    refuse(&same_length(bytes), problem)
}

/// The text in the same number of bytes, with `?` for each that is not of it.
fn same_length(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}
