//! What is rendered for Debian: as it should be, and nothing that anybody declared becomes syntax.

use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use stead_file::declared::{
    GitIdentity, Metadata, Overlay, OverlayKind, Service, ServiceKind, Sudo, System, Transport,
    User,
};
use stead_system::apply::{self, Input, Options};
use stead_system::debian::{Act, Desired, parity, render, user_data, user_data_with};
use stead_system::mcp::Servers;
use stead_system::{File, Whole};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop";

fn whole(system: System) -> Whole {
    Whole { machine: "my_box".into(), name: "dev".into(), system, outside: false }
}

fn strings<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.map(str::to_owned).into()
}

/// A system with everything.
fn full() -> System {
    let mut system = System::default();
    let user = User {
        keys: vec![KEY.into()],
        sudo: Sudo::Passwordless,
        shell: "zsh".into(),
        ..User::default()
    };
    system.users.insert("ada".into(), user);
    system.roles = strings(stead_file::ROLES);
    system.agents.install = strings(["claude", "codex", "opencode", "gemini"]);
    system.agents.versions.insert("claude".into(), "2.1.0".into());
    system.agents.tools = strings(["starship", "atuin", "git-tools", "granted", "awscli"]);
    system.agents.multiplexers = strings(["zellij", "tmux"]);
    system.toolchains = strings(["c", "rust", "go", "node", "python", "java", "ruby", "haskell"]);
    system.llm.models = strings(["qwen3:8b"]);
    system.logs.loki = Some("https://loki.example.org/loki/api/v1/push".into());
    system.logs.labels.insert("site".into(), "home".into());
    system.alerts.ntfy = Some("https://ntfy.example.org/box".into());
    system.alerts.token = Some("ntfy".into());
    system.locale = "en_US.UTF-8".into();
    let proxy = &mut system.reverse_proxy;
    proxy.domain = Some("box.example.org".into());
    proxy.upstream = Some("127.0.0.1:4444".into());
    proxy.issuer = Some("https://accounts.example.org".into());
    proxy.client_id = Some("box".into());
    proxy.client_secret = Some("client".into());
    proxy.cookie_secret = Some("cookie".into());
    proxy.emails = strings(["ada@example.org"]);
    let labels = BTreeMap::from([("tier".to_owned(), "mail".to_owned())]);
    let remote = Service { kind: ServiceKind::RemoteControl, labels, ..Service::default() };
    system.services.insert("remote".into(), remote);
    system
}

fn text<'a>(desired: &'a Desired, path: &str) -> &'a str {
    let file = desired.files.get(Path::new(path));
    &file.unwrap_or_else(|| panic!("there is no {path}")).text
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|is| is == line), "no {line:?} in\n{text}");
}

#[test]
fn without_a_word_it_is_closed() {
    let desired = render(&whole(System::default()));
    let ssh = text(&desired, "/etc/ssh/sshd_config.d/00-stead.conf");
    for line in [
        "DenyUsers *",
        "PasswordAuthentication no",
        "PermitRootLogin no",
        "MaxAuthTries 3",
        "X11Forwarding no",
    ] {
        has(ssh, line);
    }
    let nft = text(&desired, "/etc/nftables.d/stead.nft");
    assert!(nft.contains("policy drop;") && nft.contains("tcp dport { 22 } accept"), "{nft}");
    assert!(nft.contains("ip daddr 169.254.169.254 meta skuid != 0 reject"), "{nft}");
    assert_eq!(text(&desired, "/etc/hostname"), "my-box\n");
    let wanted = ["fail2ban", "auditd", "unattended-upgrades"];
    assert!(wanted.iter().all(|name| desired.packages.contains(*name)));
    assert!(desired.users.is_empty() && desired.tasks.is_empty());
    assert!(desired.repositories.is_empty());
}

