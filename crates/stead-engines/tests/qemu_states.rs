//! States of engine `qemu`, which are qcow2 files, with QEMU's own tools in the place of machines.

mod common;
#[path = "common/vm.rs"]
mod vm;

use common::block;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use stead_file::size::Size;
use stead_machine::engine::Engine;
use stead_machine::model::{NewSnapshot, Phase};
use stead_machine::{EngineError, Steps};
use vm::{World, io, ok};

fn none() -> Steps {
    Steps::none()
}

/// A file in every block and its time: none of it may change.
fn print(path: &Path) -> (Vec<u8>, i64, i64) {
    let meta = path.metadata().unwrap();
    (std::fs::read(path).unwrap(), meta.mtime(), meta.mtime_nsec())
}

#[test]
fn a_new_machine_has_its_image_and_copies_nothing() {
    let Some(world) = World::new() else { return };
    let image = world.place.data().join("images/light.raw");
    let before = print(&image);
    world.made("box");
    assert_eq!(block(world.engine.look("box")).unwrap().unwrap().phase, Phase::Stopped);
    let disk = world.disk("box");
    assert_eq!(disk.size, vm::ROOT);
    ok(Command::new("qemu-img")
        .args(["compare", "-f", "raw", "-F", "qcow2"])
        .arg(&image)
        .arg(&disk.path));
    ok(Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&disk.path));
    assert!(disk.path.metadata().unwrap().blocks() * 512 <= 64 << 10);
    assert_eq!(disk.under, [&*image]);
    assert_eq!(image.metadata().unwrap().mode() & 0o777, 0o444);
    world.write("box", 1 << 20, 5);
    assert!(world.reads("box", 1 << 20, 5));
    assert_eq!(print(&image), before);
    world.destroy("box");
    assert!(world.layers().is_empty());
    assert!(block(world.engine.look("box")).unwrap().is_none());
}

#[test]
fn a_kept_state_comes_back() {
    let Some(world) = World::new() else { return };
    world.made("box");
    world.write("box", 0, 1);
    world.snapshot("box", "one");
    world.write("box", 0, 2);
    world.snapshot("box", "two");
    world.write("box", 0, 3);
    for (snapshot, mark) in [("one", 1), ("two", 2), ("one", 1)] {
        world.restore("box", snapshot);
        assert!(world.reads("box", 0, mark), "{snapshot}");
        world.write("box", 0, 9);
    }
    let names: Vec<String> =
        block(world.engine.snapshots("box")).unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["one", "two"]);
    // One that was written over by nobody is kept without another layer.
    world.restore("box", "two");
    let before = world.layers().len();
    world.snapshot("box", "three");
    assert_eq!(world.layers().len(), before);
    let taken =
        block(world.engine.snapshot("box", &NewSnapshot::named("two"), &none())).unwrap_err();
    assert!(taken.to_string().contains("already"), "{taken}");
}

#[test]
fn keeping_cloning_and_moving_cost_the_same_whatever_the_size() {
    let Some(world) = World::new() else { return };
    let mut costs = Vec::new();
    for (name, size) in [("small", "1M"), ("large", "200M")] {
        world.made(name);
        ok(&mut io(&world.disk(name).path, &format!("write -P 7 0 {size}")));
        let before = world.layers();
        world.snapshot(name, "kept");
        world.clone(name, None, &world.wanted(&format!("{name}-clone")));
        world.made(&format!("{name}-target"));
        block(world.engine.move_state(name, &format!("{name}-target"), "t", &none())).unwrap();
        let new = world.layers().into_iter().filter(|layer| !before.contains(layer));
        costs.push(new.map(|layer| layer.metadata().unwrap().blocks()).collect::<Vec<_>>());
    }
    for cost in &mut costs {
        cost.sort_unstable();
    }
    assert_eq!(costs[0], costs[1]);
}

