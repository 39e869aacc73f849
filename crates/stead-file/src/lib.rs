//! `stead.toml`: read into a checked declaration, or into errors that point at the line.
//!
//! [`read()`] takes a text and gives what it declares, or everything that is wrong with it at once. Every table of the
//! file is described in one place (`keys`); reading, the help in errors, the schema and the reference page come from
//! there.
//!
//! This crate knows the file and nothing of engines, disks or networks.

mod age;
mod amount;
mod bytes;
mod check;
mod command;
mod context;
pub mod declared;
mod egress;
mod env;
mod find;
mod fit;
mod form;
mod init;
mod keys;
mod lines;
mod named;
mod nearest;
mod page;
mod path;
mod port;
mod problem;
mod read;
mod reader;
pub mod rule;
mod schema;
pub mod size;
mod syntax;
mod table;
mod text;
pub mod words;

pub use bytes::{MAX_FILE, read_bytes};
pub use check::reserved_unit;
pub use context::{Context, HostFacts};
pub use declared::Declaration;
pub use find::{FILE_NAME, find};
pub use form::MAX_NAME;
pub use init::init;
pub use keys::ROLES;
pub use page::page;
pub use problem::{Problem, Report};
pub use read::{Checked, read};
pub use schema::schema;
pub use size::Size;

/// The machine of `stead run -m scratch`, where no file declares one: a sandbox from defaults.
pub fn scratch() -> declared::Machine {
    declared::Machine::default()
}