#[test]
fn with_an_overlay_nothing_is_open_but_on_it() {
    for (kind, interface, port) in [
        (OverlayKind::Tailscale, "tailscale0", 41641),
        (OverlayKind::Netbird, "wt0", 51820),
        (OverlayKind::Wireguard, "wg0", 51820),
    ] {
        let overlay = Overlay {
            kind,
            key: Some("overlay-key".into()),
            address: Some("10.9.0.1/24".into()),
            peers: vec![format!("{}= 10.9.0.2/32", "k".repeat(43))],
            ..Overlay::default()
        };
        let desired = render(&whole(System { overlay, ..System::default() }));
        let nft = text(&desired, "/etc/nftables.d/stead.nft");
        assert!(nft.contains(&format!("iifname \"{interface}\" accept")), "{nft}");
        assert!(nft.contains(&format!("udp dport {{ {port} }} accept")), "{nft}");
        assert!(!nft.contains("tcp dport {"), "{nft}");
        assert!(desired.secrets.contains_key("overlay-key"));
        assert!(serde_json::to_string(&desired).unwrap().contains("/run/secrets/overlay-key"));
    }
}

#[test]
fn without_ssh_it_is_masked_and_closed() {
    let mut system = System::default();
    system.ssh.enable = false;
    system.firewall.metadata = Metadata::None;
    let desired = render(&whole(system));
    assert!(desired.masked.contains("ssh.service") && !desired.packages.contains("fail2ban"));
    let nft = text(&desired, "/etc/nftables.d/stead.nft");
    assert!(!nft.contains("dport { 22"), "{nft}");
    assert!(nft.contains("ip daddr 169.254.169.254 reject"), "{nft}");
}

#[test]
fn a_unit_is_hardened_alone_and_told_of() {
    let mut system = System::default();
    system.alerts.ntfy = Some("https://ntfy.example.org/box".into());
    let mut service = Service {
        command: strings(["/usr/bin/fetch", "--all"]),
        secrets: strings(["token"]),
        ..Service::default()
    };
    system.services.insert("fetch".into(), service.clone());
    service.calendar = Some("daily".into());
    service.relax = strings(["MemoryDenyWriteExecute"]);
    service.network = false;
    system.services.insert("nightly".into(), service);
    let desired = render(&whole(system));
    let unit = text(&desired, "/etc/systemd/system/fetch.service");
    for line in [
        "After=network-online.target",
        "OnFailure=stead-alert@%n.service",
        "ExecStart=/usr/bin/fetch --all",
        "DynamicUser=yes",
        "LoadCredential=token:/run/secrets/token",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "MemoryDenyWriteExecute=yes",
        "Restart=on-failure",
        "WantedBy=multi-user.target",
    ] {
        has(unit, line);
    }
    let nightly = text(&desired, "/etc/systemd/system/nightly.service");
    has(nightly, "PrivateNetwork=yes");
    for absent in ["MemoryDenyWriteExecute", "[Install]", "Restart="] {
        assert!(!nightly.contains(absent), "{nightly}");
    }
    has(text(&desired, "/etc/systemd/system/nightly.timer"), "OnCalendar=daily");
    let units = &desired.units;
    assert!(units.contains_key("nightly.timer") && !units.contains_key("nightly.service"));
}

#[test]
fn every_role_and_tool_is_rendered_and_agrees_with_itself() {
    let desired = render(&whole(full()));
    for (path, target) in &desired.links {
        let unit = path.starts_with("/etc/systemd/system") && !desired.files.contains_key(target);
        assert!(!unit, "{} leads to nothing", path.display());
    }
    for (name, unit) in &desired.units {
        let file = PathBuf::from(format!("/etc/systemd/system/{name}"));
        assert_eq!(desired.files.contains_key(&file), !unit.packaged, "{name}");
        // Nobody's own service takes its place.
        let stem = name.rsplit_once('.').unwrap().0;
        assert!(stem == "remote" || stead_file::reserved_unit(stem), "{name}");
    }
    for rule in &desired.rules {
        if let Act::Reload(unit) | Act::Restart(unit) = &rule.act {
            assert!(desired.units.contains_key(unit), "{}: nothing runs {unit}", rule.name);
        }
    }
    // Npm of Debian's does not go with the maker's node.
    assert!(desired.repositories.contains_key("node") && !desired.packages.contains("npm"));
    let mut words = desired.tasks.iter().flat_map(|task| &task.run);
    assert!(words.any(|word| word == "@anthropic-ai/claude-code@2.1.0"));
    let following = text(&desired, "/etc/systemd/system/stead-agents.service");
    assert!(!following.contains("claude-code") && following.contains("codex@latest"));
    assert!(desired.remarks.iter().any(|remark| remark.contains("lazygit")));
    let back: Desired = serde_json::from_str(&serde_json::to_string(&desired).unwrap()).unwrap();
    assert_eq!(back, desired);
}