#[test]
fn states_share_layers_and_either_may_go_first() {
    for first in ["box", "twin"] {
        let Some(world) = World::new() else { return };
        world.made("box");
        world.write("box", 0, 1);
        world.snapshot("box", "kept");
        world.clone("box", Some("kept"), &world.wanted("twin"));
        world.clone("box", None, &world.wanted("third"));
        world.destroy("third");
        world.write("box", 65536, 2);
        world.write("twin", 65536, 3);
        assert!(world.reads("box", 65536, 2) && world.reads("twin", 65536, 3));
        let other = if first == "box" { "twin" } else { "box" };
        world.destroy(first);
        assert!(world.reads(other, 0, 1));
        block(world.engine.remove_snapshot("box", "kept", &none())).unwrap();
        assert!(world.reads(other, 0, 1));
        world.destroy(other);
        assert!(world.layers().is_empty());
    }
}

#[test]
fn a_clone_is_told_to_make_its_identity_anew_and_a_moved_state_is_not() {
    let Some(world) = World::new() else { return };
    let reseed = |name: &str| {
        let path = world.place.data().join("machines").join(name).join("qemu.json");
        let made: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        made["reseed"].as_bool().unwrap()
    };
    world.made("box");
    world.made("other");
    world.clone("box", None, &world.wanted("twin"));
    block(world.engine.move_state("box", "other", "t", &none())).unwrap();
    assert_eq!([reseed("box"), reseed("twin"), reseed("other")], [false, true, false]);
    // Moved before it was ever started, it has the keys of the first yet.
    block(world.engine.move_state("twin", "box", "t2", &none())).unwrap();
    assert_eq!([reseed("box"), reseed("twin")], [true, false]);
}

#[test]
fn a_state_moves_once_and_leaves_an_empty_one() {
    let Some(world) = World::new() else { return };
    world.made("from");
    world.made("to");
    world.write("from", 1 << 20, 1);
    for asked in 0..2 {
        block(world.engine.move_state("from", "to", "token", &none())).unwrap();
        assert!(world.reads("to", 1 << 20, 1));
        assert!(!world.reads("from", 1 << 20, 1));
        // What is written since stays: the second asking does nothing.
        if asked == 0 {
            world.write("from", 2 << 20, 3);
            world.write("to", 2 << 20, 4);
        }
    }
    assert!(world.reads("from", 2 << 20, 3) && world.reads("to", 2 << 20, 4));
    block(world.engine.move_state("to", "from", "back", &none())).unwrap();
    assert!(world.reads("from", 1 << 20, 1));
}

#[test]
fn the_data_folder_may_be_moved() {
    let Some(mut world) = World::new() else { return };
    world.made("box");
    world.write("box", 0, 1);
    world.snapshot("box", "kept");
    world.write("box", 65536, 2);
    let new = common::Place::new();
    std::fs::rename(world.place.data(), new.data()).unwrap();
    world.place = new;
    world.engine = vm::engine(&world.place);
    assert!(world.reads("box", 0, 1) && world.reads("box", 65536, 2));
    let info =
        ok(Command::new("qemu-img").args(["info", "--backing-chain"]).arg(world.disk("box").path));
    assert!(!String::from_utf8_lossy(&info.stdout).contains("(actual path: ../"));
}

