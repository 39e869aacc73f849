//! Snapshots, restores, clones, moves.

use crate::common::{World, kill_and_wait};
use serde_json::Value;
use std::io::BufRead;

fn snapshots(world: &World, machine: &str) -> Vec<Value> {
    serde_json::from_str(&world.ok(&["snapshot", "ls", machine, "--json"])).unwrap()
}

/// The core of it, for anybody.
pub fn is_kept_and_put_back(world: &World) {
    world.sh_ok("a", "mkdir /srv/data; echo precious > /srv/data/file; echo one > /etc/changed");
    world.ok(&["down", "a"]);
    world.ok(&["snapshot", "create", "a", "good", "--note", "before the damage"]);
    world.ok(&["up", "a"]);
    world.sh_ok(
        "a",
        "rm -rf /srv/data; echo two > /etc/changed; rm /usr/bin/env; echo x > /etc/damage",
    );
    world.ok(&["snapshot", "restore", "a", "good"]);
    assert_eq!(world.sh_ok("a", "cat /srv/data/file /etc/changed; env true"), "precious\none\n");
    assert_ne!(world.sh("a", "cat /etc/damage").status, 0);

    let all = snapshots(world, "a");
    assert_eq!(all[0]["name"], "good");
    assert_eq!(all[0]["note"], "before the damage");
    // What was replaced is kept, and can be had again.
    let replaced =
        all.iter().find(|s| s["automatic"] == true).expect("the state that was replaced");
    world.ok(&["snapshot", "restore", "a", replaced["name"].as_str().unwrap()]);
    assert_eq!(world.sh_ok("a", "cat /etc/changed /etc/damage"), "two\nx\n");
    assert_ne!(world.sh("a", "cat /srv/data/file").status, 0);
}

#[test]
fn a_state_is_kept_and_put_back() {
    let world = World::new();
    world.apply("[machines.a]\n");
    is_kept_and_put_back(&world);
    assert_eq!(world.stead(&["snapshot", "restore", "a", "never-made"]).status, 2);
    assert_eq!(world.stead(&["snapshot", "rm", "a", "good"]).status, 2);
    world.ok(&["snapshot", "rm", "--yes", "a", "good"]);
    assert!(snapshots(&world, "a").iter().all(|s| s["name"] != "good"));
    assert_eq!(world.sh_ok("a", "cat /etc/changed"), "two\n");
}

/// What the steward asks of the kernel while a command is run, in order: syncs, and files that are put in place.
fn syncs(world: &World, command: &[&str]) -> Vec<String> {
    let log = world.path().join("strace");
    let steward = world.steward_pid().unwrap().to_string();
    let calls = "trace=syncfs,fsync,fdatasync,rename,renameat,renameat2";
    let mut strace = std::process::Command::new("strace")
        .args(["-f", "-y", "-e", calls, "-o", log.to_str().unwrap(), "-p", &steward])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(strace.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("attached"), "{line}");
    world.ok(command);
    kill_and_wait(strace.id().cast_signed(), 15);
    strace.wait().unwrap();
    std::fs::read_to_string(log).unwrap().lines().map(String::from).collect()
}

#[test]
fn a_snapshot_that_is_told_is_on_disk() {
    let world = World::new();
    if !world.is_root() {
        println!("SKIPPED: an ordinary user's machine that runs is not copied here");
        return;
    }
    world.apply("[machines.a]\n");
    let in_order = |calls: &[String], wanted: &[[&str; 2]]| {
        let mut rest = calls.iter();
        for [call, of] in wanted {
            let found = rest.any(|line| line.contains(call) && line.contains(of));
            assert!(found, "no {call} of {of} where it belongs: {calls:#?}");
        }
    };
    let written = [
        ["syncfs(", "/layers>"],
        ["fdatasync(", "s.json.new>"],
        ["rename", "s.json.new\""],
        ["fsync(", "/snapshots>"],
    ];
    in_order(&syncs(&world, &["snapshot", "create", "a", "s"]), &written);
    world.ok(&["snapshot", "rm", "--yes", "a", "s"]);
    world.ok(&["down", "a"]);
    in_order(&syncs(&world, &["snapshot", "create", "a", "s"]), &written);
    let put_back = [
        ["fdatasync(", "state.json.new>"],
        ["rename", "state.json.new\""],
        ["fsync(", "/machines/a>"],
    ];
    in_order(&syncs(&world, &["snapshot", "restore", "a", "s"]), &put_back);
}

