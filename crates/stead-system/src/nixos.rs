//! A declared system as NixOS: a flake that a person can own.
//!
//! What is the same on every host is a text that is kept here as it is rendered (`parts/`); what a host says of itself is
//! put together of [`expr`]essions, which know how to quote and how nixfmt lays them out. Nothing declared is ever code.

mod agents;
mod disk;
pub mod expr;
mod flake;
mod home;
mod host;
pub mod layout;
mod options;
mod overlay;
mod parts;
mod roles;
mod service;
mod users;
mod write;

pub use options::options;
pub use write::{MANIFEST, Written, write};

use crate::mcp::Servers;
use crate::{File, Tree, Whole};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What rendering needs to know besides the systems.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the whole is called: the stead file's name.
    pub name: String,
    /// The texts of the modules that systems name, by the path they name.
    pub modules: BTreeMap<PathBuf, String>,
    /// What is in the folders that `claude_home` names, by that and then by the path in it. What is nobody's business stays out,
    /// whatever is handed in.
    pub claude: BTreeMap<String, BTreeMap<PathBuf, String>>,
    /// MCP servers of the same.
    pub servers: BTreeMap<String, Servers>,
}

/// Why systems cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to render.
    #[error("no machine has a system: write `system = \"NAME\"` on one")]
    Nothing,
    /// Two hosts are called the same.
    #[error(
        "machines `{0}` and `{1}` are both called `{2}`: give one a system with another `hostname`, or another name"
    )]
    Twice(String, String, String),
    /// A name that would be a path or more than a name.
    #[error("`{0}` cannot be the name of {1}")]
    Name(String, &'static str),
    /// A unit of that name is rendered for something else.
    #[error(
        "service `{1}` of machine `{0}` is called as a unit that NixOS or a role has: call it otherwise"
    )]
    Reserved(String, String),
    /// A text that Nix has no way to write.
    #[error("a text of machine `{0}` has a zero byte in it, which Nix cannot hold")]
    Zero(String),
    /// A module's text is missing.
    #[error("machine `{0}` wants the module {1}, whose text was not handed in")]
    Module(String, PathBuf),
    /// The texts of `~/.claude` are missing.
    #[error("machine `{0}` takes `~/.claude` from {1}, which was not handed in")]
    Claude(String, String),
    /// Something needs home-manager, which is off.
    #[error(
        "user `{1}` of machine `{0}` has {2}, which NixOS has only by home-manager: leave out `home_manager = false`"
    )]
    HomeManager(String, String, &'static str),
    /// More ports than Funnel has.
    #[error("machine `{0}` opens {1} ports by Tailscale's Funnel, which has three: leave some out")]
    Funnel(String, usize),
    /// Nothing to serve.
    #[error(
        "machine `{0}` serves by vLLM, and no model is named: write `models = [\"...\"]` below `llm`"
    )]
    Model(String),
}

/// What all hosts need together.
#[derive(Debug, Default)]
struct Needs {
    /// Parts, by path.
    parts: BTreeSet<&'static str>,
    /// Inputs of the flake, by name.
    inputs: BTreeMap<String, flake::Input>,
}

/// Renders machines to one flake.
pub fn render(systems: &[Whole], options: &Options) -> Result<Tree, Error> {
    check(systems)?;
    let mut tree = Tree::new();
    let mut needs = Needs::default();
    let channels = flake::Channels::of(systems);
    let own = host::own_modules(systems, options, &mut tree)?;
    let claude = flake::claude_versions(systems);
    let homes = home::render(systems, options, &mut needs, &mut tree)?;
    for whole in systems {
        let nixpkgs = channels.input(&whole.system.nixos.channel);
        let nixpkgs = nixpkgs.as_deref();
        let context = host::Context { whole, own: &own, claude: &claude, homes: &homes, nixpkgs };
        let folder = PathBuf::from("hosts").join(whole.hostname());
        for (name, text) in host::render(&context, &mut needs)? {
            tree.insert(folder.join(name), File::new(text));
        }
    }
    for part in parts::whole(&needs.parts) {
        tree.insert(part.into(), File::new(parts::text(part)));
    }
    let text = flake::render(systems, options, &channels, &needs, &homes);
    tree.insert("flake.nix".into(), File::new(text));
    tree.insert(".gitignore".into(), File::new("result\nresult-*\n"));
    if systems.iter().any(|whole| !whole.secrets().is_empty()) {
        tree.insert(".sops.yaml".into(), File::new(host::sops(systems)));
    }
    Ok(tree)
}

fn check(systems: &[Whole]) -> Result<(), Error> {
    if systems.is_empty() {
        return Err(Error::Nothing);
    }
    let mut hosts: BTreeMap<String, &str> = BTreeMap::new();
    for whole in systems {
        let host = whole.hostname();
        if !is_name(&host) {
            return Err(Error::Name(host, "a host"));
        }
        if let Some(other) = hosts.insert(host.clone(), &whole.machine) {
            return Err(Error::Twice(other.into(), whole.machine.clone(), host));
        }
        let system = &whole.system;
        let users = system.users.keys().map(|name| ("a user", name.as_str()));
        let services = system.services.keys().map(|name| ("a service", name.as_str()));
        let secrets = whole.secrets().into_iter().map(|name| ("a secret", name));
        let mut named = users.chain(services).chain(secrets);
        if let Some((what, name)) = named.find(|(_, name)| !is_name(name)) {
            return Err(Error::Name(name.into(), what));
        }
        if let Some(name) = system.services.keys().find(|name| stead_file::reserved_unit(name)) {
            return Err(Error::Reserved(whole.machine.clone(), name.clone()));
        }
        let attributes = system.nixos.packages.iter().chain(&system.packages);
        if let Some(name) = attributes.into_iter().find(|name| name.is_empty()) {
            return Err(Error::Name(name.clone(), "a package"));
        }
        // However deep it is, a text is in what serde makes of the whole; JSON writes a zero byte like this.
        let all = serde_json::to_string(whole).unwrap_or_default();
        if all.contains("\\u0000") && has_zero(&serde_json::to_value(whole).unwrap_or_default()) {
            return Err(Error::Zero(whole.machine.clone()));
        }
    }
    Ok(())
}

fn has_zero(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_zero),
        Value::Object(all) => {
            all.iter().any(|(name, value)| name.contains('\0') || has_zero(value))
        }
        _ => false,
    }
}

/// Whether it can be the name of a file and of an attribute.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