#[test]
fn however_often_it_is_kept_a_state_stays_shallow_and_frozen_layers_stay_as_they_are() {
    let Some(world) = World::new() else { return };
    world.made("box");
    let mut first = None;
    // So large that the others are not worth copying it for.
    ok(&mut io(&world.disk("box").path, "write -P 99 150M 40M"));
    for n in 0..70_u8 {
        world.write("box", u64::from(n) * 65536, n + 1);
        // What is written over and over must be there as it was last.
        world.write("box", 100 << 20, n + 1);
        world.snapshot("box", &format!("s{n}"));
        let frozen = world.disk("box").under;
        assert!(frozen.len() <= 66, "{}", frozen.len());
        if n == 10 {
            first = Some((frozen[0].clone(), print(&frozen[0])));
        }
    }
    for n in 0..70_u8 {
        assert!(world.reads("box", u64::from(n) * 65536, n + 1), "{n}");
    }
    assert!(world.reads("box", 100 << 20, 70));
    assert!(world.reads("box", 180 << 20, 99));
    let under = world.disk("box").under;
    assert!(under.len() < 20);
    let bytes = |path: &Path| path.metadata().unwrap().blocks() * 512;
    assert!(bytes(&under[under.len() - 2]) > 40 << 20 && bytes(&under[under.len() - 3]) < 20 << 20);
    ok(Command::new("qemu-img").args(["check", "-q"]).arg(&world.disk("box").under[0]));
    let (path, before) = first.unwrap();
    assert_eq!(print(&path), before);
    world.restore("box", "s10");
    assert!(world.reads("box", 100 << 20, 11) && !world.reads("box", 11 * 65536, 12));
    for n in 0..70 {
        block(world.engine.remove_snapshot("box", &format!("s{n}"), &none())).unwrap();
    }
    assert!(world.reads("box", 100 << 20, 11));
    assert_eq!(world.layers().len(), 12);
}

#[test]
fn a_disk_grows_and_does_not_shrink() {
    let Some(world) = World::new() else { return };
    let with = |size: u64| world.wanted_as("box", |machine| machine.disk = Some(Size(size)));
    world.create(&with(32 << 20));
    assert_eq!(world.disk("box").size, 32 << 20);
    block(world.engine.change(&with(32 << 20), &with(64 << 20), &none())).unwrap();
    assert_eq!(world.disk("box").size, 64 << 20);
    world.write("box", 60 << 20, 1);
    block(world.engine.change(&with(64 << 20), &with(128 << 20), &none())).unwrap();
    assert_eq!(world.disk("box").size, 128 << 20);
    assert!(world.reads("box", 60 << 20, 1));
    let refused = block(world.engine.check(&with(64 << 20))).unwrap();
    assert!(
        refused.iter().any(|r| r.refused && r.text.contains("cannot shrink to 64 MiB")),
        "{refused:?}"
    );
    let why = block(world.engine.change(&with(128 << 20), &with(64 << 20), &none())).unwrap_err();
    assert!(why.to_string().contains("cannot shrink"), "{why}");
    // What is made of a larger one is as large.
    world.write("box", 100 << 20, 2);
    world.snapshot("box", "large");
    world.clone("box", Some("large"), &world.wanted_as("twin", |m| m.disk = Some(Size(32 << 20))));
    assert_eq!(world.disk("twin").size, 128 << 20);
}

#[test]
fn a_root_in_memory_is_not_written_to_and_what_survives_is_kept_and_moved() {
    let Some(world) = World::new() else { return };
    let ephemeral = |name: &str| world.wanted_as(name, |machine| machine.ephemeral = true);
    world.create(&ephemeral("box"));
    world.create(&ephemeral("other"));
    let disks = world.engine.disks("box").unwrap();
    assert!(disks[0].readonly && disks[0].serial == "root" && disks[0].format.name() == "raw");
    assert_eq!((disks[1].serial, disks[1].size), ("persist", vm::PERSIST));
    let base = disks[1].under.last().unwrap().clone();
    assert_eq!(base.metadata().unwrap().mode() & 0o777, 0o444);
    let told = ok(Command::new("dumpe2fs").arg("-h").arg(&base));
    assert!(String::from_utf8_lossy(&told.stdout).contains("persist"));
    world.write("box", 1 << 20, 1);
    world.snapshot("box", "kept");
    world.write("box", 1 << 20, 2);
    block(world.engine.move_state("box", "other", "t", &none())).unwrap();
    assert!(world.reads("other", 1 << 20, 2) && !world.reads("box", 1 << 20, 2));
    world.restore("box", "kept");
    assert!(world.reads("box", 1 << 20, 1));
    world.clone("box", Some("kept"), &ephemeral("twin"));
    assert!(world.reads("twin", 1 << 20, 1));
    // One that lies in memory no more has its root, and what survived once it does again.
    let lasting = world.wanted("box");
    block(world.engine.change(&ephemeral("box"), &lasting, &none())).unwrap();
    assert_eq!(world.disk("box").serial, "root");
    block(world.engine.change(&lasting, &ephemeral("box"), &none())).unwrap();
    assert!(world.reads("box", 1 << 20, 1));
    world.made("lasting");
    let why = block(world.engine.move_state("box", "lasting", "t2", &none())).unwrap_err();
    assert!(matches!(why, EngineError::NotNow(_)), "{why}");
}

