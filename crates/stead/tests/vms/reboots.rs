//! A machine that is started again, or turned off, by somebody inside.

use crate::common::vms::light;
use crate::common::{World, until};

/// Waits for this life of a session.
fn lives(world: &World, session: &str, life: u32) {
    until("its next life", || {
        let found = world.session(session);
        (found.life == life && found.exit.is_none()).then_some(())
    });
}

/// Waits until a machine has stopped, as whoever did it wanted.
fn turned_off(world: &World, name: &str) {
    until("its end", || (world.machine(name)["phase"] == "stopped").then_some(()));
    assert!(world.machine(name)["notes"].is_null(), "{}", world.machine(name));
}

fn boot_id(world: &World, name: &str) -> String {
    world.sh_ok(name, "cat /proc/sys/kernel/random/boot_id")
}

/// Somebody works in `name`, starts it again, and turns it off.
fn reboot_and_poweroff(world: &World, name: &str) {
    let run = ["run", "-m", name, "-d", "-n"];
    for (session, policy) in [("work", "always"), ("once", "never")] {
        let rest = [session, "--restart", policy, "--", "sh", "-c", "echo begun; sleep 1000"];
        world.ok(&[&run[..], &rest].concat());
        world.ok(&["wait", session, "--for", "begun"]);
    }
    let keys = "cat /etc/ssh/ssh_host_*_key.pub /etc/machine-id; ls /var/lib/stead/sessions";
    let before = world.sh_ok(name, keys);
    assert!(before.contains("ssh-ed25519"), "{before}");
    let booted = boot_id(world, name);

    world.sh(name, "reboot");
    lives(world, "work", 2);
    assert_ne!(boot_id(world, name), booted);
    assert_eq!(world.sh_ok(name, keys), before);
    assert!(world.session("once").exit.is_some());
    assert_eq!(world.machine(name)["phase"], "running");

    world.sh(name, "poweroff");
    turned_off(world, name);
    world.ok(&["up", name]);
    lives(world, "work", 3);
    assert_eq!(world.sh_ok(name, keys), before);
    // Its history is of all its lives.
    assert_eq!(world.ok(&["logs", "work"]).matches("begun").count(), 3);
}

const KEY: &str =
    "mkdir -p /etc/ssh; echo 'ssh-ed25519 AAAA' > /etc/ssh/ssh_host_ed25519_key.pub; sync";

#[test]
fn a_clone_that_is_rebooted_inside_keeps_its_sessions_and_keys() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    world.ok(&["clone", "a", "copy"]);
    world.ok(&["up", "copy"]);
    // There is no sshd that would have any.
    world.sh_ok("copy", KEY);
    reboot_and_poweroff(&world, "copy");
    world.ok(&["down", "copy"]);
}

#[test]
fn a_clone_whose_first_start_nobody_finished_keeps_what_is_made_in_it() {
    let world = World::of_vms();
    let keep = "ephemeral = true\npersist = [\"/var/lib/stead\", \"/etc/ssh\"]\n";
    world.apply(&light("a", keep));
    world.ok(&["clone", "a", "copy"]);
    let mut up = world.stead_command();
    let mut up = up.args(["up", "copy"]).spawn().unwrap();
    until("its QEMU", || {
        let log = world.places().data.join("machines/copy/console/console.log");
        log.metadata().is_ok_and(|log| log.len() > 0).then_some(())
    });
    world.kill_steward();
    let _ = up.wait();
    until("its agent", || (world.sh("copy", "true").status == 0).then_some(()));
    world.sh_ok("copy", KEY);
    world.ok(&["restart", "-m", "copy"]);
    assert!(world.sh_ok("copy", "cat /etc/ssh/ssh_host_ed25519_key.pub").contains("AAAA"));
    world.ok(&["down", "copy", "a"]);
}