#[test]
fn of_claude_no_credentials_and_no_histories_come_along() {
    for (path, wanted) in [
        ("CLAUDE.md", true),
        ("settings.json", true),
        ("commands/a/b.md", true),
        ("skills/x/SKILL.md", true),
        (".credentials.json", false),
        ("history.jsonl", false),
        ("projects/x.jsonl", false),
        ("settings.local.json", false),
        ("mcp.json", false),
        ("hooks/.env", false),
        ("todos/a.json", false),
    ] {
        assert_eq!(parity(Path::new(path)), wanted, "{path}");
    }
    let tree = [(PathBuf::from("CLAUDE.md"), File::new("x"))].into();
    let desired = render(&whole(full())).with_claude_home(&tree);
    assert!(desired.homes["ada"].contains_key(Path::new(".claude/CLAUDE.md")));
    let mut servers = Servers::default();
    servers.add(r#"{"mcpServers":{"a":{"command":"x","env":{"TOKEN":"hunter2"}}}}"#).unwrap();
    let desired = desired.with_servers(&servers);
    let file = &desired.homes["ada"][Path::new(".claude.json")];
    assert_eq!(file.mode, 0o600);
    assert!(file.text.contains("\"a\"") && !file.text.contains("hunter2"), "{}", file.text);
    assert!(desired.remarks.iter().any(|said| said.contains("MCP server a: `TOKEN` of `env`")));
}

#[test]
fn fragments_of_ones_own_are_parts_beside_ours() {
    let whole = whole(full());
    assert_eq!(user_data_with(&render(&whole), &[]), user_data(&render(&whole)));
    let own = strings(["#cloud-config\npackages: [x]\n", "#!/bin/sh\ntrue\n"]);
    let parts = user_data_with(&render(&whole), &own);
    assert_eq!(parts.matches("\n--==stead-user-data==\n").count(), 3);
    assert!(parts.contains("text/x-shellscript") && parts.ends_with("--==stead-user-data==--\n"));
}

/// YAML as Python reads it, which is what cloud-init reads it with.
fn yaml(text: &str) -> Option<serde_json::Value> {
    let script = "import sys, json, yaml; json.dump(yaml.safe_load(sys.stdin.buffer), sys.stdout)";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // One that has no YAML does not read it.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named") {
        return None;
    }
    assert!(output.status.success(), "{said}\n{text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn user_data_is_yaml_that_says_what_is_declared() {
    let mut system = full();
    let hostile = "\u{1b}\u{85}'\"\\ #: - {x}\u{2028}%";
    system.users.get_mut("ada").unwrap().git_name = Some(hostile.into());
    let whole = whole(system);
    let desired = render(&whole);
    let text = user_data(&render(&whole));
    assert!(text.starts_with("#cloud-config\n"));
    let Some(value) = yaml(&text) else {
        eprintln!("SKIPPED: there is no python3 with yaml");
        return;
    };
    for file in value["write_files"].as_array().unwrap() {
        let path = Path::new(file["path"].as_str().unwrap());
        let home = path.strip_prefix("/home/ada").ok();
        let own = home.map_or_else(|| &desired.files[path], |path| &desired.homes["ada"][path]);
        assert_eq!(file["content"], json!(own.text), "{}", path.display());
        assert_eq!(file["permissions"], json!(format!("0{:o}", own.mode)));
    }
    assert_eq!(value["users"][0]["name"], json!("ada"));
    let keys = &desired.files[Path::new("/etc/ssh/authorized_keys.d/ada")];
    assert_eq!(keys.text, format!("{KEY}\n"));
    assert_eq!(value["packages"].as_array().unwrap().len(), desired.packages.len());
    for command in value["runcmd"].as_array().unwrap() {
        let words = command.as_array().unwrap();
        assert!(words.iter().all(serde_json::Value::is_string), "{command}");
    }
}

/// As cloud-init itself sees it. `STEAD_TEST_CLOUD_INIT`: the folder of its modules, where it is not installed.
#[test]
fn user_data_is_valid_by_the_schema_of_cloud_init() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("user-data");
    std::fs::write(&path, user_data(&render(&whole(full())))).unwrap();
    let mut command = Command::new("python3");
    command.args(["-m", "cloudinit.cmd.main", "schema", "--config-file"]).arg(&path);
    if let Some(modules) = std::env::var_os("STEAD_TEST_CLOUD_INIT") {
        command.env("PYTHONPATH", modules);
    }
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: there is no python3");
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    let said = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
    if said.contains("No module named") {
        eprintln!("SKIPPED: there is no cloud-init: {said}");
        return;
    }
    assert!(output.status.success() && said.to_lowercase().contains("valid"), "{said}");
}

