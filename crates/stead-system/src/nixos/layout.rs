//! How an expression is written: with everything quoted that must be, and as nixfmt lays it out.

use super::expr::{Entry, Expr, Piece, Set};
use std::fmt::Write;

/// How wide a line may be before a list is taken apart.
const WIDTH: usize = 100;

/// Words that no attribute may be called without quotes.
const KEYWORDS: [&str; 10] =
    ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];

/// The expression as nixfmt would leave it, its first line at the current place and the others indented by so much.
pub fn layout(expr: &Expr, indent: usize, used: usize) -> String {
    match expr {
        Expr::Text(text) => quoted(&[Piece::Text(text.clone())]),
        Expr::Mixed(pieces) => quoted(pieces),
        Expr::Lines(pieces) => lines(pieces, indent),
        Expr::Int(number) if *number < 0 => format!("({number})"),
        Expr::Int(number) => number.to_string(),
        Expr::Bool(flag) => flag.to_string(),
        Expr::Code(code) => code.clone(),
        Expr::List(all) => list(all, indent, used),
        Expr::Set(set) => self::set(set, indent),
        Expr::Before(code, expr) => {
            let rest = layout(expr, indent, used + code.chars().count() + 1);
            format!("{code} {rest}")
        }
        Expr::Without(name, removed, with) => {
            let [one] = removed.as_slice() else {
                // On lines of its own: the list is taken apart.
                let pad = " ".repeat(indent + 2);
                let removed =
                    list(&removed.iter().map(Expr::from).collect::<Vec<_>>(), indent + 2, 0);
                return format!(
                    "\n{pad}removeAttrs {name} {removed}\n{pad}// {}",
                    set(with, indent + 2)
                );
            };
            let one = quoted(&[Piece::Text(one.clone())]);
            format!("removeAttrs {name} [ {one} ] // {}", set(with, indent))
        }
    }
}

fn list(all: &[Expr], indent: usize, used: usize) -> String {
    if all.is_empty() {
        return "[ ]".into();
    }
    if let [one] = all
        && !matches!(one, Expr::Set(_) | Expr::Lines(_) | Expr::List(_) | Expr::Before(..))
    {
        let one = layout(one, indent, used);
        // The brackets, two spaces and a semicolon.
        if used + one.chars().count() + 5 <= WIDTH {
            return format!("[ {one} ]");
        }
    }
    let mut text = String::from("[\n");
    let pad = " ".repeat(indent + 2);
    for one in all {
        let one = match one {
            Expr::Before(..) => format!("({})", layout(one, indent + 2, indent + 3)),
            _ => layout(one, indent + 2, indent + 2),
        };
        let _ = writeln!(text, "{pad}{one}");
    }
    text + &" ".repeat(indent) + "]"
}

fn set(set: &Set, indent: usize) -> String {
    if set.entries.is_empty() {
        return "{ }".into();
    }
    format!("{{\n{}{}}}", body(set, indent + 2), " ".repeat(indent))
}

/// The attributes of a set, a line each or more.
pub fn body(set: &Set, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut text = String::new();
    for (at, entry) in set.entries.iter().enumerate() {
        if entry.gap && at > 0 {
            text.push('\n');
        }
        for line in entry.comment.iter().flat_map(|comment| comment.lines()) {
            let _ = writeln!(text, "{pad}# {line}");
        }
        if let Some(mut value) = entry.value.as_ref() {
            let mut names: Vec<&str> = entry.name.iter().map(String::as_str).collect();
            // A set of one is said in one path.
            while let Expr::Set(Set { entries }) = value
                && let [Entry { comment: None, name, value: Some(inner), .. }] = entries.as_slice()
            {
                names.extend(name.iter().map(String::as_str));
                value = inner;
            }
            let name = path(&names);
            let used = indent + name.chars().count() + 3;
            let value = layout(value, indent, used);
            let space = if value.starts_with('\n') { "" } else { " " };
            let _ = writeln!(text, "{pad}{name} ={space}{value};");
        }
    }
    text
}

/// A path of attributes, each quoted if it must be.
pub fn path<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names.iter().map(|name| attribute(name.as_ref())).collect();
    names.join(".")
}

/// The name of an attribute, quoted if it must be.
pub fn attribute(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''))
        && !KEYWORDS.contains(&name);
    if plain { name.into() } else { quoted(&[Piece::Text(name.into())]) }
}

