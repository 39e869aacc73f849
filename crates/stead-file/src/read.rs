//! A text into a declaration, or into all that is wrong with it.

use crate::check::{Source, check};
use crate::context::Context;
use crate::declared::{Declaration, Network, Session, System};
use crate::fit::fit;
use crate::form::{NAME_HELP, name_fault};
use crate::keys::{self, MACHINE, NETWORK, SESSION, STEAD, SYSTEM, Stead};
use crate::nearest::nearest;
use crate::problem::Report;
use crate::reader::{Reader, Spot, kind};
use crate::syntax;
use crate::table::Table;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// A good file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What it declares.
    pub declaration: Declaration,
    /// What a person should know all the same; often empty.
    pub warnings: Report,
}

/// The tables a file consists of, and what each holds.
pub(crate) const PARTS: [(&str, &str); 5] = [
    ("stead", "The whole: its name, and what all machines have in common."),
    ("machines", "The machines, by name."),
    ("networks", "Networks that machines share, by name."),
    ("systems", "Operating systems of machines, by name."),
    ("sessions", "Sessions that are there once their machine is, by name."),
];

/// Reads a stead file.
///
/// # Errors
/// Everything that is wrong with it, and the warnings, in the order of the file.
pub fn read(text: &str, context: &Context<'_>) -> Result<Checked, Report> {
    let mut reader = Reader::new(context);
    let (root, faults) = DeTable::parse_recoverable(text);
    let (declaration, problems) = if faults.is_empty() {
        (whole(root.get_ref(), &mut reader), reader.problems)
    } else {
        let (mended, mut problems) = syntax::mend(text, faults);
        let (root, _) = DeTable::parse_recoverable(&mended);
        reader.broken = true;
        let declaration = whole(root.get_ref(), &mut reader);
        syntax::certain(text, &problems, &mut reader.problems);
        problems.append(&mut reader.problems);
        (declaration, problems)
    };
    let report = Report::new(context.path.display().to_string(), text, problems);
    if report.errors() > 0 { Err(report) } else { Ok(Checked { declaration, warnings: report }) }
}

fn whole(root: &DeTable<'_>, reader: &mut Reader<'_>) -> Declaration {
    let mut stead = Stead::default();
    let mut declared = Declaration::default();
    for (name, _) in root {
        let text = name.get_ref();
        if !PARTS.iter().any(|(part, _)| part == text) {
            unknown_part(text, name.span(), reader);
        }
    }
    if let Some(value) = root.get("stead") {
        STEAD.read(value, reader, &mut stead);
    }
    let defaults = stead.defaults;
    declared.machines = named(root, "machines", &MACHINE, reader, || defaults.clone());
    declared.networks = named(root, "networks", &NETWORK, reader, Network::default);
    declared.systems = named(root, "systems", &SYSTEM, reader, System::default);
    let session = || Session { restart: "resume".into(), ..Session::default() };
    declared.sessions = named(root, "sessions", &SESSION, reader, session);
    declared.name = stead.name.unwrap_or_else(|| folder_name(reader.context));
    let source = Source(root);
    check(&source, &mut declared, reader);
    fit(&source, &declared, reader);
    declared
}

/// Reads tables that have names: `[machines.NAME]`.
fn named<T>(
    root: &DeTable<'_>,
    part: &str,
    table: &'static Table<T>,
    reader: &mut Reader<'_>,
    start: impl Fn() -> T,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    let Some(value) = root.get(part) else { return all };
    let Some(members) = value.get_ref().as_table() else {
        let found = kind(value.get_ref());
        reader
            .problem(value.span(), format!("`{part}` must be tables, not {found}"))
            .help(format!("each is headed `{}`, with its name for NAME", table.header));
        return all;
    };
    for (name, value) in members {
        let text: &str = name.get_ref();
        let member = value.get_ref().is_table();
        if !member && table.keys.iter().any(|key| key.name == text) {
            reader
                .problem(
                    name.span(),
                    format!("`{text}` stands in [{part}], but it belongs to one of them"),
                )
                .help(format!("write it below `{}`, with a name for NAME", table.header));
            continue;
        }
        if let Some(fault) = name_fault(text) {
            reader.problem(name.span(), fault).help(NAME_HELP);
        }
        if !member {
            not_a_table(part, table, text, value, reader);
            continue;
        }
        let mut into = start();
        table.read(value, reader, &mut into);
        all.insert(text.into(), into);
    }
    all
}

fn not_a_table<T>(
    part: &str,
    table: &Table<T>,
    name: &str,
    value: Spot<'_>,
    reader: &mut Reader<'_>,
) {
    let found = kind(value.get_ref());
    let what = part.trim_end_matches('s');
    let header = table.header.replace("NAME", name);
    reader
        .problem(value.span(), format!("{what} `{name}` must be a table, not {found}"))
        .help(format!("write `{header}` and its keys below"));
}

fn unknown_part(name: &str, span: std::ops::Range<usize>, reader: &mut Reader<'_>) {
    let shown: String = name.chars().take(80).collect();
    let parts = PARTS.map(|(part, _)| part);
    let near = nearest(name, parts);
    let problem = reader.problem(span, format!("a stead file has no `{shown}`"));
    if let Some(near) = near {
        problem.help(format!("did you mean `{near}`?"));
    } else if let Some(header) = keys::home_of(name) {
        problem.help(format!("`{shown}` belongs in {header}"));
    } else {
        problem
            .help("its tables are [stead], [machines.NAME], [networks.NAME], [systems.NAME] and [sessions.NAME]");
    }
}

/// The folder's name, as far as a name may be like that.
fn folder_name(context: &Context<'_>) -> String {
    allowed_name(&context.folder.file_name().unwrap_or_default().to_string_lossy())
}

/// The text with `-` for everything that cannot be in a name; `stead` if nothing is left of it.
pub(crate) fn allowed_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if name_fault(c.encode_utf8(&mut [0; 4])).is_none() { c } else { '-' })
        .take(crate::form::MAX_NAME)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "stead".into() } else { name.into() }
}