#[test]
fn a_base_that_somebody_wrote_to_is_refused() {
    let Some(world) = World::new() else { return };
    world.made("box");
    let image = world.place.data().join("images/light.raw");
    world.disk("box");
    if !rustix::process::geteuid().is_root() {
        assert!(std::fs::File::options().append(true).open(&image).is_err());
    }
    std::fs::set_permissions(&image, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::File::options().append(true).open(&image).unwrap().set_len(9 << 20).unwrap();
    let why = block(world.engine.start(&world.wanted("box"), &none())).unwrap_err().to_string();
    assert!(why.contains("somebody wrote to") && why.contains("put back the file"), "{why}");
    let remarks = block(world.engine.check(&world.wanted("box"))).unwrap();
    assert!(remarks.iter().any(|remark| remark.refused && remark.text.contains("somebody wrote")));
    std::fs::remove_file(&image).unwrap();
    let why = block(world.engine.start(&world.wanted("box"), &none())).unwrap_err().to_string();
    assert!(why.contains("cannot be had") && why.contains("put it back"), "{why}");
    world.destroy("box");
    assert!(world.layers().is_empty());
}

#[test]
fn nobody_writes_to_what_is_frozen() {
    let Some(world) = World::new() else { return };
    world.made("box");
    world.write("box", 0, 1);
    world.snapshot("box", "kept");
    let disk = world.disk("box");
    let frozen = &disk.under[0];
    assert_eq!(frozen.metadata().unwrap().mode() & 0o777, 0o444);
    assert_eq!(disk.path.metadata().unwrap().mode() & 0o777, 0o600);
    if !rustix::process::geteuid().is_root() {
        let tried = io(frozen, "write -P 9 0 64k").output().unwrap();
        assert!(!tried.status.success());
        assert!(world.reads("box", 0, 1));
    }
    // One that a program that was killed left open is closed before it is used.
    std::fs::set_permissions(frozen, std::fs::Permissions::from_mode(0o600)).unwrap();
    world.disk("box");
    assert_eq!(frozen.metadata().unwrap().mode() & 0o777, 0o444);
}

#[test]
fn a_damaged_layer_is_told_and_others_are_unharmed() {
    let Some(world) = World::new() else { return };
    world.made("box");
    world.made("other");
    world.write("other", 0, 4);
    world.write("box", 0, 1);
    world.snapshot("box", "one");
    world.write("box", 0, 2);
    world.snapshot("box", "two");
    let frozen = world.disk("box").under[0].clone();
    let why = |what: &str| {
        let why = block(world.engine.start(&world.wanted("box"), &none())).unwrap_err().to_string();
        let named = frozen.display().to_string();
        assert!(
            why.contains(what) && why.contains(&named) && why.contains("restore a snapshot"),
            "{why}"
        );
    };
    let whole = std::fs::read(&frozen).unwrap();
    let put = |bytes: &[u8]| {
        std::fs::remove_file(&frozen).unwrap();
        std::fs::write(&frozen, bytes).unwrap();
    };
    put(&whole[..50]);
    why("cut off");
    put(&[0; 4096]);
    why("no qcow2 file");
    std::fs::remove_file(&frozen).unwrap();
    why("not there");
    assert!(world.reads("other", 0, 4));
    world.restore("box", "one");
    assert!(world.reads("box", 0, 1));
}

#[test]
fn a_disk_that_leads_elsewhere_is_not_opened() {
    let Some(world) = World::new() else { return };
    world.made("box");
    let disk = world.disk("box").path;
    let secret = world.place.dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    ok(Command::new("qemu-img")
        .args(["rebase", "-u", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&secret)
        .arg(&disk));
    let why = block(world.engine.start(&world.wanted("box"), &none())).unwrap_err().to_string();
    assert!(why.contains("it says that it lies on") && why.contains("secret"), "{why}");
}

#[test]
fn an_image_of_a_persons_own_is_told_by_what_it_is() {
    let Some(world) = World::new() else { return };
    let dir = world.place.dir.path();
    let at = |name: &str| dir.join(name).display().to_string();
    let own = |path: &str| world.wanted_as("own", |machine| machine.image = path.to_owned());
    let refused = |path: &str| {
        let remarks = block(world.engine.check(&own(path))).unwrap();
        let refused: Vec<_> = remarks.into_iter().filter(|r| r.refused).map(|r| r.text).collect();
        let error = block(world.engine.create(&own(path), &none())).unwrap_err().to_string();
        assert!(refused.contains(&error), "{refused:?} {error}");
        error
    };
    let img = |arguments: &[&str]| drop(ok(Command::new("qemu-img").args(arguments)));
    img(&["create", "-q", "-f", "qcow2", &at("whole.raw"), "300M"]);
    img(&["create", "-q", "-f", "vmdk", &at("disk.vmdk"), "10M"]);
    img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", &at("thin"), "10M"]);
    img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        &format!("data_file={}", at("far")),
        &at("split"),
        "10M",
    ]);
    assert!(refused(&at("none")).contains("No such file"));
    assert!(refused(&at("thin")).contains("only what differs from /etc/passwd"));
    assert!(refused(&at("split")).contains("its data lies in another file"));
    assert!(refused(&at("disk.vmdk")).contains("qemu-img convert"));
    assert!(refused(&dir.display().to_string()).contains("no file"));
    world.made("box");
    assert!(refused(&world.disk("box").path.display().to_string()).contains("clone that machine"));
    // Whatever it is called.
    let before = print(Path::new(&at("whole.raw")));
    world.create(&own(&at("whole.raw")));
    assert_eq!(world.disk("own").size, 300 << 20);
    world.write("own", 299 << 20, 1);
    world.snapshot("own", "kept");
    world.clone("own", None, &world.wanted_as("twin", |m| m.image = at("whole.raw")));
    assert!(world.reads("twin", 299 << 20, 1));
    assert_eq!(print(Path::new(&at("whole.raw"))), before);
    ok(&mut io(Path::new(&at("whole.raw")), "write 0 64k"));
    let why = world.engine.disks("own").unwrap_err().to_string();
    assert!(why.contains("somebody wrote to"), "{why}");
    assert!(world.engine.bases().unwrap().contains(&dir.join("whole.raw")));
}

