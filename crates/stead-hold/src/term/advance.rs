//! Plain text straight into the grid, everything else through the parser.

use super::model::Model;
use super::modes::Modes;
use super::scan::Scanner;
use alacritty_terminal::index::Column;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::StandardCharset;
use alacritty_terminal::vte::{Parser, Perform};
use memchr::memchr;

/// Advances over complete sequences and characters, from the parser's ground state to its ground state.
pub fn advance(parser: &mut Parser, model: &mut Model, mut bytes: &[u8]) {
    loop {
        let escape = memchr(0x1b, bytes).unwrap_or(bytes.len());
        text(model, &bytes[..escape]);
        bytes = &bytes[escape..];
        if bytes.is_empty() {
            return;
        }
        let mut scanner = Scanner::default();
        scanner.escape();
        let length = scanner.finish(&bytes[1..]).map_or(bytes.len(), |length| length + 1);
        parser.advance(model, &bytes[..length]);
        bytes = &bytes[length..];
    }
}

/// Prints text and executes control characters. What is not UTF-8 is shown as replacement characters.
pub fn text(model: &mut Model, mut bytes: &[u8]) {
    while let Some(first) = bytes.first() {
        let length = match first {
            b' '..=b'~' => {
                let run = bytes.iter().take_while(|b| matches!(b, b' '..=b'~')).count();
                model.print_run(&bytes[..run]);
                run
            }
            0x00..0x20 => {
                model.execute(*first);
                1
            }
            _ => {
                let run = bytes.iter().take_while(|b| **b >= 0x7f).count();
                beyond_ascii(model, &bytes[..run]);
                run
            }
        };
        bytes = &bytes[length..];
    }
}

fn beyond_ascii(model: &mut Model, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\u{80}'..='\u{9f}' => model.execute(c as u8),
                _ => Model::print(model, c),
            }
        }
        match chunk.invalid() {
            [] => {}
            [byte @ 0x80..=0x9f] => model.execute(*byte),
            _ => Model::print(model, '\u{fffd}'),
        }
    }
}

impl Model {
    /// Prints printable ASCII characters.
    fn print_run(&mut self, mut run: &[u8]) {
        let plain = !self.modes.has(Modes::INSERT)
            && self.grid.cursor.charsets[self.charset] == StandardCharset::Ascii;
        while let Some(first) = run.first() {
            let point = self.grid.cursor.point;
            let room = self.cols() - point.column.0;
            // The first and the last character go the long way, which knows of wraps and of wide characters cut
            // in two; none in between needs to.
            if !plain || self.grid.cursor.input_needs_wrap || room < 4 || run.len() < 4 {
                Model::print(self, char::from(*first));
                run = &run[1..];
                continue;
            }
            let count = room.min(run.len()) - 2;
            Model::print(self, char::from(*first));
            let template = &self.grid.cursor.template;
            let (fg, bg, flags) = (template.fg, template.bg, template.flags);
            let extra = template.extra.clone();
            let start = point.column.0 + 1;
            let row = &mut self.grid[point.line];
            // Tells the row how far it is filled.
            row[Column(start + count - 1)].flags.remove(Flags::WRAPLINE);
            let wide_cut = row[Column(start + count)].flags.contains(Flags::WIDE_CHAR_SPACER);
            for (cell, byte) in row[Column(start)..Column(start + count)].iter_mut().zip(&run[1..])
            {
                cell.c = char::from(*byte);
                cell.fg = fg;
                cell.bg = bg;
                cell.flags = flags;
                if cell.extra.is_some() || extra.is_some() {
                    cell.extra.clone_from(&extra);
                }
            }
            if wide_cut {
                let row = &mut self.grid[point.line];
                row[Column(start + count)] = Cell { c: ' ', fg, bg, flags, extra };
            }
            self.grid.cursor.point.column = Column(start + count);
            self.last = Some(char::from(run[count]));
            run = &run[count + 1..];
        }
    }
}
