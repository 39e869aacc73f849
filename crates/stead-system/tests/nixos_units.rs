//! What is inside the texts of the flake: units that systemd takes and finds safe, scripts that are shell, rules that are nftables'.

mod nixos_support;

use nixos_support::flakes;
use rnix::ast::{self, Expr, HasEntry};
use rowan::ast::AstNode as _;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

type Config = BTreeMap<String, Vec<String>>;

/// What a string says, where code in it is only a place.
fn text(text: &ast::Str) -> String {
    let parts = text.normalized_parts().into_iter();
    parts
        .map(|part| match part {
            ast::InterpolPart::Literal(text) => text,
            ast::InterpolPart::Interpolation(_) => "/nix/store/x".into(),
        })
        .collect()
}

fn words(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Str(said) => vec![text(said)],
        Expr::List(list) => list.items().flat_map(|item| words(&item)).collect(),
        Expr::Ident(name) => {
            vec![if name.to_string() == "true" { "yes".into() } else { "no".into() }]
        }
        other => vec![other.to_string()],
    }
}

/// A `serviceConfig`: a set, `hardened // set`, or `removeAttrs hardened names // set`.
fn config(expr: &Expr, hardened: &Config) -> Config {
    match expr {
        Expr::AttrSet(set) => set
            .attrpath_values()
            .map(|said| (said.attrpath().unwrap().to_string(), words(&said.value().unwrap())))
            .collect(),
        Expr::BinOp(both) => {
            let mut all = config(&both.lhs().unwrap(), hardened);
            all.extend(config(&both.rhs().unwrap(), hardened));
            all
        }
        Expr::Apply(apply) => {
            let mut all = hardened.clone();
            for name in words(&apply.argument().unwrap()) {
                all.remove(&name);
            }
            all
        }
        _ => hardened.clone(),
    }
}

/// Every value in a tree's Nix files that is said under this name, with the file and the path's last but one part.
fn said(file: &str, name: &str) -> Vec<Expr> {
    let root = rnix::Root::parse(file).ok().unwrap();
    let all = root.syntax().descendants().filter_map(ast::AttrpathValue::cast);
    let all =
        all.filter(|said| said.attrpath().unwrap().attrs().last().unwrap().to_string() == name);
    all.map(|said| said.value().unwrap()).collect()
}

fn there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

#[test]
fn systemd_finds_peoples_units_safe() {
    if !there("systemd-analyze") {
        return;
    }
    let mut count = 0;
    for (name, tree) in flakes() {
        let Some(file) = tree.get(Path::new("modules/hardened.nix")) else { continue };
        let hardened = rnix::Root::parse(&file.text).ok().unwrap().expr().unwrap();
        let hardened = config(&hardened, &Config::new());
        for (path, file) in tree.iter().filter(|(path, _)| path.ends_with("default.nix")) {
            for (at, service) in said(&file.text, "serviceConfig").into_iter().enumerate() {
                let mut config = config(&service, &hardened);
                if config.get("Type").is_some_and(|kind| kind == &["oneshot"])
                    && !config.contains_key("ProtectSystem")
                {
                    continue;
                }
                config.insert("ExecStart".into(), vec!["/bin/true".into()]);
                let mut unit = String::from("[Unit]\nDescription=x\n[Service]\n");
                for (key, values) in &config {
                    for value in values {
                        let _ = writeln!(unit, "{key}={value}");
                    }
                }
                let folder = tempfile::tempdir().unwrap();
                let place = folder.path().join(format!("x{at}.service"));
                std::fs::write(&place, &unit).unwrap();
                let run = |args: &[&str]| {
                    let out =
                        Command::new("systemd-analyze").args(args).arg(&place).output().unwrap();
                    let said = format!(
                        "{}{}",
                        String::from_utf8_lossy(&out.stdout),
                        String::from_utf8_lossy(&out.stderr)
                    );
                    assert!(out.status.success(), "{name}: {}: {said}\n{unit}", path.display());
                    said
                };
                run(&["security", "--no-pager", "--offline=true", "--threshold=40"]);
                let verified = run(&["verify", "--recursive-errors=no"]);
                assert!(!verified.contains("Unknown"), "{verified}");
                count += 1;
            }
        }
    }
    assert!(count >= 5, "only {count} were looked at");
}

#[test]
fn every_script_is_shell() {
    let checks = if there("shellcheck") {
        vec![("shellcheck", vec!["--shell=bash", "--severity=warning", "-"])]
    } else {
        Vec::new()
    };
    for (name, tree) in flakes() {
        for (path, file) in
            tree.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "nix"))
        {
            for key in ["script", "text", "preStart", "postBuild"] {
                for script in said(&file.text, key) {
                    let Expr::Str(script) = script else { continue };
                    let script = text(&script);
                    // The text of a file in /etc is none.
                    if script.starts_with('[') {
                        continue;
                    }
                    // As NixOS and its builders run them.
                    let script = format!("set -e\nexport out=/nix/store/x\n{script}");
                    for (program, args) in [("bash", vec!["-n"])].into_iter().chain(checks.clone())
                    {
                        let out = fed(program, &args, &script);
                        assert!(out.0, "{name}: {}: {}\n{script}", path.display(), out.1);
                    }
                }
            }
        }
    }
}

#[test]
fn the_kernel_takes_every_table_of_rules() {
    if !there("nft") {
        return;
    }
    for (name, tree) in flakes() {
        for (path, file) in
            tree.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "nix"))
        {
            for content in said(&file.text, "content") {
                let Expr::Str(content) = content else { continue };
                let content = text(&content);
                if !content.contains("chain ") {
                    continue;
                }
                let (good, said) =
                    fed("nft", &["-c", "-f", "-"], &format!("table inet x {{\n{content}}}\n"));
                if said.contains("Operation not permitted") {
                    println!("skipped: nft checks rules for root only");
                    return;
                }
                assert!(good, "{name}: {}: {said}\n{content}", path.display());
            }
        }
    }
}

/// Runs a program with this as its input: whether it was content, and what it said.
fn fed(program: &str, args: &[&str], input: &str) -> (bool, String) {
    use std::process::Stdio;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let input = std::fs::File::open(file.path()).unwrap();
    let out = Command::new(program).args(args).stdin(Stdio::from(input)).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.success(), said)
}
