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
    world.declare(FILE);
    // The machine is made; what keeps its system from it is told.
    for args in [&["apply", "--yes"][..], &["system", "switch", "box"]] {
        let said = world.stead(args);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.err.contains("secret \"token\" cannot be read"), "{said:?}");
        assert!(said.err.contains("umask 077"), "{said:?}");
    }
    let said = world.stead(&["plan"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.out.contains("x box  as declared but for its system"), "{said:?}");
    secret(&world, "token", "s3cret");
    assert_eq!(world.stead(&["plan"]).status, 3);

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

    // What plan and apply know of it is what the switch put down.
    assert_eq!(world.stead(&["plan"]).out, "nothing to do; 1 as declared\n");
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

    // Whoever only looks starts nothing.
    world.ok(&["down", "box"]);
    for args in [&["audit", "box"][..], &["system", "switch", "box", "--check"]] {
        let said = world.stead(args);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.err.contains("\"box\" does not run"), "{said:?}");
    }
    assert_ne!(world.sh("box", "true").status, 0);
    // A stead file that lies elsewhere is the one by which its machine is made.
    world.ok(&["destroy", "--yes", "box"]);
    let elsewhere = world.path().join("elsewhere.toml");
    std::fs::rename(world.home().join("stead.toml"), &elsewhere).unwrap();
    let said = world.stead(&["system", "switch", "box", "-f", elsewhere.to_str().unwrap()]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn mcp_servers_come_along_without_credentials_and_beside_what_claude_keeps() {
    if !root() {
        return;
    }
    let world = World::new();
    let own = world.home().join(".claude.json");
    std::fs::create_dir_all(world.home().join(".claude")).unwrap();
    std::fs::write(world.home().join(".claude/CLAUDE.md"), "Be brief.\n").unwrap();
    std::fs::write(
        &own,
        r#"{"oauthAccount":{"accountUuid":"mine"},"mcpServers":{
            "files":{"command":"npx","env":{"FILES_TOKEN":"hunter2","LEVEL":"debug"}},
            "remote":{"url":"https://ada:hunter2@mcp.example.org"}}}"#,
    )
    .unwrap();
    let agents = "\n[systems.dev.agents]\nclaude_home = \"~/.claude\"\n";
    world.declare(&format!("{FILE}{agents}"));
    secret(&world, "token", "s3cret");
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.err.contains("MCP server files: `FILES_TOKEN` of `env` left out"), "{said:?}");
    assert!(said.err.contains("MCP server remote: left out"), "{said:?}");
    let there = || -> Value {
        let text = world.sh_ok("box", "cat /home/ada/.claude.json");
        serde_json::from_str(&text).unwrap()
    };
    let files = serde_json::json!({ "files": { "command": "npx", "env": { "LEVEL": "debug" } } });
    assert_eq!(there(), serde_json::json!({ "mcpServers": files }));
    assert_eq!(world.sh_ok("box", "stat -c '%U %a' /home/ada/.claude.json"), "ada 600\n");
    assert_eq!(world.sh_ok("box", "cat /home/ada/.claude/CLAUDE.md"), "Be brief.\n");

    // What Claude and a person inside keep there stays.
    let kept = r#"{"userID":"inside","mcpServers":{"files":{"command":"npx","env":{"LEVEL":"debug"}},"hers":{"command":"x"}}}"#;
    world.sh_ok("box", &format!("printf '%s' '{kept}' > /home/ada/.claude.json"));
    let again = world.stead(&["system", "switch", "box"]);
    assert_eq!((again.status, again.out.as_str()), (0, "box: as declared\n"), "{again:?}");
    std::fs::write(&own, "{}").unwrap();
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 0, "{said:?}");
    let kept =
        serde_json::json!({ "userID": "inside", "mcpServers": { "hers": { "command": "x" } } });
    assert_eq!(there(), kept);
}

