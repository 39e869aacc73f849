//! `rebuild`, as it is on a NixOS host, with stand-ins for what only NixOS has.

mod nixos_support;

use nixos_support::flake;
use std::path::Path;
use std::process::Command;

#[test]
fn rebuild_works_where_a_switch_put_the_flake() {
    let tree = flake("cloud-dev-server");
    let part = &tree[Path::new("modules/rebuild.nix")].text;
    let script = part.split("text = ''").nth(1).unwrap().split("'';").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let script = script
        .replace("''$", "$")
        .replace("/etc/nixos", &dir.path().display().to_string())
        .replace("exec nixos-rebuild switch", "git log --oneline | wc -l; git ls-files");
    let script = format!("set -eu\nid() {{ echo 0; }}\n{script}");
    std::fs::write(dir.path().join("flake.nix"), "{ }\n").unwrap();
    for (commits, name) in [("1", "flake.nix"), ("2", "new.nix")] {
        std::fs::write(dir.path().join(name), "{ }\n").unwrap();
        let output =
            Command::new("bash").args(["-c", &script]).env("HOME", dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(said.lines().next(), Some(commits), "{output:?}");
        assert!(said.lines().any(|line| line == name), "{said}");
    }
}