#[test]
fn a_state_keeps_its_image() {
    let Some(world) = World::new() else { return };
    world.made("box");
    let other = world.wanted_as("box", |machine| machine.image = "debian/13".into());
    let remarks = block(world.engine.check(&other)).unwrap();
    assert!(remarks.iter().any(|r| r.refused && r.text.contains("made on debian/12 (light)")));
    let why = block(world.engine.change(&world.wanted("box"), &other, &none())).unwrap_err();
    assert!(why.to_string().contains("move the state elsewhere"), "{why}");
    let host = world.wanted_as("new", |machine| machine.image = "host".into());
    let remarks = block(world.engine.check(&host)).unwrap();
    assert!(remarks.iter().any(|r| r.refused && r.text.contains("cannot be made of this host")));
}

#[test]
fn engines_leave_each_other_alone() {
    let Some(world) = World::new() else { return };
    let sandbox = world.place.engine();
    let mut other = world.wanted("sand");
    other.declared.image = "host".into();
    block(sandbox.create(&other, &none())).unwrap();
    world.made("box");
    world.write("box", 0, 1);
    world.snapshot("box", "kept");
    // On the file system of a sandbox whose disk is limited.
    let limited = world.place.data().join("machines/sand/disk/layers/0123456789abcdef");
    std::fs::create_dir_all(&limited).unwrap();
    block(world.engine.sweep(&none())).unwrap();
    assert!(limited.exists());
    std::fs::remove_dir_all(world.place.data().join("machines/sand/disk")).unwrap();
    let layers = || std::fs::read_dir(world.place.data().join("layers")).unwrap().count();
    let before = (world.layers(), layers());
    assert!(block(sandbox.look("box")).unwrap().is_none());
    assert!(block(world.engine.look("sand")).unwrap().is_none());
    for swept in
        [block(sandbox.sweep(&none())).unwrap(), block(world.engine.sweep(&none())).unwrap()]
    {
        assert_eq!(swept, [""; 0]);
    }
    block(sandbox.destroy("box", &none())).unwrap();
    block(world.engine.destroy("sand", &none())).unwrap();
    assert_eq!((world.layers(), layers()), before);
    let why = block(sandbox.create(&world.wanted("box"), &none())).unwrap_err().to_string();
    assert!(why.contains("a machine of engine qemu"), "{why}");
    block(sandbox.destroy("sand", &none())).unwrap();
    assert!(world.reads("box", 0, 1));
}

