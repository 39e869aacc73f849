//! Every option that is rendered exists and takes what it is given; every package exists; nothing is said twice.

mod nixos_support;

use nixos_support::options::{Literal, Options, data, json, of_home, of_nixos, wrong};
use nixos_support::{CASES, flake, flakes};
use rnix::ast::{self, AttrpathValue, Expr, HasEntry};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// An attribute that is said somewhere, and what it is if that is written out.
struct Said {
    path: Vec<String>,
    value: Option<Literal>,
    text: String,
}

/// The set that a module comes to.
fn module(text: &str) -> Option<ast::AttrSet> {
    let mut expr = rnix::Root::parse(text).ok().unwrap().expr()?;
    loop {
        expr = match expr {
            Expr::Lambda(lambda) => lambda.body()?,
            Expr::LetIn(within) => within.body()?,
            Expr::AttrSet(set) => return Some(set),
            _ => return None,
        };
    }
}

fn names(said: &AttrpathValue) -> Vec<String> {
    let attrs = said.attrpath().unwrap().attrs();
    let plain = |attr: ast::Attr| match attr {
        ast::Attr::Ident(name) => name.to_string(),
        ast::Attr::Str(text) => literal_text(&text).unwrap_or_default(),
        ast::Attr::Dynamic(_) => "*".into(),
    };
    attrs.map(plain).collect()
}

