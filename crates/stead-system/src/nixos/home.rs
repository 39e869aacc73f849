//! `users/NAME.nix`: what people have in their homes, here or on a laptop.

use super::expr::{Expr, Piece, Set, code};
use super::flake::Input;
use super::layout::{Module, layout};
use super::{Error, Needs, Options};
use crate::mcp::Servers;
use crate::{File, Tree, Whole};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use stead_file::declared::User;

/// Homes, and where each is.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// By host, then by user: the file.
    places: BTreeMap<String, BTreeMap<String, String>>,
    /// Users whose file bears just their name.
    pub shared: Vec<String>,
}

impl Homes {
    /// Those of a host.
    pub fn of(&self, whole: &Whole) -> Vec<(&str, &str)> {
        let of = self.places.get(&whole.hostname()).into_iter().flatten();
        of.map(|(user, place)| (user.as_str(), place.as_str())).collect()
    }
}

pub(super) fn render(
    systems: &[Whole],
    options: &Options,
    needs: &mut Needs,
    tree: &mut Tree,
) -> Result<Homes, Error> {
    let mut homes = Homes::default();
    let claude = claude_homes(systems, options, needs, tree)?;
    for whole in systems {
        for (name, user) in &whole.system.users {
            if !whole.system.nixos.home_manager {
                refuse(whole, name, user)?;
                continue;
            }
            needs.parts.insert("modules/home.nix");
            let text = home(whole, name, user, &claude, needs);
            // A user is the same on all hosts, or else has a file for each that differs: no name has a `+`.
            let shared = format!("users/{name}.nix");
            let taken = tree.get(Path::new(&shared)).map(|file| file.text.clone());
            let place = match taken {
                Some(other) if other != text => format!("users/{name}+{}.nix", whole.hostname()),
                _ => shared,
            };
            tree.insert(place.clone().into(), File::new(text));
            homes.places.entry(whole.hostname()).or_default().insert(name.clone(), place);
            if !homes.shared.contains(name) {
                homes.shared.push(name.clone());
            }
        }
    }
    homes.shared.sort_unstable();
    Ok(homes)
}

fn refuse(whole: &Whole, name: &str, user: &User) -> Result<(), Error> {
    let has = [
        (user.dotfiles.is_some(), "`dotfiles`"),
        (user.git_name.is_some(), "`git_name`"),
        (user.git_email.is_some(), "`git_email`"),
        (whole.system.agents.claude_home.is_some(), "`claude_home`"),
    ];
    match has.into_iter().find(|(has, _)| *has) {
        Some((_, what)) => Err(Error::HomeManager(whole.machine.clone(), name.into(), what)),
        None => Ok(()),
    }
}

fn home(
    whole: &Whole,
    name: &str,
    user: &User,
    claude: &BTreeMap<String, String>,
    needs: &mut Needs,
) -> String {
    let agents = &whole.system.agents;
    let mut imports: BTreeSet<String> = BTreeSet::new();
    let mut import = |part: &'static str| {
        needs.parts.insert(part);
        imports.insert(format!("../{part}"));
    };
    import(match user.shell.as_str() {
        "zsh" => "home/zsh.nix",
        "fish" => "home/fish.nix",
        _ => "home/bash.nix",
    });
    for tool in agents.multiplexers.iter().chain(&agents.tools) {
        match tool.as_str() {
            "zellij" => import("home/zellij.nix"),
            "tmux" => import("home/tmux.nix"),
            "starship" => import("home/starship.nix"),
            "atuin" => import("home/atuin.nix"),
            "git-tools" => import("home/git-tools.nix"),
            "granted" => import("home/granted.nix"),
            "awscli" => import("home/awscli.nix"),
            _ => {}
        }
    }
    let place = agents.claude_home.as_ref().and_then(|source| claude.get(source));
    imports.extend(place.map(|place| format!("../{place}")));

    let mut body = Set::new().put("imports", imports.iter().map(code).collect::<Vec<_>>());
    let mut git = Set::new();
    for (key, value) in [("name", &user.git_name), ("email", &user.git_email)] {
        if let Some(value) = value {
            git = git.put(key, value);
        }
    }
    let mut set = Set::new().put("enable", true);
    if !git.is_empty() {
        set = set.put("settings.user", git);
    }
    body = body.gap("").put("programs.git", set);
    let mut takes = Vec::new();
    if let Some(repository) = &user.dotfiles {
        takes = vec!["lib", "pkgs"];
        body = body
            .gap("Cloned once, and linked where nothing else is. Without a network it waits for the next time.")
            .put("home.activation.dotfiles", dotfiles(repository));
    }
    let comment = format!("The home of {name}, on Linux or macOS.");
    Module { comment, takes, names: Set::new(), body }.text()
}

