//! What options there are, and whether an option takes what it is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the data is, if it is anywhere.
pub fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nixos");
    let named = std::env::var_os("STEAD_TEST_DATA").map(|path| PathBuf::from(path).join("nixos"));
    let found = named.into_iter().chain([beside]).find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: there is no data about NixOS; STEAD_TEST_DATA says where it is");
    }
    found
}

/// A file of the data.
pub fn json(folder: &Path, name: &str) -> serde_json::Value {
    let file = folder.join(format!("{name}.json.zst"));
    let out = Command::new("zstd").args(["-dqc"]).arg(&file).output().expect("zstd is installed");
    assert!(out.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Options by path.
#[derive(Debug, Default)]
pub struct Options {
    kind: Option<String>,
    below: BTreeMap<String, Options>,
}

impl Options {
    /// Adds the options of a file.
    pub fn add(&mut self, json: &serde_json::Value) {
        let options = json.get("options").unwrap_or(json).as_object().unwrap();
        for (path, option) in options {
            let kind = option.get(0).or_else(|| option.get("type")).and_then(|kind| kind.as_str());
            let Some(kind) = kind else { continue };
            let mut node = &mut *self;
            for name in split(path) {
                node = node.below.entry(name).or_default();
            }
            node.kind = Some(kind.into());
        }
    }

    /// What is at a path: an option's type, or what is open below one. Or why there is nothing.
    pub fn find(&self, path: &[String]) -> Result<Found<'_>, String> {
        let mut node = self;
        for (at, name) in path.iter().enumerate() {
            let wild = || node.below.iter().find(|(name, _)| name.starts_with('<') || *name == "*");
            let next = node.below.get(name).or_else(|| wild().map(|(_, node)| node));
            if let Some(next) = next {
                node = next;
            } else if node.kind.as_deref().is_some_and(is_open) {
                return Ok(Found::Open);
            } else {
                return Err(format!(
                    "there is no option {} (nothing called `{name}`)",
                    path[..=at].join(".")
                ));
            }
        }
        match node.kind.as_deref() {
            Some(kind) => Ok(Found::Option(kind)),
            None => Ok(Found::Group),
        }
    }
}

/// What is at a path.
pub enum Found<'a> {
    /// An option of this type.
    Option(&'a str),
    /// Anything, below an option.
    Open,
    /// Other options.
    Group,
}

fn split(path: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    for c in path.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => all.push(String::new()),
            c => all.last_mut().unwrap().push(c),
        }
    }
    all
}

/// Whether a type says nothing of what is below it.
fn is_open(kind: &str) -> bool {
    const WORDS: [&str; 16] = [
        "anything",
        "unspecified",
        "raw",
        "value",
        "systemd option",
        "sysctl",
        "config",
        "section",
        "DAG",
        "onfiguration",
        "atom",
        "attribute set",
        "open submodule",
        "one of bcachefs",
        "module",
        "one of zfs",
    ];
    WORDS.iter().any(|word| kind.contains(word)) && kind != "submodule"
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(Option<String>),
    Path,
    Int,
    Bool,
    List(Vec<Option<Literal>>),
    Set,
}

/// Why an option of this type does not take that.
pub fn refuse(kind: &str, literal: &Literal) -> Option<String> {
    let said = |what: &str| Some(format!("takes {kind}, not {what}"));
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if has(&[
        "anything",
        "unspecified",
        "raw",
        "JSON",
        "YAML",
        "TOML",
        "nfiguration",
        "config",
        "DAG",
    ]) {
        return None;
    }
    match literal {
        Literal::Text(text) => {
            let one_of = kind.strip_prefix("null or ").unwrap_or(kind).strip_prefix("one of ");
            if let (Some(words), Some(text)) = (one_of, text)
                && !has(&["string", " or value"])
            {
                let words: Vec<&str> =
                    words.split(", ").map(|word| word.trim_matches(['“', '”', '"'])).collect();
                if !words.contains(&text.as_str()) {
                    return said(&format!("{text:?}"));
                }
                return None;
            }
            let list = kind.starts_with("list of") || kind.starts_with("null or (list of");
            if list || !has(&["string", "path", "one of", "atom", "option"]) {
                said("a text")
            } else {
                None
            }
        }
        Literal::Path => {
            if has(&["path", "package", "module", "nixpkgs"]) {
                None
            } else {
                said("a path")
            }
        }
        Literal::Int => {
            if !kind.starts_with("list")
                && has(&["integer", "number", "float", "int,", "atom", "option"])
            {
                None
            } else {
                said("a number")
            }
        }
        Literal::Bool => {
            if !kind.starts_with("list") && has(&["boolean", "bool", "true", "atom", "option"]) {
                None
            } else {
                said("true or false")
            }
        }
        Literal::Set => {
            if has(&["attribute set", "attrs", "submodule", "module", "option"]) {
                None
            } else {
                said("a set")
            }
        }
        Literal::List(all) => {
            let Some(at) = kind.find("list of ") else { return said("a list") };
            let of = &kind[at + "list of ".len()..];
            all.iter().flatten().find_map(|one| refuse(of, one))
        }
    }
}

/// The options of a host.
pub fn of_nixos(data: &Path) -> Options {
    let mut options = Options::default();
    for name in ["nixos-options.slim", "disko-options", "sops-nix-options", "microvm-host-options"]
    {
        options.add(&json(data, name));
    }
    options
}

/// The options of a home.
pub fn of_home(data: &Path) -> Options {
    let mut options = Options::default();
    options.add(&json(data, "home-manager-options-25.11"));
    options
}

/// Why something cannot be said there, if it cannot.
pub fn wrong(options: &Options, path: &[String], value: Option<&Literal>) -> Option<String> {
    if is_known(path) {
        return None;
    }
    match options.find(path) {
        Err(why) => Some(why),
        Ok(Found::Open) => None,
        Ok(Found::Group) if value == Some(&Literal::Set) => None,
        Ok(Found::Group) => Some("is a group of options, and no option".into()),
        Ok(Found::Option(kind)) => value.and_then(|value| refuse(kind, value)),
    }
}

/// Options of modules that the data has not: of home-manager within NixOS, of impermanence, and what disko's data leaves out.
fn is_known(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["home-manager", name] => [
            "useGlobalPkgs",
            "useUserPackages",
            "extraSpecialArgs",
            "backupFileExtension",
            "sharedModules",
        ]
        .contains(name),
        ["environment", "persistence", _, name] => {
            ["hideMounts", "directories", "files"].contains(name)
        }
        // Assertions are hidden from manuals.
        ["disko", "devices", .., "type"]
        | ["assertions", ..]
        | ["home-manager", "extraSpecialArgs", ..] => true,
        _ => false,
    }
}
