//! Links planted inside for the host to follow.

use crate::common::World;
use crate::probe::machine;
use std::path::PathBuf;

/// A file of the host that is to be neither read nor written.
fn victim(world: &World) -> PathBuf {
    let path = world.path().join("victim");
    std::fs::write(&path, "secret-of-the-victim").unwrap();
    path
}

fn unharmed(victim: &std::path::Path) {
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "secret-of-the-victim");
}

#[test]
fn files_that_the_host_writes_are_not_written_through_links() {
    let world = machine("");
    let victim = victim(&world);
    let folder = world.path().join("folder-of-the-host");
    std::fs::create_dir(&folder).unwrap();
    let (file, folder_text) = (victim.to_str().unwrap(), folder.to_str().unwrap());
    for name in ["resolv.conf", "machine-id", "hostname", "hosts"] {
        world.sh_ok("a", &format!("rm -f /etc/{name}; ln -s {file} /etc/{name}"));
    }
    // Where the next start puts its own things, a link to the host's folder.
    world.sh_ok("a", &format!("rm -rf /srv /mnt; ln -s {folder_text} /srv; ln -s {folder_text} /mnt; mkdir /opt/x; ln -s / /opt/x/up"));
    world.sh_ok("a", &format!("ln -s {file} /srv-file; ln -s {folder_text} /var/lib/link"));
    world.ok(&["down", "a"]);
    world.ok(&["snapshot", "create", "a", "one"]);
    world.ok(&["diff", "a"]);
    world.ok(&["clone", "a", "b"]);
    for name in ["a", "b"] {
        let up = world.stead(&["up", name]);
        assert_eq!(up.status, 0, "{up:?}");
        // It has an identity all the same, and not the victim's text.
        assert_eq!(world.sh_ok(name, "hostname").trim(), name);
        let text = world
            .sh(name, "cat /etc/resolv.conf /etc/machine-id /etc/hostname /etc/hosts /srv-file")
            .out;
        assert!(!text.contains("secret-of"), "{text}");
    }
    world.ok(&["snapshot", "restore", "a", "one"]);
    unharmed(&victim);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn shares_are_not_mounted_through_links() {
    let world = World::new();
    let shared = world.shared_folder("shared");
    std::fs::write(shared.join("file"), "shared").unwrap();
    let folder = world.path().join("folder-of-the-host");
    std::fs::create_dir(&folder).unwrap();
    world.apply("[machines.a]\n");
    world.sh_ok("a", &format!("ln -s {} /target; ln -s / /work", folder.display()));
    world.declare("[machines.a]\nshares = [\"shared:/target\", \"shared:/work/deep\"]\n");
    // Refused or made as a folder of the machine's own: never on the host.
    let said = world.stead(&["apply", "--yes"]);
    if said.status == 0 {
        assert_eq!(world.sh("a", "cat /target/file").out, "shared");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    assert!(!std::path::Path::new("/deep").exists());
}

#[test]
fn a_share_is_not_found_through_a_link_that_the_machine_left_in_another_share() {
    let world = World::new();
    let shared = world.shared_folder("shared");
    std::fs::create_dir_all(shared.join("sub/deep")).unwrap();
    let folder = world.path().join("folder-of-the-host");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    for place in [&folder, &folder.join("deep")] {
        std::fs::write(place.join("file"), "secret-of-the-victim").unwrap();
    }
    world.apply("[machines.a]\nshares = [\"shared:/shared\", \"shared/sub:/sub\", \"shared/sub/deep:/deep\"]\n");
    world.sh_ok("a", "touch /shared/sub/deep/here && test -e /deep/here && test -e /sub/deep/here");
    let plant = format!("mv /shared/sub /shared/was && ln -s {} /shared/sub", folder.display());
    world.sh_ok("a", &plant);
    for words in [&["restart", "-m", "a"][..], &["up", "a"], &["apply", "--yes"]] {
        let said = world.stead(words);
        assert_ne!(said.status, 0, "{words:?}: {said:?}");
        assert!(format!("{said:?}").contains("symbolic link"), "{words:?}: {said:?}");
        let seen = world.sh("a", "cat /sub/file /deep/file; touch /sub/evil /deep/evil");
        assert!(!seen.out.contains("secret-of"), "{words:?}: {seen:?}");
    }
    let entries = |path: &std::path::Path| std::fs::read_dir(path).unwrap().count();
    assert_eq!((entries(&folder), entries(&folder.join("deep"))), (2, 1));
    // Taken away, all is well again.
    std::fs::remove_file(shared.join("sub")).unwrap();
    std::fs::rename(shared.join("was"), shared.join("sub")).unwrap();
    world.ok(&["up", "a"]);
    world.sh_ok("a", "test -e /deep/here");
}

#[test]
fn links_in_a_share_lead_nowhere_on_the_host() {
    let world = World::new();
    let victim = victim(&world);
    let shared = world.shared_folder("shared");
    world.apply("[machines.a]\nshares = [\"shared:/shared\"]\n");
    let file = victim.to_str().unwrap();
    world.sh_ok("a", &format!("cd /shared && ln -s {file} direct && ln -s ../../victim up && ln -s /proc/self/root root && ln -s /etc etc"));
    for path in ["direct", "up", "root/root", "root/../victim", "../victim", "../../victim"] {
        let said =
            world.sh("a", &format!("cat /shared/{path}; cat /shared/{path}/.ssh/* 2>/dev/null"));
        assert!(!said.out.contains("secret-of"), "{path}: {said:?}");
    }
    // Renamed away under the machine's feet, it is still the same folder and nothing above.
    assert_eq!(world.sh_ok("a", "cd /shared && readlink direct").trim(), file);
    std::fs::create_dir(shared.join("sub")).unwrap();
    world.sh_ok("a", "cd /shared/sub && nohup sleep 60 >/dev/null 2>&1 & true");
    unharmed(&victim);
}

/// A program that sends a stream that leads out of where it is unpacked.
const EVIL_TAR: &str = r"#!/usr/bin/python3
import io, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')
def add(name, kind=tarfile.REGTYPE, link='', data=b'evil'):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    out.addfile(info, io.BytesIO(data))
add('x/l', tarfile.SYMTYPE, 'VICTIM')
add('x/l')
add('l', tarfile.SYMTYPE, '..')
add('l/l2', tarfile.SYMTYPE, '..')
add('l/l2/victim')
add('l/victim')
add('h', tarfile.LNKTYPE, 'VICTIM')
add('h')
add('VICTIM')
add('../../victim')
out.close()
";

#[test]
fn what_is_copied_out_is_not_read_or_written_through_links() {
    let world = machine("");
    let victim = victim(&world);
    let file = victim.to_str().unwrap();
    world.sh_ok("a", &format!("ln -s {file} /srv/link; mkdir /srv/tree; ln -s {} /srv/tree/out; echo evil > /srv/evil", world.path().display()));
    // The link comes out as a link, not as what it leads to on this host.
    world.ok(&["cp", "a:/srv/link", "copied"]);
    assert_eq!(std::fs::read_link(world.home().join("copied")).unwrap(), victim);
    // Over that link: it is replaced.
    world.ok(&["cp", "a:/srv/evil", "copied"]);
    assert!(!world.home().join("copied").symlink_metadata().unwrap().is_symlink());
    world.ok(&["cp", "a:/srv/tree", "tree"]);
    world.sh_ok("a", "rm /srv/tree/out; mkdir /srv/tree/out; echo evil > /srv/tree/out/victim");
    world.stead(&["cp", "a:/srv/tree", "."]);
    unharmed(&victim);
    if !rustix::process::geteuid().is_root() {
        println!(
            "SKIPPED: programs of this host belong to nobody inside an ordinary user's machine"
        );
        return;
    }
    // A tar of the machine's own making.
    let tar = EVIL_TAR.replace("VICTIM", file);
    let written = world.stead_with_input(
        &["exec", "a", "--", "sh", "-c", "cat > /usr/local/bin/tar; chmod 755 /usr/local/bin/tar"],
        tar.as_bytes(),
    );
    assert_eq!(written.status, 0, "{written:?}");
    assert!(world.sh_ok("a", "tar | strings").contains("evil"), "the other tar does not run");
    std::fs::create_dir(world.home().join("into")).unwrap();
    for to in ["into", "under-a-name"] {
        world.stead(&["cp", "a:/srv/evil", to]);
    }
    unharmed(&victim);
}

#[test]
fn session_folders_are_mirrored_without_links() {
    let world = machine("");
    let victim = victim(&world);
    let file = victim.to_str().unwrap();
    world.ok(&[
        "run",
        "-m",
        "a",
        "-d",
        "-n",
        "s",
        "--restart",
        "never",
        "--",
        "sh",
        "-c",
        "echo printed; exec cat",
    ]);
    world.ok(&["wait", "s", "--for", "printed", "--timeout", "30s"]);
    let folder = world.folder("s");
    let id = folder.id().to_owned();
    let inside = format!("/var/lib/stead/sessions/{id}");
    world.sh_ok("a", &format!(
        "cd {inside} && for name in history/0000000000000099.seg screen.json exit.json conversation.json report.json; do \
         rm -f $name; ln -s {file} $name; done; ln -s / history/0000000000000098.seg; mkdir -p ../../sessions/evil; ln -s {file} ../evil/spec.json"));
    let logs = world.stead(&["logs", "s"]);
    assert!(!logs.out.contains("secret-of"), "{logs:?}");
    world.ok(&["kill", "s"]);
    world.stead(&["wait", "s", "--timeout", "30s"]);
    world.ok(&["down", "a"]);
    let logs = world.ok(&["logs", "s", "--raw"]);
    assert!(logs.contains("printed") && !logs.contains("secret-of"), "{logs}");
    let found = std::process::Command::new("grep")
        .args(["-rl", "secret-of"])
        .arg(world.places().data)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let found = std::process::Command::new("find")
        .arg(world.places().data.join("sessions"))
        .args(["-type", "l"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    unharmed(&victim);
}