#[test]
fn what_belongs_to_nobody_is_swept() {
    let Some(world) = World::new() else { return };
    world.made("box");
    world.write("box", 0, 1);
    world.snapshot("box", "kept");
    let stray = world.place.data().join("disks/0123456789abcdef");
    std::fs::create_dir(&stray).unwrap();
    let snapshots = world.place.data().join("machines/box/qemu/snapshots");
    for name in ["kept", "unfinished"] {
        std::fs::create_dir(snapshots.join(name)).unwrap();
        std::fs::write(snapshots.join(name).join("memory"), "").unwrap();
    }
    let swept = block(world.engine.sweep(&none())).unwrap();
    assert_eq!(swept.len(), 2, "{swept:?}");
    assert!(!stray.exists() && !snapshots.join("unfinished").exists());
    assert!(snapshots.join("kept/memory").exists());
    block(world.engine.remove_snapshot("box", "kept", &none())).unwrap();
    assert!(!snapshots.join("kept").exists());
    // Of what cannot be read, nothing is taken for nobody's.
    std::fs::write(world.place.data().join("machines/box/qemu/state.json"), "{").unwrap();
    assert!(matches!(block(world.engine.sweep(&none())), Err(EngineError::Unreachable(_))));
    assert!(!world.layers().is_empty());
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    const HERE: &str = "STEAD_TEST_FULL";
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can mount a small file system");
    }
    if std::env::var_os(HERE).is_none() {
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_full_disk_is_told_and_nothing_is_lost", "--nocapture"])
            .env(HERE, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let Some(world) = World::new() else { return };
    let disks = world.place.data().join("disks");
    std::fs::create_dir(&disks).unwrap();
    ok(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disks));
    world.made("box");
    world.write("box", 0, 1);
    let full = io(&world.disk("box").path, "write -P 2 1M 8M").output().unwrap();
    assert!(!full.status.success() || String::from_utf8_lossy(&full.stdout).contains("No space"));
    assert!(world.reads("box", 0, 1));
    // Not so much as an empty layer has room.
    std::fs::write(disks.join("rest"), vec![1; 4 << 20]).unwrap_err();
    let before = world.layers();
    let why = block(world.engine.snapshot("box", &NewSnapshot::named("kept"), &none()))
        .unwrap_err()
        .to_string();
    assert!(why.contains("No space left"), "{why}");
    assert_eq!(world.layers(), before);
    assert_eq!(block(world.engine.snapshots("box")).unwrap(), []);
    assert!(world.reads("box", 0, 1));
    std::fs::remove_file(disks.join("rest")).unwrap();
    ok(Command::new("mount").args(["-o", "remount,size=8m"]).arg(&disks));
    world.snapshot("box", "kept");
    world.restore("box", "kept");
    assert!(world.reads("box", 0, 1));
    ok(Command::new("umount").arg(&disks));
}

#[test]
fn as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: this is an ordinary user already");
    }
    common::again_as_nobody(&["as_an_ordinary_user"]);
}
