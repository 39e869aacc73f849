//! Expressions of Nix, and how nixfmt lays them out.

use std::fmt::Write;

/// How wide a line may be before a list is taken apart.
const WIDTH: usize = 100;

/// Words that no attribute may be called without quotes.
const KEYWORDS: [&str; 10] =
    ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A text, whatever is in it.
    Text(String),
    /// A text in which `${...}` stands for expressions.
    Mixed(Vec<Piece>),
    /// Several lines, the first of which is not indented.
    Lines(Vec<Piece>),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Code of ours on one line: a name, a path, a call. Never anything that was declared.
    Code(String),
    /// A list.
    List(Vec<Expr>),
    /// A set.
    Set(Set),
    /// Code of ours before an expression: `with pkgs;`, `lib.mkForce`, `hardened //`.
    Before(String, Box<Expr>),
    /// A set by our name without these attributes, but with others.
    Without(String, Vec<String>, Set),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// What stands there.
    Text(String),
    /// Code of ours whose value stands there.
    Code(String),
}

impl From<&str> for Expr {
    fn from(text: &str) -> Self {
        Expr::Text(text.into())
    }
}

impl From<String> for Expr {
    fn from(text: String) -> Self {
        Expr::Text(text)
    }
}

impl From<&String> for Expr {
    fn from(text: &String) -> Self {
        Expr::Text(text.clone())
    }
}

impl From<bool> for Expr {
    fn from(flag: bool) -> Self {
        Expr::Bool(flag)
    }
}

impl From<u16> for Expr {
    fn from(number: u16) -> Self {
        Expr::Int(number.into())
    }
}

impl From<Set> for Expr {
    fn from(set: Set) -> Self {
        Expr::Set(set)
    }
}

impl<T: Into<Expr>> From<Vec<T>> for Expr {
    fn from(all: Vec<T>) -> Self {
        Expr::List(all.into_iter().map(Into::into).collect())
    }
}

/// Code of ours.
pub fn code(code: impl Into<String>) -> Expr {
    Expr::Code(code.into())
}

/// Code of ours before an expression.
pub fn before(code: impl Into<String>, expr: impl Into<Expr>) -> Expr {
    Expr::Before(code.into(), Box::new(expr.into()))
}

/// Attributes in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Set {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    gap: bool,
    comment: Option<String>,
    name: Vec<String>,
    /// `None`: nothing but a comment.
    value: Option<Expr>,
}

impl Set {
    /// One without attributes.
    pub fn new() -> Self {
        Set::default()
    }

    /// Whether it has no attribute.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.value.is_none())
    }

    /// An attribute by our own path: `services.openssh.enable`.
    #[must_use]
    pub fn put(self, path: &str, value: impl Into<Expr>) -> Self {
        let names: Vec<&str> = path.split('.').collect();
        self.at(&names, value)
    }

    /// An attribute by names that may have anything in them.
    #[must_use]
    pub fn at(mut self, names: &[&str], value: impl Into<Expr>) -> Self {
        let name = names.iter().map(|name| (*name).to_owned()).collect();
        let value = Some(value.into());
        match self.entries.last_mut() {
            Some(open) if open.name.is_empty() => (open.name, open.value) = (name, value),
            _ => self.entries.push(Entry { gap: false, comment: None, name, value }),
        }
        self
    }

    /// [`Set::put`] where it is wanted.
    #[must_use]
    pub fn put_if(self, wanted: bool, path: &str, value: impl Into<Expr>) -> Self {
        if wanted { self.put(path, value) } else { self }
    }

    /// An empty line before the attribute that follows, with a comment above it unless that is empty.
    #[must_use]
    pub fn gap(mut self, comment: &str) -> Self {
        let comment = (!comment.is_empty()).then(|| comment.to_owned());
        let gap = !self.entries.is_empty();
        self.entries.push(Entry { gap, comment, name: Vec::new(), value: None });
        self
    }

    /// A comment above the attribute that follows.
    #[must_use]
    pub fn say(mut self, comment: &str) -> Self {
        let comment = Some(comment.to_owned());
        self.entries.push(Entry { gap: false, comment, name: Vec::new(), value: None });
        self
    }

    /// Everything of another after what is here and an empty line.
    #[must_use]
    pub fn join(mut self, other: Set) -> Self {
        let at = self.entries.len();
        self.entries.extend(other.entries);
        if let Some(first) = self.entries.get_mut(at) {
            first.gap = true;
        }
        self
    }
}

/// All code of ours in an expression.
pub fn code_of<'e>(expr: &'e Expr, all: &mut Vec<&'e str>) {
    match expr {
        Expr::Code(code) => all.push(code),
        Expr::Before(code, expr) => {
            all.push(code);
            code_of(expr, all);
        }
        Expr::Mixed(pieces) | Expr::Lines(pieces) => {
            all.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Code(code) => Some(code.as_str()),
                Piece::Text(_) => None,
            }));
        }
        Expr::List(list) => list.iter().for_each(|expr| code_of(expr, all)),
        Expr::Set(set) | Expr::Without(_, _, set) => {
            set.entries
                .iter()
                .filter_map(|entry| entry.value.as_ref())
                .for_each(|value| code_of(value, all));
        }
        Expr::Text(_) | Expr::Int(_) | Expr::Bool(_) => {}
    }
}

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
                let all: String = many.iter().map(|name| format!("  {name},\n")).collect();
                let _ = writeln!(text, "{{\n{all}  ...\n}}:\n");
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