#[test]
fn a_hundred_machines_are_rendered() {
    let mut whole = whole(full());
    for number in 0..100 {
        whole.machine = format!("box{number}");
        assert!(render(&whole).files.len() > 20);
        assert!(user_data(&render(&whole)).len() > 1000);
    }
}

/// Anything, and more often what something else would take apart.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("x\nExecStart=/bin/evil\n[Service]".to_owned()),
        Just("a\"; } accept; policy accept; #".to_owned()),
        Just("$(touch /tmp/x) `id` ' \" \\ %n ${HOME}".to_owned()),
        Just("x\nPermitRootLogin yes\r\nMatch all\u{2028}".to_owned()),
        Just("../../../etc/passwd".to_owned()),
        Just("ALL=(ALL) NOPASSWD: ALL\nbob".to_owned()),
        Just("ends in a backslash\\".to_owned()),
    ]
}

/// Sections and keys of a unit. Whether there is a user depends on whether anything of its name is left.
fn directives(unit: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in unit.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else {
            let (key, _) = line.split_once('=').unwrap_or_else(|| panic!("{line:?}"));
            assert!(!line.ends_with('\\'), "{line:?} goes on");
            if key != "User" && key != "DynamicUser" {
                all.push((section.clone(), key.to_owned()));
            }
        }
    }
    all
}