#[test]
fn a_live_machine_is_audited_and_mended() {
    if !root() {
        return;
    }
    let world = World::new();
    secret(&world, "token", "s3cret");
    world.apply(FILE);
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
fn user_data_has_all_of_it_and_says_what_it_has_not() {
    let world = World::new();
    let claude = world.home().join("claude");
    std::fs::create_dir_all(claude.join("commands")).unwrap();
    std::fs::write(claude.join("commands/a.md"), "say a\n").unwrap();
    std::fs::write(claude.join("commands/picture"), [0xff, 0xfe]).unwrap();
    std::fs::write(claude.join(".credentials.json"), "{\"token\":\"hunter2\"}").unwrap();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, claude.join(name)).unwrap();
    };
    link("commands/a.md", "CLAUDE.md");
    link("commands", "skills");
    link(".", "commands/round");
    link(".credentials.json", "settings.json");
    link("/etc/passwd", "commands/b.md");
    world.declare(
        "[systems.dev]\nroles = [\"desktop\"]\n\
         [systems.dev.users.ada]\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD\"]\n\
         [systems.dev.overlay]\nkind = \"tailscale\"\nkey = \"ts\"\n\
         [systems.dev.agents]\nclaude_home = \"./claude\"\n",
    );
    let said = world.stead(&["system", "render", "dev", "out", "--to", "debian"]);
    assert_eq!(said.status, 0, "{said:?}");
    let out = world.home().join("out/dev");
    let data = std::fs::read_to_string(out.join("user-data")).unwrap();
    for path in ["CLAUDE.md", "commands/a.md", "skills/a.md"] {
        assert!(data.contains(&format!("/home/ada/.claude/{path}")), "{path} in {data}");
    }
    for left in ["settings.json", "commands/b.md", "commands/picture", "commands/round"] {
        assert!(!data.contains(&format!(".claude/{left}")), "{left} in {data}");
        assert!(said.err.contains(&format!("claude/{left}: left out, because")), "{said:?}");
    }
    assert!(!data.contains("hunter2") && !said.err.contains("credentials"), "{said:?}");
    // What a person has to do besides, and why ssh is open at first.
    assert!(said.err.contains("RDP"), "{said:?}");
    assert!(said.err.contains("user-data has no secrets"), "{said:?}");
    assert!(data.contains("input tcp dport 22 accept"), "{data}");
    let later = std::fs::read_to_string(out.join("root/etc/nftables.d/stead.nft")).unwrap();
    assert!(!later.contains("tcp dport {"), "{later}");
}

#[test]
fn doctor_says_what_installs_nixos_elsewhere() {
    let world = World::new();
    let bin = world.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let works = || {
        let mut command = world.stead_command();
        let said =
            common::said(&command.args(["doctor", "--json"]).env("PATH", &bin).output().unwrap());
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
    assert!(!works());
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
git -C /etc/nixos init --quiet
program() { cat >"/usr/local/bin/$1"; chmod 755 "/usr/local/bin/$1"; }
program nixos-rebuild <<'END'
#!/bin/sh
[ "$1 $2" = "build --flake" ] && [ -f "${3%#*}/flake.nix" ] || exit 64
echo "nixos-rebuild $1 $3 $(git -C /etc/nixos ls-files hosts | wc -l)" >>/said
[ "$(cat /fails 2>/dev/null)" != build ] || exit 1
mkdir -p /nix/store/new/bin && ln -sfn /nix/store/new result
cat >/nix/store/new/bin/switch-to-configuration <<'NEW'
#!/bin/sh
echo "new $1" >>/said
[ "$(cat /fails 2>/dev/null)" != switch ]
NEW
chmod 755 /nix/store/new/bin/switch-to-configuration
END
program systemctl <<'END'
#!/bin/sh
case "$1" in
list-units) [ "$(cat /fails 2>/dev/null)" != unit ] || [ ! -e /said ] || ! grep -q 'new switch' /said || echo bad.service loaded ;;
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
echo "nix-env $3 $4" >>/said
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
    // Applying leaves it to a person, and says so.
    let waits = world.stead(&["plan"]);
    assert_eq!(waits.status, 0, "{waits:?}");
    assert!(waits.out.contains("system dev waits for `stead system switch`"), "{waits:?}");
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 0, "{said:?}");
    // What came with the machine is shown before it is covered.
    assert!(said.err.contains("  services.printing.enable\n"), "{said:?}");
    assert!(!said.err.contains("networking.hostName"), "{said:?}");
    let order = [
        // What the switch has put there is known to git, without which no flake sees it.
        "nixos-rebuild build /etc/nixos#box 2",
        "systemd-run --unit=stead-back",
        "nix-env --set /nix/store/new",
        "new switch",
        "systemctl stop stead-back.timer",
    ];
    let log = world.sh_ok("box", "cat /said");
    let mut rest = log.as_str();
    for step in order {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} in {log}"));
        rest = &rest[at + step.len()..];
    }
    world.sh_ok("box", "test -f /etc/nixos/flake.nix && test -f /etc/nixos/configuration.nix");
    assert_eq!(world.stead(&["plan"]).out, "nothing to do; 1 as declared\n");

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
        assert!(world.stead(&["plan"]).out.contains("1 system waits"));
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
