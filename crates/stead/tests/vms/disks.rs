//! Disks that are full, and the base of them all that somebody writes to.

use crate::common::vms::{images, light};
use crate::common::{World, until};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_machine_stands_still_while_the_hosts_disk_is_full_and_loses_nothing() {
    let mut world = World::of_vms();
    if !world.is_root() {
        println!("SKIPPED: only root can mount a small disk that machines are seen on");
        return;
    }
    world.use_disk_of("160m");
    let data = world.places().data;
    world.apply(&light("a", ""));
    world.sh_ok("a", "echo precious > /root/data; sync");
    let ballast = data.join("ballast");
    let room = |left: u32| {
        world.within_shell(&format!(
            "free=$(df --output=avail -k {0} | tail -1); head -c $(((free - {left}) * 1024)) /dev/zero > {1}",
            data.display(),
            ballast.display()
        ));
    };
    room(4096);
    let mut writes = world.stead_command();
    // Random, so that no two blocks are alike, and counted, so that none is missing.
    writes.args([
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "head -c 24000000 /dev/urandom > /root/new && sync && sha256sum < /root/new",
    ]);
    let writes = writes.stdout(std::process::Stdio::piped()).spawn().unwrap();
    until("that it stands still", || {
        world.machine("a")["notes"].to_string().contains("disk of this host is full").then_some(())
    });
    assert_eq!(world.machine("a")["phase"], "running");
    world.within_shell(&format!("rm {}", ballast.display()));
    let output = writes.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let sum = String::from_utf8(output.stdout).unwrap();
    until("that it is told no more", || world.machine("a")["notes"].is_null().then_some(()));
    world.ok(&["restart", "-m", "a"]);
    assert_eq!(
        world.sh_ok("a", "sha256sum < /root/new; cat /root/data"),
        format!("{sum}precious\n")
    );
    world.ok(&["destroy", "--yes", "a"]);
}

#[test]
fn a_guest_that_fills_its_own_disk_goes_on() {
    let world = World::of_vms();
    // As large as what it is made on.
    world.apply(&light("a", "disk = \"1GiB\""));
    let filled = world.sh_ok(
        "a",
        "echo precious > /root/data; sync; free=$(($(stat -f -c '%f * %S / 1024' /))); fallocate -l $((free - 2048))k /root/full; \
         head -c 8000000 /dev/urandom > /root/more 2>/dev/null && sync /root/more; echo $?; df --output=avail -k / | tail -1",
    );
    assert_eq!(filled.split_whitespace().collect::<Vec<_>>(), ["1", "0"]);
    assert_eq!(world.sh_ok("a", "echo well; cat /root/data"), "well\nprecious\n");
    // It can be stopped, started and freed as it is.
    world.ok(&["restart", "-m", "a"]);
    assert_eq!(
        world.sh_ok("a", "rm /root/full /root/more; echo more >> /root/data; sync; cat /root/data"),
        "precious\nmore\n"
    );
}

#[test]
fn what_machines_are_made_on_is_written_by_nobody_and_a_change_is_seen() {
    let mut world = World::of_vms();
    // A copy of its own, since it is to be damaged. Of what others make beside it at this moment nothing is taken.
    let own = world.path().join("images");
    std::fs::create_dir(&own).unwrap();
    let all = std::fs::read_dir(images()).into_iter().flatten().flatten();
    for base in all.map(|entry| entry.path()).filter(|path| path.join("disk.raw").exists()) {
        if base.to_string_lossy().contains("light") {
            let mut copy = std::process::Command::new("cp");
            copy.args(["-a", "--sparse=always"]).arg(&base).arg(&own);
            assert!(copy.status().unwrap().success());
        }
    }
    world.give(&own);
    world.set_variable("STEAD_IMAGES", own.to_str().unwrap());
    world.apply(&light("a", "running = false"));
    let bases: Vec<_> = std::fs::read_dir(&own)
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("disk.raw"))
        .filter(|path| path.exists() && path.to_string_lossy().contains("light"))
        .collect();
    assert_eq!(bases.len(), 1, "{bases:?}");
    let base = &bases[0];
    let about = base.metadata().unwrap();
    assert_eq!(about.mode() & 0o222, 0);
    // Somebody with root's rights changes a byte all the same.
    std::fs::set_permissions(base, PermissionsExt::from_mode(0o644)).unwrap();
    let file = std::fs::File::options().write(true).open(base).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 512).unwrap();
    drop(file);
    let said = world.stead(&["up", "a"]);
    assert_eq!(said.status, 1, "{said:?}");
    let lines: Vec<_> =
        said.err.lines().filter(|line| line.contains("somebody wrote to")).collect();
    assert_eq!(lines.len(), 1, "{said:?}");
    assert_eq!(world.machine("a")["phase"], "stopped");
}