#[test]
fn only_so_many_snapshots_are_kept() {
    let world = World::new();
    world.apply("[machines.a]\nkeep = { count = 2 }\nrunning = false\n");
    for name in ["one", "two", "three"] {
        world.ok(&["snapshot", "create", "a", name]);
    }
    let names: Vec<Value> = snapshots(&world, "a").into_iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["two", "three"]);
}

#[test]
fn a_clone_has_the_data_and_an_identity_of_its_own() {
    let world = World::new();
    world.apply("[machines.a]\n");
    world.sh_ok("a", "echo data > /srv/file");
    // Of an ordinary user's machine nobody inside may write there.
    let keys = world.is_root();
    if keys {
        world.sh_ok("a", "mkdir -p /etc/ssh; echo key-of-a > /etc/ssh/ssh_host_ed25519_key");
    }
    world.ok(&["run", "-m", "a", "-d", "-n", "s", "--", "sh", "-c", "echo printed; exec cat"]);
    world.ok(&["wait", "s", "--for", "printed", "--timeout", "30s"]);
    world.ok(&["down", "a"]);
    world.ok(&["clone", "a", "b"]);
    world.ok(&["up", "a", "b"]);
    let identity = "hostname; cat /etc/hostname /etc/machine-id";
    let (a, b) = (world.sh_ok("a", identity), world.sh_ok("b", identity));
    let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    assert_eq!((a[0], a[1], b[0], b[1]), ("a", "a", "b", "b"));
    assert!(a[2].len() == 32 && b[2].len() == 32 && a[2] != b[2], "{a:?} {b:?}");
    assert_eq!(world.sh_ok("b", "cat /srv/file"), "data\n");
    assert!(!world.sh("b", "cat /etc/ssh/ssh_host_*").out.contains("key-of-a"));
    if keys {
        assert_eq!(world.sh_ok("a", "cat /etc/ssh/ssh_host_ed25519_key"), "key-of-a\n");
    }
    assert_eq!(world.sh("b", "ls /var/lib/stead/sessions").out, "");
    let sessions: Value = serde_json::from_str(&world.ok(&["ls", "--json", "-m", "b"])).unwrap();
    assert_eq!(sessions, Value::Array(Vec::new()));
    assert_ne!(world.machine("a")["address"], world.machine("b")["address"]);
    // They go their own ways.
    world.sh_ok("b", "echo other > /srv/file");
    assert_eq!(world.sh_ok("a", "cat /srv/file"), "data\n");
    assert_ne!(world.stead(&["clone", "a", "b"]).status, 0);
}

#[test]
fn a_state_moves_to_another_machine() {
    let world = World::new();
    world.apply("[machines.a]\nrunning = false\n[machines.b]\nrunning = false\n");
    world.ok(&["up", "a", "b"]);
    world.sh_ok("a", "echo of-a > /srv/file");
    world.sh_ok("b", "echo of-b > /srv/file");
    let id = world.sh_ok("b", "cat /etc/machine-id");
    let refused = world.stead(&["move", "a", "b", "--yes"]);
    assert!(refused.status == 2 && refused.err.contains("stead down a"), "{refused:?}");
    world.ok(&["down", "a", "b"]);
    assert_eq!(world.stead(&["move", "a", "b"]).status, 2);
    world.ok(&["move", "a", "b", "--yes"]);
    world.ok(&["up", "a", "b"]);
    assert_eq!(
        world.sh_ok("b", "cat /srv/file; hostname; cat /etc/machine-id"),
        format!("of-a\nb\n{id}")
    );
    assert_ne!(world.sh("a", "cat /srv/file").status, 0);
    let kept = snapshots(&world, "b");
    let replaced = kept.iter().find(|s| s["automatic"] == true).expect("the state of b");
    world.ok(&["snapshot", "restore", "b", replaced["name"].as_str().unwrap()]);
    assert_eq!(world.sh_ok("b", "cat /srv/file"), "of-b\n");
}
