//! What sessions print: a full screen, and log-like text, plain and coloured. Always the same bytes.

use crate::client::{COLUMNS, ROWS};
use crate::error::{Context, Result};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Stands in the last line of a screen that was filled by [`log`]'s reader, once it has read all.
pub const MARKER: &str = "ALL-OF-IT-HAS-BEEN-PRINTED";

/// A word that stands in the plain log exactly once in [`NEEDLE_EVERY`] lines.
pub const NEEDLE: &str = "quixotic-needle";

/// How many lines of the log there are to one with the needle.
pub const NEEDLE_EVERY: u64 = 10_000;

/// Escape sequences that paint every cell of the terminal: numbered rows, 256 colours, attributes.
pub fn screen() -> Vec<u8> {
    let mut out = String::from("\x1b[0m\x1b[H\x1b[2J");
    for row in 1..=ROWS {
        let _ = write!(out, "\x1b[{row};1H\x1b[0m{row:02}");
        for block in 0..(COLUMNS - 2) / 6 {
            let foreground = 16 + (row * 7 + block * 11) % 216;
            let background = 232 + (row + block) % 24;
            let attribute = ["", ";1", ";3", ";4", ";7"][usize::from((row + block) % 5)];
            let _ = write!(
                out,
                "\x1b[0;38;5;{foreground};48;5;{background}{attribute}m{:04x}-{}",
                row * 977 + block * 131,
                char::from(b'a' + u8::try_from(block).unwrap_or(0)),
            );
        }
    }
    out.push_str("\x1b[0m\x1b[12;40H");
    out.into_bytes()
}

/// A small generator of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.next() % from.len() as u64).unwrap_or(0)]
    }
}

const LEVELS: [(&str, &str); 5] =
    [("INFO ", "32"), ("DEBUG", "36"), ("TRACE", "2"), ("WARN ", "33"), ("ERROR", "1;31")];
const UNITS: [&str; 8] =
    ["http", "queue", "store", "auth", "planner", "cache", "builder", "scheduler"];
const WORDS: [&str; 24] = [
    "accepted",
    "request",
    "from",
    "peer",
    "wrote",
    "block",
    "segment",
    "after",
    "retry",
    "cannot",
    "open",
    "file",
    "compiled",
    "target",
    "test",
    "passed",
    "failed",
    "with",
    "status",
    "waiting",
    "for",
    "lock",
    "released",
    "connection",
];

/// Writes `size` bytes of log lines of about 80 columns to a file.
///
/// # Errors
/// If it cannot be written.
pub fn log(path: &Path, size: u64, coloured: bool) -> Result<()> {
    let file = File::create(path).context(format!("cannot create {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut written, mut count) = (0, 0);
    let mut line = String::new();
    while written < size {
        line.clear();
        let time = count * 3;
        let (level, colour) = LEVELS[usize::try_from(numbers.next() % 5).unwrap_or(0)];
        let unit = numbers.pick(&UNITS);
        let clock = format!(
            "{:02}:{:02}:{:02}.{:03}",
            time / 3_600_000 % 24,
            time / 60_000 % 60,
            time / 1000 % 60,
            time % 1000
        );
        let _ = if coloured {
            write!(
                line,
                "\x1b[90m{clock}\x1b[0m \x1b[{colour}m{level}\x1b[0m \x1b[38;5;{}m{unit:<9}\x1b[0m",
                numbers.next() % 216 + 16
            )
        } else {
            write!(line, "{clock} {level} {unit:<9}")
        };
        for _ in 0..5 {
            line.push(' ');
            line.push_str(numbers.pick(&WORDS));
        }
        if count % NEEDLE_EVERY == NEEDLE_EVERY / 2 {
            let _ = write!(line, " {NEEDLE}");
        }
        let _ = writeln!(line, " id={:08x}", numbers.next() & 0xFFFF_FFFF);
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        count += 1;
    }
    out.flush().context("cannot write the log text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_as_long_as_asked_and_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            log(&path, 200_000, true).unwrap();
            std::fs::read(path).unwrap()
        };
        let text = make("a");
        assert!((200_000..200_200).contains(&text.len()));
        assert_eq!(text, make("b"));
        assert!(memchr::memmem::find(&text, b"\x1b[").is_some());
    }
}
