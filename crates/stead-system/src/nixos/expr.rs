//! Expressions of Nix.

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
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// An empty line comes before it.
    pub gap: bool,
    /// What stands above it.
    pub comment: Option<String>,
    /// Its path.
    pub name: Vec<String>,
    /// `None`: nothing but a comment.
    pub value: Option<Expr>,
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
