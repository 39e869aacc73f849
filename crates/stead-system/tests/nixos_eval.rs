//! The real `nix` evaluates every flake. What a flake takes in cannot be had here: `nixos_support/stand-in.nix` stands in for it.

mod nixos_support;

use nixos_support::options::{Literal, Options, data, of_home, of_nixos, wrong};
use nixos_support::{flake, flakes, nix};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use stead_system::{File, Tree, nixos};

/// Names of packages that a flake's files mention, so that the stand-in has these; that they exist is looked at elsewhere.
fn packages(tree: &Tree) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in tree.values() {
        for sign in ["pkgs.", "python3Packages."] {
            for (at, _) in file.text.match_indices(sign) {
                let rest = file.text[at + sign.len()..].trim_start_matches('"');
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
                all.insert(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
    }
    all
}

/// What the modules of a flake come to, or what nix says against it.
fn evaluated(tree: &Tree) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let flake = folder.path().join("flake");
    nixos::write(tree, &flake).unwrap();
    let modules = folder.path().join("modules/profiles");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(modules.join("qemu-guest.nix"), "{ }\n").unwrap();
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nixos_support/stand-in.nix");
    let packages: Vec<String> = packages(tree).iter().map(|name| format!("\"{name}\"")).collect();
    let call = format!(
        "import {} {{ flake = {}; packages = [ {} ]; modulesPath = {}; }}",
        stand_in.display(),
        flake.display(),
        packages.join(" "),
        folder.path().join("modules").display(),
    );
    let out = nix(folder.path()).args(["--eval", "--strict", "--json", "-E", &call]).output();
    let out = out.unwrap();
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let text: String = serde_json::from_slice(&out.stdout).unwrap();
    Ok(serde_json::from_str(&text).unwrap())
}

fn there() -> bool {
    let there = std::process::Command::new("nix-instantiate").arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no nix-instantiate");
    }
    there
}

#[test]
fn every_flake_evaluates_and_no_two_modules_disagree() {
    if !there() {
        return;
    }
    for (name, tree) in flakes() {
        let all = evaluated(&tree).unwrap_or_else(|why| panic!("{name}: {why}"));
        for (host, report) in all["hosts"].as_object().unwrap() {
            assert_eq!(report["said"]["networking"]["hostName"], **host, "{name}: {report:#}");
        }
        // Every module of ours is somebody's.
        let text = all.to_string();
        for path in tree.keys().filter(|path| path.extension().is_some_and(|end| end == "nix")) {
            // A folder is imported by its own name.
            let place = path.to_string_lossy();
            let place = place.strip_suffix("/default.nix").unwrap_or(&place);
            let used = text.contains(&format!("/{place}\""));
            let called =
                ["flake.nix", "modules/hardened.nix"].iter().any(|own| path == Path::new(own));
            assert!(used || called, "{name}: nothing imports {}", path.display());
        }
    }
}

/// What a value is to an option, where that can be told from what nix made of it.
fn literal(value: &Value) -> Option<Literal> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => Literal::Bool,
        Value::Number(_) => Literal::Int,
        Value::String(text) if text == "<function>" => return None,
        // A package is taken where a path is; of a path nix has made a text.
        Value::String(text) if text.starts_with("/nix/store/stand-in-") => Literal::Path,
        Value::String(text) if text.starts_with('/') => return None,
        Value::String(text) => Literal::Text(Some(text.clone())),
        Value::Array(all) => Literal::List(all.iter().map(literal).collect()),
        Value::Object(_) => Literal::Set,
    })
}

/// Looks at everything that is said below a path, to the leaves.
fn look(value: &Value, path: &mut Vec<String>, see: &mut dyn FnMut(&[String], &Value)) {
    match value {
        Value::Object(all) if !all.is_empty() => {
            for (name, value) in all {
                path.push(name.clone());
                look(value, path, see);
                path.pop();
            }
        }
        Value::Array(all) => {
            see(path, value);
            path.push("*".into());
            for value in all.iter().filter(|value| value.is_object()) {
                look(value, path, see);
            }
            path.pop();
        }
        _ => see(path, value),
    }
}

#[test]
fn what_it_comes_to_is_what_options_take() {
    let (true, Some(data)) = (there(), data()) else { return };
    let (nixos, home) = (of_nixos(&data), of_home(&data));
    let (mut said, mut count) = (String::new(), 0);
    for (name, tree) in flakes() {
        let all = evaluated(&tree).unwrap();
        for (kind, options) in [("hosts", &nixos), ("homes", &home)] {
            for (host, report) in all[kind].as_object().unwrap() {
                look(&report["said"], &mut Vec::new(), &mut |path, value| {
                    // Homes are looked at below; how an activation is ordered is home-manager's.
                    let within = path.starts_with(&["home-manager".into(), "users".into()]);
                    let (options, path): (&Options, _) =
                        if within { (&home, &path[3..]) } else { (options, path) };
                    count += 1;
                    if let Some(why) = wrong(options, path, literal(value).as_ref()) {
                        let _ = writeln!(said, "{name}: {host}: {}: {why}", path.join("."));
                    }
                });
            }
        }
    }
    assert!(said.is_empty(), "{said}");
    assert!(count > 1000, "only {count} were looked at");
}

#[test]
fn the_stand_in_finds_what_is_wrong() {
    if !there() {
        return;
    }
    let broken = |path: &str, from: &str, to: &str| {
        let mut tree = flake("cloud-dev-server");
        let text = tree[Path::new(path)].text.replacen(from, to, 1);
        assert_ne!(text, tree[Path::new(path)].text, "{path} has no {from}");
        tree.insert(path.into(), File::new(text));
        evaluated(&tree).expect_err(to)
    };
    let host = "hosts/dev/default.nix";
    for (path, from, to, why) in [
        ("modules/base.nix", "pkgs.curl", "curl", "undefined variable 'curl'"),
        ("modules/base.nix", "{ pkgs, ... }", "{ pkgs, curl, ... }", "takes curl"),
        ("flake.nix", "sops-nix = {", "sops = {", "'sops-nix' missing"),
        ("flake.nix", "follows = \"nixpkgs\"", "follows = \"nixpkg\"", "follows nixpkg,"),
        (host, "imports = [", "imports = [ ../../modules/none.nix", "none.nix"),
        (host, "./config.alloy", "./other.alloy", "is not in the flake"),
        (
            host,
            "networking.hostName",
            "nix.gc.dates = \"daily\"; networking.hostName",
            "nix.gc.dates is said by",
        ),
        (
            host,
            "\"dev\"",
            "inputs.self.nixosConfigurations.dev.config.networking.hostName",
            "infinite recursion",
        ),
        ("users/ada.nix", "lib.getExe", "lib.getExes", "'getExes' missing"),
    ] {
        let said = broken(path, from, to);
        assert!(said.contains(why), "{to}: {said}");
    }
}
