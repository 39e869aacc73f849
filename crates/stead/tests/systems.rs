//! Declared systems by the command line: rendered, brought to a machine, checked there.

mod common;

use common::World;
use serde_json::Value;
use std::path::Path;

/// A system that a copy of this host can be brought to without a network, and a machine that has it.
const FILE: &str = r#"
[machines.box]
system = "dev"
egress = "none"

[systems.dev]
timezone = "Europe/Berlin"
updates = "off"
audit_log = false
ssh = { enable = false }
disk = { grow = false }
secrets = ["token"]

[systems.dev.users.ada]
sudo = "passwordless"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"]

[systems.dev.services.tick]
command = ["/bin/true"]
calendar = "daily"
"#;

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: machines with everything are root's");
    }
    root
}

fn secret(world: &World, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let folder = world.path().join("config/stead/secrets");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_machine_is_brought_to_its_system_and_is_there_afterwards() {
    if !root() {
        return;
    }
    let world = World::new();
    world.apply(FILE);
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("secret \"token\" cannot be read"), "{said:?}");
    assert!(said.err.contains("umask 077"), "{said:?}");
    secret(&world, "token", "s3cret");

    let planned = world.stead(&["system", "switch", "box", "--check"]);
    assert_eq!(planned.status, 3, "{planned:?}");
    assert!(planned.out.contains("ada") && planned.out.contains("would change"), "{planned:?}");
    assert_ne!(world.sh("box", "id ada").status, 0, "a check changes nothing");

    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.out.contains("s3cret") && !said.err.contains("s3cret"), "{said:?}");
    world.sh_ok("box", "id ada && test -e /etc/sudoers.d/*stead* -o -e /etc/sudoers.d/*ada*");
    assert_eq!(
        world.sh_ok("box", "readlink /etc/localtime"),
        "/usr/share/zoneinfo/Europe/Berlin\n"
    );
    let unit = world.sh_ok("box", "cat /etc/systemd/system/tick.service");
    assert!(unit.contains("ProtectSystem=strict"), "{unit}");
    assert_eq!(
        world.sh_ok("box", "cat /run/secrets/token; stat -c %a /run/secrets/token"),
        "s3cret400\n"
    );
    // None of it reached this host.
    assert!(!Path::new("/etc/systemd/system/tick.service").exists());

    let again = world.stead(&["system", "switch", "box"]);
    assert_eq!((again.status, again.out.as_str()), (0, "box: as declared\n"), "{again:?}");

    // What is declared no more goes, and what a person made stays.
    world.sh_ok("box", "touch /etc/systemd/system/own.service");
    let less = FILE.split("\n[systems.dev.services.tick]").next().unwrap();
    world.declare(less);
    let said = world.stead(&["system", "switch", "box", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.last().unwrap()["summary"]["changed"].as_u64().unwrap() > 0, "{said:?}");
    world.sh_ok(
        "box",
        "test ! -e /etc/systemd/system/tick.service && test -e /etc/systemd/system/own.service",
    );
}

#[test]
fn a_live_machine_is_audited_and_mended() {
    if !root() {
        return;
    }
    let world = World::new();
    world.apply(FILE);
    secret(&world, "token", "s3cret");
    world.ok(&["system", "switch", "box"]);
    let report = |args: &[&str]| -> Value {
        let said = world.stead(&[&["audit", "box", "--json"], args].concat());
        assert!(matches!(said.status, 0 | 3), "{said:?}");
        let report: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said.status == 3, report["counts"]["fail"] != 0, "{said:?}");
        report
    };
    let verdict = |report: &Value, id: &str| -> String {
        let all = report["findings"].as_array().unwrap();
        let found = all.iter().find(|finding| finding["id"] == id);
        found.map_or_else(
            || panic!("no {id} in {report}"),
            |it| it["verdict"].as_str().unwrap().into(),
        )
    };
    let before = report(&[]);
    assert_eq!(verdict(&before, "credentials.private"), "pass");
    world.sh_ok("box", "install -d -o ada /home/ada/.aws && install -m 644 -o ada /dev/null /home/ada/.aws/credentials && echo x >/home/ada/.aws/credentials");
    let broken = world.stead(&["audit", "box"]);
    assert_eq!(broken.status, 3, "{broken:?}");
    assert!(broken.out.contains("/home/ada/.aws/credentials"), "{broken:?}");
    assert_eq!(verdict(&report(&["--fix"]), "credentials.private"), "pass");
    assert_eq!(world.sh_ok("box", "stat -c %a /home/ada/.aws/credentials"), "600\n");
}

