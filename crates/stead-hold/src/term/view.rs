//! A model's screen as text and as data.

use super::model::Model;
use super::paint;
use super::sgr::{NAMES, Style};
use alacritty_terminal::grid::Row;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::Color;
use serde_json::{Map, Value, json};

/// The rows as text, without the blanks at their ends.
pub fn text(model: &Model) -> Vec<String> {
    (0..model.rows()).map(|line| row_text(model, &model.grid[Line(line)])).collect()
}

fn row_text(model: &Model, row: &Row<Cell>) -> String {
    let mut text = String::new();
    for cell in &row[..][..usize::from(model.size.cols).min(row.len())] {
        push(&mut text, cell);
    }
    text.truncate(text.trim_end_matches(' ').len());
    text
}

fn push(text: &mut String, cell: &Cell) {
    if !cell.flags.intersects(Flags::WIDE_CHAR_SPACER) {
        text.push(if cell.c.is_control() { ' ' } else { cell.c });
        text.extend(cell.zerowidth().into_iter().flatten());
    }
}

/// The rows as lists of runs; see [`super::Terminal::cells`].
pub fn cells(model: &Model) -> Value {
    let row = |line| {
        let row = &model.grid[Line(line)];
        let end = paint::content_end(row, usize::from(model.size.cols));
        let mut runs: Vec<Value> = Vec::new();
        let mut at = 0;
        while at < end {
            let first = &row[Column(at)];
            let mut text = String::new();
            while at < end && same_look(first, &row[Column(at)]) {
                push(&mut text, &row[Column(at)]);
                at += 1;
            }
            runs.push(run(first, text));
        }
        Value::Array(runs)
    };
    Value::Array((0..model.rows()).map(row).collect())
}

fn same_look(one: &Cell, other: &Cell) -> bool {
    other.flags.contains(Flags::WIDE_CHAR_SPACER)
        || (Style::of(one) == Style::of(other) && one.hyperlink() == other.hyperlink())
}

fn run(cell: &Cell, text: String) -> Value {
    let mut run = Map::new();
    run.insert("text".into(), text.into());
    let style = Style::of(cell);
    for (name, value, default) in
        [("fg", style.fg, Style::DEFAULT.fg), ("bg", style.bg, Style::DEFAULT.bg)]
    {
        if value != default {
            run.insert(name.into(), color(value));
        }
    }
    if let Some(underline) = style.underline {
        run.insert("underline_color".into(), color(underline));
    }
    let attributes: Vec<Value> = NAMES
        .into_iter()
        .filter(|(flag, _, _)| style.flags.contains(*flag))
        .map(|(_, _, name)| name.into())
        .collect();
    if !attributes.is_empty() {
        run.insert("attrs".into(), attributes.into());
    }
    if let Some(link) = cell.hyperlink() {
        run.insert("link".into(), link.uri().into());
    }
    Value::Object(run)
}

fn color(color: Color) -> Value {
    match color {
        Color::Spec(rgb) => json!(format!("#{:02x}{:02x}{:02x}", rgb.r, rgb.g, rgb.b)),
        Color::Indexed(n) => json!(n),
        Color::Named(name) => match name as u16 {
            n @ 0..16 => json!(n),
            _ => Value::Null,
        },
    }
}