fn quoted(pieces: &[Piece]) -> String {
    let mut out = String::from("\"");
    for piece in pieces {
        match piece {
            Piece::Code(code) => {
                let _ = write!(out, "${{{code}}}");
            }
            Piece::Text(text) => escape(text, &mut out),
        }
    }
    out + "\""
}

fn escape(text: &str, out: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What follows the last one may be code.
            '$' if matches!(chars.peek(), None | Some('{')) => out.push_str("\\$"),
            _ => out.push(c),
        }
    }
}

/// An indented string. What it holds is ours, but for values in it that hold neither newlines nor begin a line.
fn lines(pieces: &[Piece], indent: usize) -> String {
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Code(code) => {
                let _ = write!(whole, "${{{code}}}");
            }
            Piece::Text(text) => escape_lines(text, &mut whole),
        }
    }
    let pad = " ".repeat(indent + 2);
    let mut out = String::from("''\n");
    for line in whole.lines() {
        let line = if line.is_empty() { String::new() } else { format!("{pad}{line}") };
        out.push_str(&line);
        out.push('\n');
    }
    out + &" ".repeat(indent) + "''"
}

fn escape_lines(text: &str, out: &mut String) {
    // A dollar that is escaped, `''$`, would make one of a quote before it and the first of its own.
    let code = |rest: &str| rest.starts_with("${") || rest == "$";
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("''") {
            out.push_str("'''");
            rest = after;
            continue;
        }
        let after = &rest[c.len_utf8()..];
        match c {
            '\'' if code(after) => out.push_str("${\"'\"}"),
            '$' if code(rest) => out.push_str("''$"),
            _ => out.push(c),
        }
        rest = after;
    }
}

/// A module of NixOS's or of home-manager's.
#[derive(Debug, Clone, Default)]
pub struct Module {
    /// What it is for.
    pub comment: String,
    /// What it takes, besides all else.
    pub takes: Vec<&'static str>,
    /// Names that its body uses.
    pub names: Set,
    /// What it says.
    pub body: Set,
}

impl Module {
    /// Its text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.comment.lines() {
            let _ = writeln!(text, "# {line}");
        }
        match self.takes.as_slice() {
            [] => {}
            [one] => {
                let _ = writeln!(text, "{{ {one}, ... }}:\n");
            }
            many => {
                let _ = writeln!(text, "{{\n  {},\n  ...\n}}:\n", many.join(",\n  "));
            }
        }
        if !self.names.entries.is_empty() {
            let _ = write!(text, "let\n{}in\n", body(&self.names, 2));
        }
        text + &set(&self.body, 0) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(expr: impl Into<Expr>) -> String {
        layout(&expr.into(), 0, 0)
    }

    #[test]
    fn nothing_in_a_text_is_code() {
        assert_eq!(flat("a\"b\\c${d}$${e}\n"), r#""a\"b\\c\${d}$\${e}\n""#);
        let mixed = Expr::Mixed(vec![Piece::Text("$".into()), Piece::Code("x".into())]);
        assert_eq!(flat(mixed), "\"\\$${x}\"");
        assert_eq!(
            flat(Expr::Lines(vec![Piece::Text("''a''\n${b} $c".into())])),
            "''\n  '''a'''\n  ''${b} $c\n''"
        );
    }

    #[test]
    fn a_quote_before_a_dollar_opens_nothing() {
        let lines = |text: &str| flat(Expr::Lines(vec![Piece::Text(text.into())]));
        assert_eq!(lines("'${x}"), "''\n  ${\"'\"}''${x}\n''");
        assert_eq!(lines("'''${x}"), "''\n  '''${\"'\"}''${x}\n''");
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(path(&["a-b", "in", "1x", "a.b", "ü"]), "a-b.\"in\".\"1x\".\"a.b\".\"ü\"");
    }

    #[test]
    fn lists_of_one_stay_on_their_line_and_others_do_not() {
        assert_eq!(flat(vec!["a"]), "[ \"a\" ]");
        assert_eq!(flat(vec!["a", "b"]), "[\n  \"a\"\n  \"b\"\n]");
        assert_eq!(flat(vec![Set::new().put("a", true)]), "[\n  {\n    a = true;\n  }\n]");
    }
}
