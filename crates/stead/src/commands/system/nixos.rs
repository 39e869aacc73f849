//! A NixOS machine is brought to its flake, and back when it does not answer afterwards.

use super::super::{cp, door, print};
use super::mark::Mark;
use super::render;
use crate::cli::Switch;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use stead_system::{Whole, parts};

/// What is done inside, a step at a time.
const SCRIPT: &str = include_str!("nixos.sh");

/// What is exited with when something would change.
const WOULD: u8 = 3;

pub fn switch(args: &Switch, name: &str, whole: &Whole) -> Outcome {
    let steward = Steward::of_user()?;
    let tree = render::flake(name, std::slice::from_ref(whole))?;
    let copy = tempfile::Builder::new().prefix("stead-switch-").tempdir()?;
    let flake = copy.path().join("nixos");
    // What is there, with what a person has taken over.
    cp::out_of(&args.machine, "/etc/nixos", &flake)?;
    let stock = stock(&flake);
    let written = render::write(&tree, &flake)?;
    for path in &written.left {
        eprintln!("/etc/nixos/{} is yours: it was changed since", path.display());
    }
    if let Some(stock) = stock {
        uncovered(&stock, &tree);
    }
    let changed = !written.written.is_empty() || !written.removed.is_empty();
    if args.check {
        for path in written.written.iter().chain(&written.removed) {
            print(format!("~ /etc/nixos/{}\n", path.display()).as_bytes())?;
        }
        return Ok(if changed { WOULD } else { 0 });
    }
    let mark = Mark::begin(&args.machine, &whole.name, parts::of_flake(&tree))?;
    if changed {
        cp::into(&flake, &args.machine, "/etc/")?;
        for path in &written.removed {
            let path = Path::new("/etc/nixos").join(path).display().to_string();
            run(&steward, args, &["/bin/sh", "-c", "rm -f -- \"$1\"", "sh", &path])?;
        }
    }
    let host = whole.hostname();
    let step = |what: &str| run(&steward, args, &["/bin/sh", "-c", SCRIPT, "sh", what, &host]);
    if !step("build")?.success() {
        return Err(Failure::failed(format!("{}: its flake does not build", args.machine)).help(
            "nothing was switched: the lines above say what; the flake is in its /etc/nixos",
        ));
    }
    let switched = step("switch").is_ok_and(|status| status.success());
    // Asked anew: it must be reached as it is now.
    let well = switched && step("keep").is_ok_and(|status| status.success());
    if well {
        mark.end()?;
        print(format!("{}: switched\n", args.machine).as_bytes())?;
        return Ok(0);
    }
    let back = step("back").is_ok_and(|status| status.success());
    Err(Failure::failed(format!(
        "{}: the switch failed, {}",
        args.machine,
        if back { "and its old system is back" } else { "and it does not answer" }
    ))
    .help(if back {
        "the lines above say what failed"
    } else {
        "within five minutes its old system comes back by itself"
    }))
}

fn run(steward: &Steward, args: &Switch, words: &[&str]) -> Result<ExitStatus, Failure> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut command = door::command(steward, &args.machine, None, &[], &words)?;
    Ok(command.stdin(Stdio::null()).status()?)
}

/// A configuration that came with the machine, if nothing of ours is there yet.
fn stock(flake: &Path) -> Option<String> {
    let ours = flake.join(stead_system::nixos::MANIFEST).exists();
    if ours { None } else { std::fs::read_to_string(flake.join("configuration.nix")).ok() }
}

/// Says which options the machine's own configuration sets and the flake does not.
fn uncovered(stock: &str, tree: &stead_system::Tree) {
    let ours: Vec<String> =
        tree.values().flat_map(|file| stead_system::nixos::options(&file.text)).collect();
    let mut lost: Vec<String> = stead_system::nixos::options(stock)
        .into_iter()
        .filter(|option| {
            !ours.iter().any(|own| own == option || own.starts_with(&format!("{option}.")))
        })
        .collect();
    lost.dedup();
    if !lost.is_empty() {
        eprintln!(
            "its /etc/nixos/configuration.nix sets what is declared nowhere, and is used no more:"
        );
        for option in lost {
            eprintln!("  {option}");
        }
    }
}
