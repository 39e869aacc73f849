//! NixOS on a fresh machine: `stead system install` drives nixos-anywhere, each of whose stages fails once.
//!
//! The real program, unmodified, runs against a stand-in of a machine where `STEAD_TEST_NIXOS_ANYWHERE` names it (its
//! folder has `get-facts.sh` too) and sshd is installed; otherwise only a stand-in of it runs.

#[path = "../common/mod.rs"]
mod common;
mod target;

use common::{Said, World};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use target::Target;

const FILE: &str = r#"
[systems.dev]
os = "nixos"
hostname = "box"

[systems.dev.users.ada]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"]
"#;

/// Each stage, and what is told when it fails.
const FAILURES: [(&str, &str, &str); 6] = [
    ("build", "building the system", "nothing was changed"),
    ("connect", "connecting to the machine", "nothing was changed"),
    ("kexec", "starting the installer in its place", "its disk is untouched"),
    ("disko", "partitioning and formatting its disk", "its old system may be gone"),
    ("install", "installing NixOS", "its disk is formatted and has no system yet"),
    ("reboot", "starting it from its disk", "NixOS is installed"),
];

/// Speaks as nixos-anywhere does.
const STAND_IN: &str = include_str!("nixos-anywhere-stand-in.sh");

/// An ssh that lets everybody in, so that what comes after is tested.
const SSH: &str = "#!/bin/sh\n[ \"$1 $2\" = \"-o BatchMode=yes\" ]\n";

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A world with the file.
fn world() -> World {
    let world = World::new();
    std::fs::write(world.home().join("stead.toml"), FILE).unwrap();
    world
}

fn told(said: &Said, title: &str, help: &str) {
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains(&format!("failed while {title}")), "{said:?}");
    assert!(said.err.contains(help), "{said:?}");
    assert!(said.out.contains(&format!("{title} ...")), "{said:?}");
}

#[test]
fn each_stage_is_shown_and_a_failure_says_which_and_what_to_do() {
    let world = world();
    let bin = world.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let stand_in = bin.join("nixos-anywhere-stand-in");
    program(&stand_in, STAND_IN);
    program(&bin.join("ssh"), SSH);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let install = |fail: &str| {
        let mut command = world.stead_command();
        command.args(["system", "install", "dev", "root@box.example.org", "--yes"]);
        command.env("STEAD_NIXOS_ANYWHERE", &stand_in).env("FAIL", fail).env("PATH", &path);
        common::said(&command.output().unwrap())
    };
    let said = install("");
    assert_eq!(said.status, 0, "{said:?}");
    let stages: Vec<&str> = said.out.lines().filter_map(|line| line.strip_suffix(" ...")).collect();
    assert_eq!(stages, FAILURES.map(|(_, title, _)| title), "{said:?}");
    assert!(said.out.ends_with("installed\n"), "{said:?}");
    for (stage, title, help) in FAILURES {
        let said = install(stage);
        told(&said, title, help);
        assert!(said.err.contains(&format!("it broke in {stage}")), "{said:?}");
    }
}

#[test]
fn secrets_come_along_from_the_flake_that_was_rendered() {
    let world = world();
    let bin = world.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let stand_in = bin.join("nixos-anywhere-stand-in");
    program(
        &stand_in,
        &STAND_IN.replace("fail build\n", "cat \"${flake%#*}/secrets/box.yaml\"\nfail build\n"),
    );
    program(&bin.join("ssh"), SSH);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let text = FILE.replace("hostname = \"box\"\n", "hostname = \"box\"\nsecrets = [\"token\"]\n");
    std::fs::write(world.home().join("stead.toml"), text).unwrap();
    let install = |more: &[&str]| {
        let mut command = world.stead_command();
        command.args(["system", "install", "dev", "root@box.example.org", "--yes"]).args(more);
        command.env("STEAD_NIXOS_ANYWHERE", &stand_in).env("PATH", &path).env("STEAD_VERBOSE", "1");
        common::said(&command.output().unwrap())
    };
    let said = install(&[]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("system/secrets/box.yaml"), "{said:?}");
    assert!(said.err.contains("sops secrets/box.yaml"), "{said:?}");
    for (folder, more) in [("system", &[][..]), ("own", &["--flake", "own"][..])] {
        let secrets = world.home().join(folder).join("secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("box.yaml"), format!("sealed in {folder}\n")).unwrap();
        let said = install(more);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.out.contains(&format!("sealed in {folder}\n")), "{said:?}");
    }
}

#[test]
fn nobody_is_asked_where_nobody_could_answer() {
    let world = world();
    let said = world.stead(&["system", "install", "dev", "root@box.example.org"]);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("--yes"), "{said:?}");
    let said = world.stead(&["system", "install", "no-such", "root@box.example.org", "--yes"]);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("it declares: dev"), "{said:?}");
}

#[test]
fn the_real_nixos_anywhere_installs_and_each_of_its_stages_fails_once() {
    let Some(real) = std::env::var_os("STEAD_TEST_NIXOS_ANYWHERE") else {
        println!("SKIPPED: STEAD_TEST_NIXOS_ANYWHERE names no nixos-anywhere");
        return;
    };
    if !rustix::process::geteuid().is_root() || !Path::new(target::SSHD).exists() {
        println!("SKIPPED: this needs root and {}", target::SSHD);
        return;
    }
    let world = world();
    let install = |fail: &str| {
        let target = Target::new(fail);
        let mut command = world.stead_command();
        command.args(["system", "install", "dev", "root@127.0.0.1", "--yes"]);
        command.args([
            "--port",
            &target.port.to_string(),
            "--port-after",
            &target.port.to_string(),
        ]);
        command.arg("--identity").arg(target.key());
        command.env("STEAD_NIXOS_ANYWHERE", &real).env("PATH", target.path_here());
        let said = common::said(&command.output().unwrap());
        (said, target.log())
    };
    let (said, log) = install("");
    assert_eq!(said.status, 0, "{said:?}\n{log}");
    let done = ["kexec", "disko", "nixos-install", "reboot"];
    let order: Vec<&str> = log.lines().filter(|line| done.contains(line)).collect();
    assert_eq!(order, done, "{log}");
    for (stage, title, help) in FAILURES {
        let (said, log) = install(stage);
        told(&said, title, help);
        println!("{stage}: {}\n{log}", said.err);
    }
}
