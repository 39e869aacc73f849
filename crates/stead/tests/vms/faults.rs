//! What ends a machine, or nearly: it is seen, it is told, and `apply` mends it.

use crate::common::vms::{Served, light};
use crate::common::{World, kill_and_wait, until};
use rustix::process::{Pid, Signal, kill_process};

const QEMU: &str = "qemu-system";

/// Waits until a machine has stopped; what is noted of it.
fn stopped(world: &World, name: &str) -> String {
    until("its end", || {
        let machine = world.machine(name);
        (machine["phase"] == "stopped").then(|| machine["notes"].to_string())
    })
}

fn up_again(world: &World, data: &str) {
    world.ok(&["apply", "--yes"]);
    assert_eq!(world.sh_ok("a", "cat /root/data"), data);
    assert_eq!(world.machine("a")["phase"], "running");
    assert!(world.machine("a")["notes"].is_null(), "{}", world.machine("a"));
}

#[test]
fn whatever_ends_a_machine_is_told_and_apply_starts_it_again() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    world.sh_ok("a", "echo precious > /root/data; sync");
    kill_and_wait(world.process_of("a", QEMU), 9);
    let notes = stopped(&world, "a");
    assert!(notes.contains("QEMU was killed by signal 9"), "{notes}");
    assert_eq!(world.sh("a", "true").status, 1);
    up_again(&world, "precious\n");

    let panic = world.sh("a", "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger");
    assert_ne!(panic.status, 0, "{panic:?}");
    let notes = stopped(&world, "a");
    assert!(notes.contains("its kernel panicked: sysrq triggered crash"), "{notes}");
    assert!(world.ok(&["ls", "--machines"]).contains("its kernel panicked"));
    up_again(&world, "precious\n");
    // One that only says so on its console has not.
    world.sh_ok("a", "echo 'Kernel panic - not syncing: so it seems' > /dev/ttyS0");
    assert_eq!(world.sh_ok("a", "echo well"), "well\n");

    kill_and_wait(world.process_of("a", "stead-vm"), 9);
    stopped(&world, "a");
    up_again(&world, "precious\n");
    world.kill_sandbox("a");
    stopped(&world, "a");
    up_again(&world, "precious\n");
    // Nobody is there who could be told, and nothing hangs.
    world.kill_steward();
    kill_and_wait(world.process_of("a", QEMU), 9);
    stopped(&world, "a");
    up_again(&world, "precious\n");
}

#[test]
fn a_qemu_that_hangs_is_ended_and_it_is_said() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    world.sh_ok("a", "echo precious > /root/data; sync");
    let qemu = Pid::from_raw(world.process_of("a", QEMU)).unwrap();
    kill_process(qemu, Signal::STOP).unwrap();
    // Looking asks nobody who does not answer, and whoever must ask says so after a while.
    assert_eq!(world.machine("a")["phase"], "running");
    let doctor = world.stead(&["doctor", "a"]);
    assert_eq!(doctor.status, 1, "{doctor:?}");
    let refusal = "a command runs inside: nobody answers from inside within 15 s";
    assert!(doctor.out.contains(refusal), "{doctor:?}");
    let mut exec = world.stead_command();
    exec.args(["exec", "a", "--", "true"]).stderr(std::process::Stdio::piped());
    let mut exec = exec.spawn().unwrap();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(exec.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
    assert!(said.contains("no answer from inside for 10 s"), "{said}");
    kill_process(Pid::from_child(&exec), Signal::INT).unwrap();
    assert!(!exec.wait().unwrap().success());
    let said = world.stead(&["down", "a"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(format!("{}{}", said.out, said.err).contains("QEMU hung, and was killed"), "{said:?}");
    assert!(world.machine("a")["notes"].to_string().contains("QEMU hung"));
    up_again(&world, "precious\n");
}

#[test]
fn a_share_that_nobody_serves_any_more_is_told_and_a_restart_brings_it_back() {
    let Some(path) = Served::Virtiofs.path() else { return };
    let mut world = World::of_vms();
    world.set_variable("PATH", path);
    let folder = world.shared_folder("shared");
    std::fs::write(folder.join("file"), "of the host\n").unwrap();
    world.apply(&light("a", "shares = [\"shared:/mnt/it\"]"));
    assert_eq!(world.sh_ok("a", "cat /mnt/it/file"), "of the host\n");
    assert!(world.machine("a")["notes"].is_null());
    world.sh_ok("a", "echo precious > /root/data");
    kill_and_wait(world.process_of("a", "virtiofsd"), 9);
    let note = until("that it is told", || {
        let notes = world.machine("a")["notes"].to_string();
        notes.contains("/mnt/it").then_some(notes)
    });
    assert!(note.contains("not served any more") && note.contains("restart"), "{note}");
    assert!(note.contains("signal: 9"), "{note}");
    let said = world.stead(&["doctor", "a"]);
    assert!(said.out.contains("/mnt/it is not served any more"), "{said:?}");
    // Whoever reads there waits; everybody else does not.
    world.sh_ok("a", "cat /mnt/it/file > /root/read 2>&1 & :");
    assert_eq!(world.sh_ok("a", "cat /root/data"), "precious\n");
    let refused = world.stead(&["snapshot", "create", "a", "remembered", "--memory"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.err.contains("/mnt/it is not served any more"), "{refused:?}");
    world.ok(&["snapshot", "create", "a", "whole"]);
    let whole: Vec<serde_json::Value> =
        serde_json::from_str(&world.ok(&["snapshot", "ls", "a", "--json"])).unwrap();
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert_eq!(whole[0]["consistency"], "crash", "{whole:?}");
    // Its disks are written nevertheless, and it shuts down in order.
    let restarted = world.stead(&["restart", "-m", "a"]);
    assert_eq!(restarted.status, 0, "{restarted:?}");
    assert!(!restarted.err.contains("did not shut down"), "{restarted:?}");
    assert_eq!(world.sh_ok("a", "cat /root/data /mnt/it/file"), "precious\nof the host\n");
    assert!(world.machine("a")["notes"].is_null());
}

#[test]
fn a_guest_that_floods_its_console_and_its_line_harms_nobody() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    let mut flood = world.stead_command();
    flood.args([
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "yes console-console-console > /dev/ttyS0 & cat /dev/zero",
    ]);
    let mut flood = flood.stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Somebody takes a little of it and then stands still; others are answered all the same.
    let mut some = vec![0; 1 << 20];
    std::io::Read::read_exact(flood.stdout.as_mut().unwrap(), &mut some).unwrap();
    assert_eq!(world.sh_ok("a", "echo well"), "well\n");
    let counted = world.sh_ok("a", "head -c 20000000 /dev/zero | tr '\\0' x");
    assert_eq!(counted.len(), 20_000_000);
    let log = world.places().data.join("machines/a/console");
    let size = |name: &str| log.join(name).metadata().map_or(0, |meta| meta.len());
    until("a log that was begun anew", || (size("console.log.1") > 0).then_some(()));
    assert!(size("console.log") <= 2 << 20 && size("console.log.1") <= 2 << 20);
    assert_eq!(std::fs::read_dir(&log).unwrap().count(), 2);
    flood.kill().unwrap();
    flood.wait().unwrap();
    world.ok(&["down", "a"]);
}
