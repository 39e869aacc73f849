//! Five declarations as flakes, held against those that are kept.

mod nixos_support;

use nixos_support::{CASES, flake, flakes, folder, nix};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that say something of one host; the others are kept with the program as they are.
fn is_own(path: &Path) -> bool {
    ["flake.nix", ".sops.yaml"].iter().any(|name| path == Path::new(name))
        || ["hosts", "users", "own"].iter().any(|folder| path.starts_with(folder))
        || path.starts_with("home") && path.to_string_lossy().contains("claude")
}

#[test]
fn five_declarations_are_the_flakes_that_are_kept() {
    let update = std::env::var_os("STEAD_UPDATE").is_some();
    let mut wrong = String::new();
    for name in CASES {
        let golden = folder().join(name);
        let tree = flake(name);
        let mut texts: Vec<(PathBuf, String)> = tree
            .iter()
            .filter(|(path, _)| is_own(path))
            .map(|(path, file)| (path.clone(), file.text.clone()))
            .collect();
        let all: Vec<_> = tree.keys().map(|path| path.to_string_lossy()).collect();
        texts.push(("FILES".into(), all.join("\n") + "\n"));
        let wanted: BTreeSet<PathBuf> = texts.iter().map(|(path, _)| golden.join(path)).collect();
        if update {
            let _ = fs::remove_dir_all(&golden);
        }
        for (path, text) in &texts {
            let place = golden.join(path);
            if update {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(&place, text).unwrap();
            }
            let kept = fs::read_to_string(&place).unwrap_or_default();
            if kept != *text {
                let _ = write!(wrong, "{}\n--- kept\n{kept}--- found\n{text}\n", place.display());
            }
        }
        for place in files(&golden).difference(&wanted) {
            let _ = writeln!(wrong, "{} is kept and no longer rendered", place.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}(STEAD_UPDATE=1 keeps what is found)");
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path);
        }
    }
    all
}

#[test]
fn rendering_again_gives_the_same() {
    for name in CASES {
        assert_eq!(flake(name), flake(name), "{name}");
    }
}

#[test]
fn every_file_of_nix_is_as_nixfmt_leaves_it_and_parses() {
    for (name, tree) in flakes() {
        for (path, file) in &tree {
            if path.extension().is_none_or(|end| end != "nix") {
                continue;
            }
            let parsed = rnix::Root::parse(&file.text);
            assert!(
                parsed.errors().is_empty(),
                "{name}: {}: {:?}\n{}",
                path.display(),
                parsed.errors(),
                file.text
            );
            let formatted = nixfmt_rs::format(&file.text).unwrap();
            assert!(
                path.starts_with("own") || formatted == file.text,
                "{name}: {}\n{}",
                path.display(),
                difference(&file.text, &formatted)
            );
        }
    }
}

/// The first lines that differ.
fn difference(ours: &str, theirs: &str) -> String {
    let pairs = ours.lines().zip(theirs.lines()).enumerate();
    let found = pairs.into_iter().find(|(_, (ours, theirs))| ours != theirs);
    found.map_or_else(
        || "at the end".into(),
        |(at, (ours, theirs))| format!("line {}:\n  ours {ours}\n  its  {theirs}", at + 1),
    )
}

#[test]
fn nix_itself_parses_every_file_where_it_is_installed() {
    if Command::new("nix-instantiate").arg("--version").output().is_err() {
        println!("skipped: there is no nix-instantiate");
        return;
    }
    for (name, tree) in flakes() {
        let folder = tempfile::tempdir().unwrap();
        stead_system::nixos::write(&tree, folder.path()).unwrap();
        let files = tree.keys().filter(|path| path.extension().is_some_and(|end| end == "nix"));
        let store = tempfile::tempdir().unwrap();
        let mut nix = nix(store.path());
        let out = nix.arg("--parse").args(files).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
}