fn literal_text(text: &ast::Str) -> Option<String> {
    match text.normalized_parts().as_slice() {
        [] => Some(String::new()),
        [ast::InterpolPart::Literal(text)] => Some(text.clone()),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<Literal> {
    Some(match expr {
        Expr::Str(text) => Literal::Text(literal_text(text)),
        Expr::PathRel(_) | Expr::PathAbs(_) => Literal::Path,
        Expr::Literal(_) => Literal::Int,
        Expr::Ident(name) if ["true", "false"].contains(&name.to_string().as_str()) => {
            Literal::Bool
        }
        Expr::List(list) => Literal::List(list.items().map(|item| literal(&item)).collect()),
        Expr::AttrSet(_) => Literal::Set,
        _ => return None,
    })
}

/// Everything that a set says, to the leaves.
fn walk(set: &ast::AttrSet, at: &[String], open: &dyn Fn(&[String]) -> bool, all: &mut Vec<Said>) {
    for said in set.attrpath_values() {
        let mut path = at.to_vec();
        path.extend(names(&said));
        let value = said.value().unwrap();
        if open(&path) {
            continue;
        }
        match &value {
            Expr::AttrSet(set) => {
                if set.entries().next().is_none() {
                    all.push(Said { path, value: Some(Literal::Set), text: value.to_string() });
                } else {
                    walk(set, &path, open, all);
                }
            }
            Expr::List(list) => {
                all.push(Said {
                    path: path.clone(),
                    value: literal(&value),
                    text: value.to_string(),
                });
                path.push("*".into());
                for item in list.items() {
                    if let Expr::AttrSet(set) = item {
                        walk(&set, &path, open, all);
                    }
                }
            }
            _ => all.push(Said { path, value: literal(&value), text: value.to_string() }),
        }
    }
}

fn check(options: &Options, said: &[Said], place: &str, wrong: &mut String) -> usize {
    for Said { path, value, text } in said.iter().filter(|said| said.path[0] != "imports") {
        if let Some(why) = self::wrong(options, path, value.as_ref()) {
            let text: String = text.chars().take(60).collect();
            let _ = writeln!(wrong, "{place}: {} = {text}: {why}", path.join("."));
        }
    }
    said.len()
}

#[test]
fn every_option_exists_and_takes_what_it_is_given() {
    let Some(data) = data() else { return };
    let (nixos, home) = (of_nixos(&data), of_home(&data));
    let (mut wrong, mut count) = (String::new(), 0);
    for (name, tree) in flakes() {
        for (path, file) in &tree {
            let place = format!("{name}: {}", path.display());
            let is_nix = path.extension().is_some_and(|end| end == "nix");
            let is_config = ["flake.nix", "modules/hardened.nix"]
                .iter()
                .all(|other| path.as_os_str() != *other);
            if !is_nix || !is_config || path.starts_with("own") {
                continue;
            }
            let set = module(&file.text).unwrap_or_else(|| panic!("{place} is no module"));
            let mut said = Vec::new();
            if path.starts_with("home") || path.starts_with("users") {
                walk(&set, &[], &|_| false, &mut said);
                count += check(&home, &said, &place, &mut wrong);
                continue;
            }
            walk(&set, &[], &|_| false, &mut said);
            let (homes, host): (Vec<Said>, Vec<Said>) = said
                .into_iter()
                .partition(|said| said.path.starts_with(&["home-manager".into(), "users".into()]));
            count += check(&nixos, &host, &place, &mut wrong);
            let homes: Vec<Said> = homes
                .into_iter()
                .map(|said| Said { path: said.path[3..].to_vec(), ..said })
                .collect();
            count += check(&home, &homes, &place, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 800, "only {count} were looked at");
    println!("{count} were looked at");
}

/// Attributes that are none of the names: functions, and packages that the names have otherwise.
const NOT_NAMED: [&str; 12] = [
    "mkShell",
    "symlinkJoin",
    "writeShellApplication",
    "makeWrapper",
    "stdenv",
    "python3",
    "python3Packages",
    "qemu-utils",
    "ollama-cuda",
    "vllm",
    "dnsutils",
    "lua5_4",
];

fn known_packages(data: &std::path::Path) -> BTreeSet<String> {
    let names = json(data, "package-names");
    let mut all: BTreeSet<String> = names.as_object().unwrap().keys().cloned().collect();
    all.extend(NOT_NAMED.map(String::from));
    all
}

#[test]
fn every_package_exists() {
    let Some(data) = data() else { return };
    let known = known_packages(&data);
    let mut missing = BTreeMap::new();
    for (name, tree) in flakes() {
        for (path, file) in &tree {
            for (at, _) in file.text.match_indices("pkgs.") {
                let before = file.text[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '/') {
                    continue;
                }
                let rest = &file.text[at + 5..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
                let package = &rest[..end.unwrap_or(rest.len())];
                if !known.contains(package) {
                    missing.insert(package.to_owned(), (name.clone(), path.clone()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_package_that_stead_knows_by_name_exists() {
    use stead_system::packages;
    let Some(data) = data() else { return };
    let known = known_packages(&data);
    let toolchains = ["c", "rust", "go", "node", "python", "java", "ruby", "haskell"];
    let tools = ["zellij", "tmux", "starship", "atuin", "git-tools", "granted", "awscli"];
    let sets = toolchains.iter().filter_map(|name| packages::toolchain(name));
    let sets = sets.chain(tools.iter().filter_map(|name| packages::tool(name)));
    let agents =
        ["claude", "codex", "opencode", "gemini"].iter().filter_map(|name| packages::agent(name));
    let debian =
        ["fd-find", "xz-utils", "silversearcher-ag", "awscli", "build-essential", "ninja-build"];
    let all = sets.flat_map(|set| set.nix.iter().copied()).chain(agents.map(|agent| agent.nix));
    for package in all.chain(debian.iter().map(|name| packages::nix(name))) {
        assert!(known.contains(package), "{package}");
    }
}

#[test]
fn every_text_that_is_kept_is_in_one_of_the_five() {
    let parts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nixos/parts");
    let rendered: BTreeSet<_> = CASES.iter().flat_map(|name| flake(name).into_keys()).collect();
    for folder in std::fs::read_dir(&parts).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let path = path.strip_prefix(&parts).unwrap();
            assert!(rendered.contains(path), "{} is checked nowhere", path.display());
        }
    }
}

#[test]
fn nothing_is_said_twice_in_a_file() {
    for (name, tree) in flakes() {
        for (path, file) in &tree {
            if path.extension().is_none_or(|end| end != "nix") {
                continue;
            }
            let Some(set) = module(&file.text) else { continue };
            let mut said = Vec::new();
            walk(&set, &[], &|_| false, &mut said);
            let mut seen: Vec<&Vec<String>> = Vec::new();
            for Said { path: one, .. } in
                said.iter().filter(|said| !said.path.contains(&"*".into()))
            {
                let twice =
                    seen.iter().find(|other| one.starts_with(other) || other.starts_with(one));
                assert!(twice.is_none(), "{name}: {}: {}", path.display(), one.join("."));
                seen.push(one);
            }
        }
    }
}
