//! Several machines at once, copies of them, and states that go from one to another.

use crate::common::World;
use crate::common::vms::light;
use std::collections::BTreeSet;

/// Who a machine is, inside.
fn identity(world: &World, name: &str) -> [String; 4] {
    let words = world.sh_ok(
        name,
        "cat /etc/machine-id; hostname; hostname -I; cat /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null || cat /sys/class/net/eth0/address",
    );
    let lines: Vec<String> = words.lines().map(|line| line.trim().to_owned()).collect();
    lines.try_into().expect("four lines")
}

#[test]
fn five_at_once_are_five_and_the_end_of_one_is_only_its_own() {
    let world = World::of_vms();
    let names = ["one", "two", "three", "four", "five"];
    world.apply(&names.map(|name| light(name, "")).concat());
    for name in names {
        world.sh_ok(name, &format!("echo of-{name} > /root/data; sync"));
    }
    let before: Vec<_> = names.iter().map(|name| identity(&world, name)).collect();
    for n in 0..4 {
        let different: BTreeSet<_> = before.iter().map(|identity| &identity[n]).collect();
        assert_eq!(different.len(), names.len(), "{before:?}");
    }
    world.ok(&["destroy", "--yes", "three"]);
    assert_eq!(world.sh("three", "true").status, 1);
    for name in ["one", "two", "four", "five"] {
        assert_eq!(world.sh_ok(name, "hostname; cat /root/data"), format!("{name}\nof-{name}\n"));
        assert!(world.machine(name)["notes"].is_null());
    }

    // A copy has what was there, and is somebody else.
    world.ok(&["destroy", "--yes", "four", "five"]);
    world.sh_ok("one", "mkdir -p /etc/ssh && echo 'ssh-ed25519 AAAA of-one' > /etc/ssh/ssh_host_ed25519_key.pub; echo key > /etc/ssh/ssh_host_ed25519_key; sync");
    let original = identity(&world, "one");
    world.ok(&["clone", "one", "copy"]);
    world.ok(&["up", "copy"]);
    assert_eq!(world.sh_ok("copy", "cat /root/data"), "of-one\n");
    let copy = identity(&world, "copy");
    for (its, originals) in copy.iter().zip(&original) {
        assert_ne!(its, originals);
    }
    assert_eq!(world.sh("copy", "test ! -e /etc/ssh/ssh_host_ed25519_key").status, 0);
    assert_eq!(identity(&world, "one"), original);
    // The second time, what is frozen is what was put on while it ran.
    world.sh_ok("one", "echo later > /root/later; sync");
    world.ok(&["clone", "one", "second"]);
    assert_eq!(world.sh("copy", "test ! -e /root/later").status, 0);
    world.ok(&["up", "second"]);
    assert_eq!(world.sh_ok("second", "cat /root/data /root/later"), "of-one\nlater\n");
    world.ok(&["destroy", "--yes", "second"]);
    // What either writes is its own.
    world.sh_ok("copy", "echo of-copy > /root/data; sync");
    assert_eq!(world.sh_ok("one", "cat /root/data"), "of-one\n");

    // The state goes into another slot; the one that was there is kept, and both are who their slots are.
    world.ok(&["down", "one", "two", "copy"]);
    world.ok(&["move", "one", "two", "--yes"]);
    world.ok(&["up", "two"]);
    assert_eq!(world.sh_ok("two", "hostname; cat /root/data"), "two\nof-one\n");
    assert_eq!(identity(&world, "two")[2], before[1][2]);
    let kept = world.ok(&["snapshot", "ls", "two", "--json"]);
    let kept: Vec<serde_json::Value> = serde_json::from_str(&kept).unwrap();
    let automatic =
        kept.iter().find(|snapshot| snapshot["automatic"] == true).expect("what was there");
    world.ok(&["snapshot", "restore", "two", automatic["name"].as_str().unwrap()]);
    assert_eq!(world.sh_ok("two", "hostname; cat /root/data"), "two\nof-two\n");
    assert_eq!(world.machine("copy")["phase"], "stopped");
}
