//! Commands inside: status, streams, folder, environment; and what is shared.

use crate::common::World;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn exec_hands_on_status_streams_folder_and_environment() {
    let world = World::new();
    world.apply("[machines.a]\n");
    assert_eq!(world.sh("a", "exit 7").status, 7);
    assert_eq!(world.sh("a", "kill -TERM $$").status, 128 + 15);
    let said = world.sh("a", "echo out; echo err >&2");
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "out\n", "err\n"));
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let said = world.stead_with_input(&["exec", "a", "--", "sha256sum"], &bytes);
    let here = world.home().join("bytes");
    std::fs::write(&here, &bytes).unwrap();
    let outside = world.program("sha256sum").arg(&here).output().unwrap();
    assert_eq!(
        said.out.split(' ').next(),
        String::from_utf8(outside.stdout).unwrap().split(' ').next()
    );
    let said = world.stead(&[
        "exec",
        "-C",
        "/var/cache",
        "-e",
        "WORD=two words",
        "a",
        "--",
        "sh",
        "-c",
        "pwd; echo $WORD",
    ]);
    assert_eq!(said.out, "/var/cache\ntwo words\n");
    let nowhere = world.stead(&["exec", "a", "--", "no-such-program"]);
    assert_eq!(nowhere.status, 127, "{nowhere:?}");
    assert_eq!(nowhere.err.trim().lines().count(), 1, "{nowhere:?}");
    let nowhere = world.stead(&["exec", "-C", "/no/such", "a", "--", "true"]);
    assert_ne!(nowhere.status, 0, "{nowhere:?}");
    assert!(nowhere.err.contains("/no/such"), "{nowhere:?}");
    // Whoever reads no more ends what writes.
    let mut command = world.stead_command();
    command.args(["exec", "a", "--", "yes"]).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    assert_eq!(world.sh("a", "ls /proc/*/exe -l | grep -c /yes").out, "0\n");
}

#[test]
fn a_shell_has_a_terminal() {
    let world = World::new();
    world.apply("[machines.a]\n");
    let mut terminal = world.terminal(&["shell", "a"]);
    terminal.wait_for("#");
    terminal.line("stty size; echo on-$(hostname)");
    terminal.wait_for("on-a");
    let text = terminal.text().join("\n");
    assert!(text.contains("24 80"), "{text}");
    terminal.line("exit 9");
    assert_eq!(terminal.end(), 9);
}

#[test]
fn shares_belong_on_both_sides_to_those_who_use_them() {
    let world = World::new();
    let (rw, ro) = (world.shared_folder("rw"), world.shared_folder("ro"));
    for folder in [&rw, &ro] {
        std::fs::write(folder.join("file"), "text").unwrap();
        std::fs::set_permissions(folder.join("file"), PermissionsExt::from_mode(0o600)).unwrap();
        world.give(&folder.join("file"));
    }
    world.apply("[machines.a]\nshares = [\"rw:/rw\", \"ro:/in/side/ro:ro\"]\n");
    assert_eq!(
        world.sh_ok("a", "stat -c %u:%g /rw/file /in/side/ro/file; cat /rw/file"),
        "0:0\n0:0\ntext"
    );
    world.sh_ok("a", "echo made > /rw/made && mkdir /rw/folder && echo more >> /rw/file");
    let us = world.home().metadata().unwrap().uid();
    for name in ["made", "folder", "file"] {
        assert_eq!(rw.join(name).metadata().unwrap().uid(), us, "{name}");
    }
    assert_eq!(std::fs::read_to_string(rw.join("file")).unwrap(), "textmore\n");
    assert_eq!(world.sh_ok("a", "cat /in/side/ro/file"), "text");
    for script in [
        "echo x > /in/side/ro/file",
        "touch /in/side/ro/x",
        "rm /in/side/ro/file",
        "chmod 777 /in/side/ro",
    ] {
        assert_ne!(world.sh("a", script).status, 0, "{script}");
    }
    assert_eq!(std::fs::read_to_string(ro.join("file")).unwrap(), "text");
    // What the host does is seen inside.
    std::fs::write(ro.join("later"), "later").unwrap();
    assert_eq!(world.sh_ok("a", "cat /in/side/ro/later"), "later");
}

#[test]
fn an_ephemeral_machine_keeps_what_it_is_told_to() {
    let world = World::new();
    world.apply("[machines.a]\nephemeral = true\npersist = [\"/var/lib/kept\"]\n");
    world.sh_ok("a", "echo gone > /etc/gone; echo kept > /var/lib/kept/file");
    assert_eq!(world.sh_ok("a", "cat /etc/gone /var/lib/kept/file"), "gone\nkept\n");
    let id = world.sh_ok("a", "cat /etc/machine-id");
    world.ok(&["restart", "-m", "a"]);
    assert_ne!(world.sh("a", "cat /etc/gone").status, 0);
    assert_eq!(world.sh_ok("a", "cat /var/lib/kept/file"), "kept\n");
    assert_eq!(world.sh_ok("a", "cat /etc/machine-id"), id);
}

#[test]
fn a_machine_shows_what_it_changed() {
    let world = World::new();
    world.apply("[machines.a]\n");
    let before = world.ok(&["diff", "a"]);
    assert!(!before.contains("/etc/made"), "{before}");
    world.sh_ok("a", "echo x > /etc/made");
    assert!(world.ok(&["diff", "a"]).lines().any(|line| line == "A /etc/made"));
    if !world.is_root() {
        println!("SKIPPED: what this host has belongs to nobody inside an ordinary user's machine");
        return;
    }
    world.sh_ok("a", "echo x >> /etc/profile; rm /usr/bin/env");
    let text = world.ok(&["diff", "a"]);
    for line in ["A /etc/made", "C /etc/profile", "D /usr/bin/env"] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    let changes: serde_json::Value =
        serde_json::from_str(&world.ok(&["diff", "a", "--json"])).unwrap();
    let deleted = changes.as_array().unwrap().iter().find(|c| c["path"] == "/usr/bin/env").unwrap();
    assert_eq!(deleted["kind"], "deleted");
    assert!(std::path::Path::new("/usr/bin/env").exists());
}