fn of_strings([a, b, c, d, of_e]: [&str; 5]) -> Desired {
    let mut system = System::default();
    system.alerts.ntfy = Some(a.into());
    let user = User {
        keys: vec![b.into()],
        git_name: Some(c.into()),
        sudo: Sudo::Password,
        groups: vec![d.into()],
        ..User::default()
    };
    system.users.insert("ada".into(), user);
    system.ssh.allow_users = strings(["ada", a]);
    system.firewall.trust = strings([b]);
    system.firewall.open = vec![Transport::tcp(443)];
    system.timezone = c.into();
    system.hostname = Some(d.into());
    system.secrets = strings([of_e]);
    let mut service = Service {
        description: a.into(),
        command: strings(["/bin/x", b, c]),
        user: Some(d.into()),
        cwd: Some(of_e.into()),
        env: BTreeMap::from([("A".to_owned(), a.to_owned()), ("B".to_owned(), d.to_owned())]),
        writes: vec![c.into()],
        after: strings([b]),
        ..Service::default()
    };
    system.services.insert("work".into(), service.clone());
    service.calendar = Some(of_e.into());
    system.services.insert("timed".into(), service);
    render(&whole(system))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_is_declared_becomes_another_directive(
        all in prop::array::uniform5(hostile())
    ) {
        let tame = of_strings(["plain"; 5]);
        let wild = of_strings(std::array::from_fn(|at| all[at].as_str()));
        for unit in ["work.service", "timed.service", "timed.timer", "stead-alert@.service"] {
            let path = format!("/etc/systemd/system/{unit}");
            prop_assert_eq!(directives(text(&tame, &path)), directives(text(&wild, &path)));
        }
        let words = |desired: &Desired| -> Vec<String> {
            let ssh = text(desired, "/etc/ssh/sshd_config.d/00-stead.conf");
            let lines = ssh.split(['\n', '\r']);
            lines.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        prop_assert_eq!(words(&tame), words(&wild));
        prop_assert_eq!(text(&wild, "/etc/sudoers.d/10-stead"), "ada ALL=(ALL:ALL) ALL\n");
        prop_assert_eq!(text(&wild, "/etc/ssh/authorized_keys.d/ada").lines().count(), 1);
        let nft = text(&wild, "/etc/nftables.d/stead.nft");
        for line in nft.lines().filter(|line| line.contains("iifname")) {
            prop_assert_eq!(line.matches('"').count(), 2, "{}", line);
        }
        prop_assert_eq!(nft.matches("accept;").count(), 2, "{}", nft);
        for path in wild.files.keys().chain(wild.links.keys()) {
            let inside = path.components().all(|part| part.as_os_str() != "..");
            prop_assert!(path.is_absolute() && inside, "{}", path.display());
        }
        // The address is one word of the script that tells of failures.
        let script = text(&wild, "/usr/local/lib/stead/alert");
        let output = Command::new("sh").args(["-n", "-c", script]).output().unwrap();
        prop_assert!(output.status.success(), "{}", script);
        prop_assert_eq!(script.matches('\'').count(), text(&tame, "/usr/local/lib/stead/alert").matches('\'').count());
    }

    #[test]
    fn user_data_of_anything_is_one_document(a in hostile(), b in hostile()) {
        let mut system = System { hostname: Some(a.clone()), ..System::default() };
        let user = User { keys: vec![b.clone()], git_name: Some(a), ..User::default() };
        system.users.insert("ada".into(), user);
        system.packages = vec![b];
        let text = user_data(&render(&whole(system)));
        // What was declared is deeper than any key of ours.
        let keys = text.lines().filter(|line| line.starts_with(|c: char| !c.is_whitespace()));
        for line in keys.skip(1) {
            let (key, _) = line.split_once(':').unwrap_or_else(|| panic!("{line:?}"));
            prop_assert!(key.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", line);
        }
    }
}

/// A machine that is only a folder: files and links are brought there and taken away again.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn apply(&self, desired: &Desired, check: bool) -> (apply::Summary, String) {
        let input = Input { desired: desired.clone(), secrets: BTreeMap::new() };
        let mut said = Vec::new();
        let options = Options { check, root: self.0.path().to_owned() };
        let summary = apply::apply(&input, &options, &mut said).unwrap();
        (summary, String::from_utf8(said).unwrap())
    }

    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn below(folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_symlink() {
                    let target = std::fs::read_link(&path).unwrap().into_os_string();
                    all.push((path.clone(), target.into_encoded_bytes()));
                } else if path.is_dir() {
                    below(&path, all);
                } else {
                    all.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut all = Vec::new();
        below(self.0.path(), &mut all);
        all.retain(|(path, _)| !path.ends_with("applied.json"));
        all.sort();
        all
    }
}

#[test]
fn what_was_there_before_is_there_again_when_nothing_is_declared() {
    let folder = Folder::new();
    let etc = folder.0.path().join("etc");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("hostname"), "before\n").unwrap();
    std::os::unix::fs::symlink("/usr/share/zoneinfo/Asia/Tokyo", etc.join("localtime")).unwrap();
    let before = folder.all();
    let desired = render(&whole(System::default()));
    let (would, _) = folder.apply(&desired, true);
    assert_eq!(folder.all(), before);
    let (done, said) = folder.apply(&desired, false);
    assert_eq!((would, done.failed), (done, 0), "{said}");
    let (again, said) = folder.apply(&desired, false);
    assert_eq!(again, apply::Summary::default(), "{said}");
    std::fs::write(etc.join("hostname"), "by hand\n").unwrap();
    assert_eq!(folder.apply(&desired, false).0.changed, 1);
    folder.apply(&Desired::default(), false);
    assert_eq!(folder.all(), before);
}