#[test]
fn a_system_is_written_as_files_and_what_a_person_changed_stays() {
    let world = World::new();
    world.declare(FILE);
    let said = world.ok(&["system", "render", "dev", "out"]);
    assert!(said.contains("written  out/box/user-data"), "{said}");
    let out = world.home().join("out");
    let data = std::fs::read_to_string(out.join("box/user-data")).unwrap();
    assert!(data.starts_with("#cloud-config\n"), "{data}");
    assert_eq!(world.ok(&["system", "render", "box", "out"]), "out is as declared\n");

    let said = world.ok(&["system", "render", "dev", "flake", "--to", "nixos"]);
    assert!(said.contains("written  flake/flake.nix"), "{said}");
    let flake = world.home().join("flake/flake.nix");
    let text = std::fs::read_to_string(&flake).unwrap();
    std::fs::write(&flake, format!("{text}# mine\n")).unwrap();
    let changed = FILE.replace("Europe/Berlin", "Europe/Paris");
    world.declare(&changed);
    let said = world.ok(&["system", "render", "dev", "flake", "--to", "nixos"]);
    assert!(said.contains("left     flake/flake.nix is yours"), "{said}");
    assert!(said.contains("written  flake/hosts/box/default.nix"), "{said}");
    assert!(std::fs::read_to_string(&flake).unwrap().ends_with("# mine\n"));

    let said = world.ok(&["system", "render", "--all", "every"]);
    assert!(said.contains("written  every/box/user-data"), "{said}");
    assert_eq!(world.stead(&["system", "render", "--all", "dev", "every"]).status, 2);
    let said = world.stead(&["system", "render", "dve"]);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("it declares: dev"), "{said:?}");
}

#[test]
fn doctor_says_what_installs_nixos_elsewhere() {
    let world = World::new();
    let bin = world.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let works = || {
        let mut command = world.stead_command();
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let said =
            common::said(&command.args(["doctor", "--json"]).env("PATH", path).output().unwrap());
        let all: Vec<Value> = serde_json::from_str(&said.out).unwrap();
        let found = |word: &str| {
            let mut all = all.iter();
            all.find(|it| it["what"].as_str().unwrap().contains(word))
                .unwrap_or_else(|| panic!("{said:?}"))
                .clone()
        };
        assert!(found("room")["works"].is_boolean() && found("clock")["works"].is_boolean());
        found("NixOS")["works"] == true
    };
    if works() {
        return println!("SKIPPED: nix is installed here");
    }
    std::fs::write(bin.join("nixos-anywhere"), "").unwrap();
    assert!(works());
}

