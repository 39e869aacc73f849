//! What tests of NixOS have in common: declarations, flakes, and what is there to hold them against.
#![allow(dead_code)]

pub mod options;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use stead_file::Context;
use stead_system::nixos::Options;
use stead_system::{Tree, Whole, nixos};

/// The five declarations.
pub const CASES: [&str; 5] =
    ["agents-lxc", "ai-vm", "cloud-dev-server", "ec2-remote-dev", "microvm-host"];

/// The folder with declarations and flakes.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nixos")
}

/// The machines of a declaration.
pub fn wholes(name: &str) -> Vec<Whole> {
    let path = folder().join(format!("{name}.toml"));
    let text = fs::read_to_string(&path).unwrap();
    let context = Context {
        path,
        folder: "/stead".into(),
        home: Some("/home/ada".into()),
        engines: vec!["sandbox"],
        host: None,
    };
    let checked = stead_file::read(&text, &context).unwrap_or_else(|report| panic!("{report:?}"));
    let declared = checked.declaration;
    let systems = declared.machines.iter().filter_map(|(machine, said)| {
        let name = said.system.clone()?;
        let system = declared.systems[&name].clone();
        Some(Whole { machine: machine.clone(), name, system })
    });
    systems.collect()
}

/// What the declarations name, as one who has read it hands it in.
pub fn options(name: &str) -> Options {
    let claude = [
        ("CLAUDE.md", "Be brief.\n"),
        ("skills/review/SKILL.md", "Look twice.\n"),
        (".credentials.json", "{}"),
        ("projects/x.jsonl", "{}"),
    ];
    let claude: BTreeMap<PathBuf, String> =
        claude.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    Options {
        name: name.into(),
        modules: BTreeMap::from([(
            "/stead/extra.nix".into(),
            "{ services.fwupd.enable = true; }\n".into(),
        )]),
        claude: BTreeMap::from([("/stead/claude".into(), claude)]),
    }
}

/// A declaration as a flake.
pub fn flake(name: &str) -> Tree {
    nixos::render(&wholes(name), &options(name)).unwrap()
}