#[test]
fn what_is_in_the_way_is_kept_and_comes_back() {
    let folder = Folder::new();
    let bin = folder.0.path().join("usr/local/bin");
    let units = folder.0.path().join("etc/systemd/system");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&units).unwrap();
    // One that a link replaces, one that is no text, a link of a person's that a file replaces, and a unit under a mask.
    std::fs::write(bin.join("uv"), [0x7f, b'E', b'L', b'F', 0xff]).unwrap();
    std::fs::write(folder.0.path().join("etc/timezone"), [0xfe, 0xff]).unwrap();
    std::os::unix::fs::symlink("/elsewhere", folder.0.path().join("etc/hostname")).unwrap();
    std::fs::write(units.join("ssh.service"), "[Service]\n").unwrap();
    let before = folder.all();
    let mut system = System::default();
    system.ssh.enable = false;
    let mut desired = render(&whole(system));
    desired.links.insert("/usr/local/bin/uv".into(), "/opt/stead/uv/bin/uv".into());
    let (would, _) = folder.apply(&desired, true);
    assert_eq!(folder.all(), before);
    let (done, said) = folder.apply(&desired, false);
    assert_eq!((would, done.failed), (done, 0), "{said}");
    assert!(said.contains("/uv.before-stead"), "{said}");
    assert!(bin.join("uv").is_symlink() && units.join("ssh.service").is_symlink());
    let (again, said) = folder.apply(&desired, false);
    assert_eq!(again, apply::Summary::default(), "{said}");
    // What is kept is never replaced by what is kept later.
    std::fs::remove_file(bin.join("uv")).unwrap();
    std::fs::write(bin.join("uv"), "by hand").unwrap();
    let (_, said) = folder.apply(&desired, false);
    assert!(said.contains("which is there already"), "{said}");
    assert_eq!(std::fs::read(bin.join("uv")).unwrap(), b"by hand");
    std::fs::remove_file(bin.join("uv")).unwrap();
    folder.apply(&Desired::default(), false);
    assert_eq!(folder.all(), before);
}

#[test]
fn a_link_becomes_a_file_and_a_link_again() {
    let folder = Folder::new();
    let path = folder.0.path().join("usr/local/bin/claude");
    let mut system = full();
    for named in [false, true, true, false, true] {
        system.agents.git.clear();
        if named {
            let name = "Claude's \"own\"".to_owned();
            let who = GitIdentity { name, email: "claude@example.org".into() };
            system.agents.git.insert("claude".into(), who);
        }
        let (summary, said) = folder.apply(&render(&whole(system.clone())), false);
        // Nobody has given the secrets.
        assert_eq!(summary.failed, 3, "{said}");
        assert_eq!(path.is_symlink(), !named, "{said}");
        if named {
            let text = std::fs::read_to_string(&path).unwrap();
            has(
                &text,
                "export GIT_AUTHOR_NAME='Claude'\\''s \"own\"' GIT_AUTHOR_EMAIL='claude@example.org'",
            );
        }
    }
}

#[test]
fn one_failure_keeps_nothing_else_from_being_done_and_is_named() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.0.path().join("etc/hostname")).unwrap();
    let desired = render(&whole(System::default()));
    let (summary, said) = folder.apply(&desired, false);
    assert_eq!(summary.failed, 1, "{said}");
    let line = said.lines().find(|line| line.contains("failed")).unwrap();
    assert!(line.contains("/etc/hostname") && line.contains("is a folder"), "{line}");
    assert!(folder.0.path().join("etc/nftables.d/stead.nft").exists());
}

#[test]
fn where_nobody_knows_what_is_steads_nothing_is_touched() {
    let folder = Folder::new();
    let own = folder.0.path().join("var/lib/stead-system");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("applied.json"), "{ torn").unwrap();
    let (summary, said) = folder.apply(&render(&whole(System::default())), false);
    assert_eq!((summary.changed, summary.failed), (0, 1), "{said}");
    assert!(folder.all().is_empty());
}