fn dotfiles(repository: &str) -> Expr {
    let git = || Piece::Code("lib.getExe pkgs.git".into());
    let url = layout(&Expr::from(repository), 0, 0);
    let text = |text: &str| Piece::Text(text.into());
    let script = vec![
        text("if [ ! -d \"$HOME/.dotfiles\" ]; then\n  run "),
        git(),
        text(" clone --quiet -- "),
        Piece::Code(format!("lib.escapeShellArg {url}")),
        text(" \"$HOME/.dotfiles\" || true\nfi\nif [ -d \"$HOME/.dotfiles\" ]; then\n  "),
        git(),
        text(
            " -C \"$HOME/.dotfiles\" ls-files -z | while IFS= read -r -d \"\" file; do
    if [ ! -e \"$HOME/$file\" ]; then
      run mkdir -p \"$(dirname \"$HOME/$file\")\"
      run ln -s \"$HOME/.dotfiles/$file\" \"$HOME/$file\"
    fi
  done
fi
",
        ),
    ];
    super::expr::before("lib.hm.dag.entryAfter [ \"writeBoundary\" ]", Expr::Lines(script))
}

/// What of `~/.claude` is the same everywhere. Credentials and histories are not.
const SHARED: [&str; 9] = [
    "CLAUDE.md",
    "agents",
    "commands",
    "hooks",
    "keybindings.json",
    "output-styles",
    "rules",
    "settings.json",
    "skills",
];

/// Where the MCP servers are that go into a file of Claude's own.
const SERVERS: &str = "servers.json";

/// A module for each source of `~/.claude`, by the source.
fn claude_homes(
    systems: &[Whole],
    options: &Options,
    needs: &mut Needs,
    tree: &mut Tree,
) -> Result<BTreeMap<String, String>, Error> {
    let mut places = BTreeMap::new();
    for whole in systems {
        let Some(source) = &whole.system.agents.claude_home else { continue };
        if !whole.system.nixos.home_manager || places.contains_key(source) {
            continue;
        }
        let at = places.len() + 1;
        let name = if at == 1 { "claude".into() } else { format!("claude-{at}") };
        let from = if is_repository(source) {
            let url = if source.starts_with("git@") {
                format!("git+ssh://{}", source.replacen(':', "/", 1))
            } else {
                format!("git+{source}")
            };
            let why = "What `~/.claude` is taken from.";
            let input = Input { follows: &[], files: true, ..Input::flake(url, why) };
            needs.inputs.insert(format!("{name}-home"), input);
            format!("inputs.{name}-home")
        } else {
            let files = options.claude.get(source);
            let files =
                files.ok_or_else(|| Error::Claude(whole.machine.clone(), source.clone()))?;
            for (path, text) in files.iter().filter(|(path, _)| is_shared(path)) {
                // A hook is run, and Nix keeps what can be.
                let file = if text.starts_with("#!") { File::program } else { File::new };
                tree.insert(PathBuf::from("home").join(&name).join(path), file(text));
            }
            format!("./{name}")
        };
        let place = format!("home/{name}.nix");
        let servers = options.servers.get(source).and_then(Servers::text);
        let has = servers.is_some();
        if let Some(text) = servers {
            tree.insert(PathBuf::from("home").join(&name).join(SERVERS), File::new(text));
        }
        tree.insert(place.clone().into(), File::new(claude_home(&from, has)));
        places.insert(source.clone(), place);
    }
    Ok(places)
}

fn is_repository(source: &str) -> bool {
    ["https://", "ssh://", "git@"].iter().any(|scheme| source.starts_with(scheme))
}

fn is_shared(path: &Path) -> bool {
    let mut parts = path.components();
    let first = matches!(parts.next(), Some(Component::Normal(first)) if SHARED.iter().any(|name| first == *name));
    first && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn claude_home(from: &str, servers: bool) -> String {
    let names = layout(&SHARED.to_vec().into(), 2, 0);
    let takes = match (from.starts_with("inputs."), servers) {
        (true, true) => "{\n  inputs,\n  lib,\n  pkgs,\n  ...\n}:",
        (true, false) => "{ inputs, lib, ... }:",
        (false, true) => "{ lib, pkgs, ... }:",
        (false, false) => "{ lib, ... }:",
    };
    let servers = if servers {
        format!(
            "
  # Claude keeps what it remembers in the same file: its MCP servers are put into it, not over it.
  home.activation.claudeServers = lib.hm.dag.entryAfter [ \"writeBoundary\" ] ''
    had='{{}}'
    if [ -s \"$HOME/.claude.json\" ]; then
      had=$(cat \"$HOME/.claude.json\")
    fi
    if next=$(printf '%s' \"$had\" | ${{lib.getExe pkgs.jq}} --slurpfile own ${{{from}/{SERVERS}}} '.mcpServers += $own[0].mcpServers'); then
      run sh -c 'umask 077; printf \"%s\\n\" \"$1\" > \"$0.next\" && mv \"$0.next\" \"$0\"' \"$HOME/.claude.json\" \"$next\"
    fi
  '';
"
        )
    } else {
        String::new()
    };
    format!(
        "# Agents find here what they find elsewhere. Credentials and histories are none of it: each host logs in for itself.
{takes}

let
  from = {from};
  names = {names};
  there = builtins.filter (name: builtins.pathExists (from + \"/${{name}}\")) names;
in
{{
  home.file = lib.listToAttrs (
    map (name: {{
      name = \".claude/${{name}}\";
      value.source = from + \"/${{name}}\";
    }}) there
  );
{servers}}}
"
    )
}
