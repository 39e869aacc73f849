//! The reference page.

use crate::keys;
use crate::keys::{DESKTOP, KEEP, MACHINE, NETWORK, QEMU, SESSION, STEAD};
use crate::table::Table;
use std::fmt::Write;

/// The page of the manual about the file, in Markdown.
pub fn page() -> String {
    let mut page = String::from(include_str!("page.md"));
    section(&mut page, &STEAD);
    section(&mut page, &MACHINE);
    section(&mut page, &KEEP);
    section(&mut page, &QEMU);
    section(&mut page, &DESKTOP);
    section(&mut page, &NETWORK);
    section(&mut page, &keys::SYSTEM);
    section(&mut page, &keys::USER);
    section(&mut page, &keys::SSH);
    section(&mut page, &keys::FIREWALL);
    section(&mut page, &keys::OVERLAY);
    section(&mut page, &keys::AGENTS);
    section(&mut page, &keys::GIT);
    section(&mut page, &keys::SERVICE);
    section(&mut page, &keys::ALERTS);
    section(&mut page, &keys::LOGS);
    section(&mut page, &keys::DISK);
    section(&mut page, &keys::ROLE_DESKTOP);
    section(&mut page, &keys::LLM);
    section(&mut page, &keys::CONTAINERS);
    section(&mut page, &keys::CODE_SERVER);
    section(&mut page, &keys::REVERSE_PROXY);
    section(&mut page, &keys::NIXOS);
    section(&mut page, &keys::DEBIAN);
    section(&mut page, &SESSION);
    page
}

fn section<T>(page: &mut String, table: &Table<T>) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "\n## `{}`\n\n{}\n", table.header, table.doc);
    page.push_str(
        "| key | | must be | without it | for example |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in table.keys {
        let cells = [
            format!("`{}`", key.name),
            key.told(),
            (key.expects)(),
            if key.required { "an error".into() } else { value(key.default) },
            format!("`{}`", key.example),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

/// A default as it is shown: what is written in the file as code, words as words.
fn value(default: &str) -> String {
    let code = default.starts_with(['"', '[', '{']) || matches!(default, "true" | "false");
    if code { format!("`{default}`") } else { default.into() }
}
