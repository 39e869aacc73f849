//! What tests of NixOS have in common: declarations, flakes, and what is there to hold them against.
#![allow(dead_code)]

pub mod options;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use stead_file::Context;
use stead_system::mcp::Servers;
use stead_system::nixos::Options;
use stead_system::{Tree, Whole, nixos};

/// The five declarations.
pub const CASES: [&str; 5] =
    ["agents-lxc", "ai-vm", "cloud-dev-server", "ec2-remote-dev", "microvm-host"];

/// The folder with declarations and flakes.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nixos")
}

/// The machines of a declaration that have a system, whatever it is rendered to otherwise.
pub fn wholes(name: &str) -> Vec<Whole> {
    read(folder().join(format!("{name}.toml")))
}

fn read(path: PathBuf) -> Vec<Whole> {
    let text = fs::read_to_string(&path).unwrap();
    let context = Context {
        path,
        folder: "/stead".into(),
        home: Some("/home/ada".into()),
        engines: vec!["sandbox", "qemu", "host", "ssh"],
        host: None,
    };
    let checked = stead_file::read(&text, &context).unwrap_or_else(|report| panic!("{report:?}"));
    let declared = checked.declaration;
    let systems = declared.machines.iter().filter_map(|(machine, said)| {
        let name = said.system.clone()?;
        let system = declared.systems[&name].clone();
        Some(Whole { machine: machine.clone(), name, system, outside: false })
    });
    systems.collect()
}

/// Every flake there is to look at: the declarations here, and the examples as NixOS.
pub fn flakes() -> Vec<(String, Tree)> {
    let mut all: Vec<(String, Tree)> =
        CASES.iter().map(|name| ((*name).into(), flake(name))).collect();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for folder in fs::read_dir(examples).unwrap() {
        let path = folder.unwrap().path().join("stead.toml");
        let wholes = if path.is_file() { read(path.clone()) } else { Vec::new() };
        if wholes.is_empty() {
            continue;
        }
        let mut options = Options { name: "example".into(), ..Options::default() };
        for whole in &wholes {
            let modules = whole.system.nixos.modules.iter();
            options.modules.extend(modules.map(|path| (path.clone(), "{ }\n".into())));
            options.claude.extend(
                whole.system.agents.claude_home.clone().map(|home| (home, BTreeMap::new())),
            );
        }
        let tree =
            nixos::render(&wholes, &options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        all.push((path.display().to_string(), tree));
    }
    all
}

/// What the declarations name, as one who has read it hands it in.
pub fn options(name: &str) -> Options {
    let claude = [
        ("CLAUDE.md", "Be brief.\n"),
        ("skills/review/SKILL.md", "Look twice.\n"),
        ("hooks/stop.sh", "#!/bin/sh\n"),
        (".credentials.json", "{}"),
        ("projects/x.jsonl", "{}"),
    ];
    let claude: BTreeMap<PathBuf, String> =
        claude.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    let mut servers = Servers::default();
    servers.add(r#"{"mcpServers":{"files":{"command":"npx","env":{"TOKEN":"hunter2"}}}}"#).unwrap();
    Options {
        name: name.into(),
        modules: BTreeMap::from([(
            "/stead/extra.nix".into(),
            "{ services.fwupd.enable = true; }\n".into(),
        )]),
        claude: BTreeMap::from([("/stead/claude".into(), claude)]),
        servers: BTreeMap::from([("/stead/claude".into(), servers)]),
    }
}

/// A declaration as a flake.
pub fn flake(name: &str) -> Tree {
    nixos::render(&wholes(name), &options(name)).unwrap()
}

/// `nix-instantiate` with a store of its own in a folder, so that it needs none of this system's, nor root.
pub fn nix(folder: &Path) -> Command {
    let mut nix = Command::new("nix-instantiate");
    let own = ["STORE_DIR", "STATE_DIR", "LOG_DIR", "LOCALSTATE_DIR", "CONF_DIR"];
    nix.envs(own.map(|name| (format!("NIX_{name}"), folder.join(name))));
    nix.env("HOME", folder).env_remove("NIX_PATH");
    nix
}