#[test]
fn a_phone_joins_by_a_code_that_is_shown_once() {
    let has_wg = std::process::Command::new("wg").arg("--version").output().is_ok();
    assert!(has_wg, "wireguard-tools are not installed: scripts/deps-test.sh");
    let world = World::new();
    world.declare(
        "[systems.dev.overlay]\nkind = \"wireguard\"\nkey = \"wg\"\naddress = \"10.9.0.1/24\"\n",
    );
    secret(&world, "wg", "no key");
    let said = world.stead(&["system", "device", "dev", "box.example.org"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("wg genkey"), "{said:?}");

    let wg = |what: &str, input: &str| {
        let script = format!("printf '%s\\n' \"$1\" | wg {what}");
        let output =
            std::process::Command::new("sh").args(["-c", &script, "sh", input]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let own = wg("genkey", "");
    secret(&world, "wg", &own);
    let said = world.stead(&["system", "device", "dev", "box.example.org", "--config"]);
    assert_eq!(said.status, 0, "{said:?}");
    let value = |key: &str| {
        let line = said.out.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.unwrap_or_else(|| panic!("no {key} in {said:?}")).to_owned()
    };
    assert_eq!(value("PublicKey"), wg("pubkey", &own));
    assert_eq!(
        (value("Endpoint"), value("Address")),
        ("box.example.org:51820".into(), "10.9.0.2/32".into())
    );
    // What is added to the file is a peer that the file takes.
    let peer = format!("{} 10.9.0.2/32", wg("pubkey", &value("PrivateKey")));
    assert!(said.err.contains(&format!("\"{peer}\"")), "{said:?}");
    world.declare(&format!("[systems.dev.overlay]\nkind = \"wireguard\"\nkey = \"wg\"\naddress = \"10.9.0.1/24\"\npeers = [\"{peer}\"]\n"));
    let next = world.stead(&["system", "device", "dev", "box.example.org:1234"]);
    assert_eq!(next.status, 0, "{next:?}");
    assert!(next.err.contains(" 10.9.0.3/32"), "{next:?}");
    assert!(next.out.lines().count() > 20 && next.out.contains('█'), "{next:?}");
}

/// What of NixOS a switch talks to; what each was told is in `/said`.
const STAND_INS: &str = r#"
set -e
mkdir -p /etc/nixos /run/current-system/bin /nix/var/nix/profiles
cat >/etc/nixos/configuration.nix <<'END'
{ pkgs, ... }:
{
  services.printing.enable = true;
  networking.hostName = "old";
}
END
program() { cat >"/usr/local/bin/$1"; chmod 755 "/usr/local/bin/$1"; }
program nixos-rebuild <<'END'
#!/bin/sh
[ "$2" = --flake ] && [ -f "${3%#*}/flake.nix" ] || exit 64
echo "nixos-rebuild $1 $3" >>/said
[ "$(cat /fails 2>/dev/null)" != "$1" ]
END
program systemctl <<'END'
#!/bin/sh
case "$1" in
list-units) [ "$(cat /fails 2>/dev/null)" != unit ] || [ ! -e /said ] || ! grep -q 'rebuild switch' /said || echo bad.service loaded ;;
stop) echo "systemctl stop $2" >>/said ;;
*) exit 64 ;;
esac
END
program systemd-run <<'END'
#!/bin/sh
echo "systemd-run $3 $4" >>/said
END
program nix-env <<'END'
#!/bin/sh
echo "nix-env $3" >>/said
END
cat >/run/current-system/bin/switch-to-configuration <<'END'
#!/bin/sh
echo "old $1" >>/said
END
chmod 755 /run/current-system/bin/switch-to-configuration
"#;

#[test]
fn a_nixos_machine_is_switched_and_brought_back_when_that_fails() {
    if !root() {
        return;
    }
    let world = World::new();
    world.apply(&FILE.replace("[systems.dev]\n", "[systems.dev]\nos = \"nixos\"\n"));
    world.sh_ok("box", STAND_INS);
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 0, "{said:?}");
    // What came with the machine is shown before it is covered.
    assert!(said.err.contains("  services.printing.enable\n"), "{said:?}");
    assert!(!said.err.contains("networking.hostName"), "{said:?}");
    let order = [
        "nixos-rebuild build",
        "systemd-run --unit=stead-back",
        "nixos-rebuild switch",
        "systemctl stop stead-back.timer",
    ];
    let log = world.sh_ok("box", "cat /said");
    let mut rest = log.as_str();
    for step in order {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} in {log}"));
        rest = &rest[at + step.len()..];
    }
    world.sh_ok("box", "test -f /etc/nixos/flake.nix && test -f /etc/nixos/configuration.nix");

    for (fails, words) in [
        ("build", "its flake does not build"),
        ("switch", "its old system is back"),
        ("unit", "its old system is back"),
    ] {
        world.sh_ok("box", &format!("echo {fails} >/fails; rm -f /said"));
        let said = world.stead(&["system", "switch", "box"]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
        let log = world.sh_ok("box", "cat /said");
        assert_eq!(log.contains("old switch"), fails != "build", "{log}");
        assert_eq!(said.err.contains("bad.service"), fails == "unit", "{said:?}");
    }
}

#[test]
fn a_virtual_machine_masks_nothing_that_a_system_wants_to_run() {
    use stead_file::declared::{System, Updates};
    for updates in [Updates::Security, Updates::All] {
        let system = System { updates, ..System::default() };
        let whole =
            stead_system::Whole { machine: "a".into(), name: "dev".into(), system, outside: false };
        let desired = stead_system::debian::render(&whole);
        assert!(desired.units.contains_key("apt-daily-upgrade.timer"));
        for (unit, why) in stead_engines::qemu::image::masked::MASKED {
            assert!(!desired.units.contains_key(unit), "{unit} is masked: {why}");
        }
    }
}
