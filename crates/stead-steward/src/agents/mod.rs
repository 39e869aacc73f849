//! The agents that Stead knows: how each is started, resumed and listened to.
//!
//! What is particular to an agent is data, a [`Profile`] in TOML. Five are built in; files in
//! `$XDG_CONFIG_HOME/stead/agents/NAME.toml` add to them, or replace one of the same name. [`prepare()`] turns a profile
//! and what a person asked for into a command, an environment and the files that belong to them.
//!
//! Nothing here writes into an agent's own settings: hooks are registered for one session by options,
//! environment and files in the session's folder.

mod arguments;
mod hooks;
mod prepare;
mod profile;
mod store;

pub use prepare::{Elsewhere, PrepareInput, Prepared, kept_in, prepare};
pub use profile::{Profile, ProfileError};
pub use store::Profiles;

#[cfg(test)]
mod tests;
