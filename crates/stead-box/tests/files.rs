//! What is made of this host's files, and what stays of what is changed.

mod common;

use common::{FIRST, Who, World, everybody, root};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use stead_box::spec::{Base, Upper};

/// A file of this host that everybody may read, and that is nowhere near the tests.
const HOST_FILE: &str = "/usr/bin/env";

#[test]
fn root_inside_is_somebody_else_outside() {
    for who in everybody() {
        let world = World::new(who);
        let running = world.start();
        assert_eq!(
            world.sh("id -u; id -g; stat -c %u /usr /etc/hostname; cat /proc/sys/kernel/hostname"),
            "0\n0\n0\n0\ninside"
        );
        let status = fs::read_to_string(format!("/proc/{}/status", running.init)).unwrap();
        let outside = match who {
            Who::Root => FIRST,
            Who::User => common::NOBODY,
        };
        assert!(status.contains(&format!("Uid:\t{outside}\t{outside}")), "{status}");
        world.stop();
    }
}

#[test]
fn changes_stay_in_the_upper_and_outlive_a_restart() {
    for who in everybody() {
        let world = World::new(who);
        let before = fs::metadata(HOST_FILE).unwrap();
        world.start();
        let made = "echo one > /usr/local/stead-test && rm -f /usr/bin/env && chmod 4755 /usr/local/stead-test && echo done";
        // An ordinary user cannot change what belongs to root, but what it may not do outside, it may not do inside.
        let said = world.sh(made);
        if who == Who::Root {
            assert_eq!(said, "done");
        }
        world.sh("mkdir -p /srv/own && echo two > /srv/own/file && echo three > /etc/own");
        world.stop();
        assert!(!Path::new("/usr/local/stead-test").exists() && !Path::new("/srv/own").exists());
        assert_eq!(fs::metadata(HOST_FILE).unwrap().ino(), before.ino());
        if who == Who::Root {
            let upper = world.path("layer/fs/usr/local/stead-test");
            let meta = fs::metadata(&upper).unwrap();
            assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o4755), "ids inside are on disk");
            let gone = fs::symlink_metadata(world.path("layer/fs/usr/bin/env")).unwrap();
            assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0), "a whiteout");
        }
        world.start();
        if who == Who::Root {
            assert_eq!(world.sh("cat /usr/local/stead-test; ls /usr/bin/env 2>&1 | wc -l; test -e /usr/bin/env || echo gone"), "one\n1\ngone");
            assert_eq!(world.sh("cat /srv/own/file /etc/own"), "two\nthree");
        } else {
            let upper = fs::metadata(world.path("layer/fs")).unwrap();
            assert_eq!(upper.uid(), common::NOBODY);
        }
        world.stop();
    }
}

#[test]
fn owners_attributes_and_capabilities_of_files_hold() {
    if !root() {
        return;
    }
    let world = World::new(Who::Root);
    world.start();
    let script = "cp /bin/true /srv/t && chown 33:44 /srv/t && chmod 6755 /srv/t && ln /srv/t /srv/u && \
        stat -c '%u %g %a %h' /srv/t";
    assert_eq!(world.sh(script), "33 44 6755 2");
    world.stop();
    let meta = fs::metadata(world.path("layer/fs/srv/t")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (33, 44));
    world.start();
    assert_eq!(world.sh("stat -c '%u %g %a %h' /srv/u"), "33 44 6755 2");
    world.stop();
}

#[test]
fn frozen_layers_lie_under_the_upper_and_are_not_written() {
    if !root() {
        return;
    }
    let mut world = World::new(Who::Root);
    world.start();
    world.sh("echo low > /srv/a; echo low > /srv/b; rm -rf /usr/share/doc");
    world.stop();
    let (low, high) = (world.path("low"), world.path("high"));
    fs::rename(world.path("layer"), &low).unwrap();
    world.make_folder("layer", 0o700);
    world.spec.layers = vec![low.clone()];
    world.start();
    world.sh("echo high > /srv/b");
    world.stop();
    fs::rename(world.path("layer"), &high).unwrap();
    world.make_folder("layer", 0o700);
    world.spec.layers = vec![high, low.clone()];
    // The same layers hold for whatever range of ids.
    world.spec.ids = stead_box::spec::Ids::Range { first: 3_000_000 };
    world.start();
    let script =
        "cat /srv/a /srv/b; stat -c %u /srv/a; ls /usr/share/doc 2>&1 | head -1; echo new > /srv/a";
    assert_eq!(
        world.sh(script),
        "low\nhigh\n0\nls: cannot access '/usr/share/doc': No such file or directory"
    );
    world.stop();
    assert_eq!(fs::read_to_string(low.join("fs/srv/a")).unwrap(), "low\n");
    assert_eq!(fs::read_to_string(world.path("layer/fs/srv/a")).unwrap(), "new\n");
}

#[test]
fn an_upper_in_memory_is_gone_at_the_end() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.upper = Upper::Memory { size: Some(4 << 20) };
        world.start();
        assert_eq!(world.sh("echo x > /etc/kept && cat /etc/kept || echo x"), "x", "{who:?}");
        if who == Who::Root {
            let full = world.sh("head -c 8000000 /dev/zero > /srv/big");
            assert!(full.contains("No space left"), "{full}");
        }
        world.stop();
        world.start();
        assert_eq!(world.sh("test -e /etc/kept || echo gone"), "gone");
        world.stop();
        assert!(!world.path("layer/fs").exists());
    }
}

#[test]
fn a_cover_hides_and_what_is_shown_is_seen() {
    if !root() {
        return;
    }
    for who in everybody() {
        let mut world = World::new(who);
        // Not in /tmp, which is another one inside.
        let outer = tempfile::Builder::new().prefix("stead-box-").tempdir_in("/var").unwrap();
        let place = outer.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(place.join("project")).unwrap();
        fs::write(place.join("key"), "secret").unwrap();
        fs::write(place.join("project/file"), "seen\n").unwrap();
        let (key, owner) = match who {
            Who::Root => ("trusted.overlay.opaque", 0),
            Who::User => ("user.overlay.opaque", common::NOBODY),
        };
        for name in ["", "key", "project", "project/file"] {
            chown(place.join(name), Some(owner), Some(owner)).unwrap();
        }
        world.start();
        let cat = format!("cat {}/key", place.display());
        assert_eq!(world.sh(&cat), "secret", "nothing hides it yet");
        world.stop();
        let cover = world.path("cover").join(place.strip_prefix("/").unwrap());
        fs::create_dir_all(&cover).unwrap();
        chown(&cover, Some(owner), Some(owner)).unwrap();
        rustix::fs::setxattr(&cover, key, b"y", rustix::fs::XattrFlags::empty()).unwrap();
        // A whole folder of this host that is not there at all.
        let gone = rustix::fs::FileType::CharacterDevice;
        let mode = rustix::fs::Mode::empty();
        rustix::fs::mknodat(rustix::fs::CWD, world.path("cover/opt"), gone, mode, 0).unwrap();
        let Base::Host { show, .. } = &mut world.spec.base else { unreachable!() };
        show.push(place.join("project"));
        for before in ["seen", "changed"] {
            world.start();
            let script = format!(
                "cd {}; ls; cat project/file; stat -c %u project; echo changed > project/file; \
                 test -e /opt || echo gone",
                place.display()
            );
            assert_eq!(world.sh(&script), format!("project\n{before}\n0\ngone"), "{who:?}");
            world.stop();
        }
        assert_eq!(fs::read_to_string(place.join("project/file")).unwrap(), "seen\n");
        let upper = world.path("layer/fs").join(place.strip_prefix("/").unwrap());
        assert_eq!(fs::read_to_string(upper.join("project/file")).unwrap(), "changed\n");
    }
}

#[test]
fn what_is_mounted_apart_on_this_host_is_there_too() {
    if !root() {
        return;
    }
    let world = World::new(Who::Root);
    let mut command = std::process::Command::new("unshare");
    let script = format!(
        "mount -t tmpfs none /opt && echo apart > /opt/file && exec {} start",
        world.program().display()
    );
    command.args(["-m", "--propagation", "private", "sh", "-c", &script]);
    world.start_with(command).unwrap();
    assert_eq!(
        world.sh("cat /opt/file && echo new > /opt/new && rm /opt/file && ls /opt"),
        "apart\nnew"
    );
    world.stop();
    assert_eq!(fs::read_to_string(world.path("layer/fs/opt/new")).unwrap(), "new\n");
    assert!(!Path::new("/opt/new").exists());
}

#[test]
fn a_root_in_a_folder() {
    for who in everybody() {
        let mut world = World::new(who);
        let base = world.make_folder("base", 0o755);
        world.make_folder("base/bin", 0o755);
        world.make_folder("base/etc", 0o755);
        fs::copy(world.program(), base.join("bin/program")).unwrap();
        world.spec.base = Base::Folder(base.clone());
        world.start();
        let out = world.exec(&["--", "program", "--version"]);
        assert!(String::from_utf8_lossy(&out.stdout).starts_with("stead-box "), "{who:?} {out:?}");
        world.stop();
        assert!(!base.join("etc/hostname").exists() && !base.join("proc").exists());
        assert_eq!(fs::read_to_string(world.path("layer/fs/etc/hostname")).unwrap(), "inside\n");
    }
}

#[test]
fn binds_are_read_only_or_not_and_belong_to_root_inside() {
    for who in everybody() {
        let mut world = World::new(who);
        let folder = world.make_folder("shared", 0o755);
        world.make_file("shared/file", "text");
        let file = world.make_file("single", "alone");
        world.bind(folder.clone(), "/srv/deep/rw", true, true);
        world.bind(folder.clone(), "/tmp/ro", false, true);
        world.bind(file, "/run/single", false, true);
        let tried = world.try_start();
        if who == Who::User && tried.as_ref().is_err_and(|e| e.contains("/srv")) {
            println!("skipped as a user: /srv cannot be written");
            continue;
        }
        tried.unwrap();
        let script = "cd /srv/deep/rw; stat -c %u . file; echo new > made; cat /tmp/ro/made /run/single; \
            echo x 2>&- > /tmp/ro/other || echo refused";
        let said = world.sh(script);
        assert!(
            said.starts_with("0\n0\nnew\nalone") && said.ends_with("refused"),
            "{who:?}: {said}"
        );
        world.stop();
        let owner = fs::metadata(&folder).unwrap().uid();
        assert_eq!(fs::metadata(folder.join("made")).unwrap().uid(), owner);
        assert!(!folder.join("other").exists());
    }
}

#[test]
fn a_symbolic_link_planted_inside_leads_nowhere_outside() {
    if !root() {
        return;
    }
    let mut world = World::new(Who::Root);
    let outside = world.make_folder("outside", 0o755);
    world.start();
    let target: PathBuf = outside.join("written");
    world.sh(&format!(
        "mv /srv /srv.old; ln -s {} /srv; rm -f /etc/resolv.conf /etc/hosts; ln -s {} /etc/resolv.conf; \
         ln -s ../../../../../../..{} /etc/hosts",
        outside.display(), target.display(), target.display()
    ));
    world.stop();
    assert!(fs::symlink_metadata(world.path("layer/fs/srv")).unwrap().is_symlink());
    let shared = world.make_folder("shared", 0o755);
    world.bind(shared, "/srv/bound", true, true);
    let refused = world.try_start().unwrap_err();
    assert!(refused.contains("/srv") && refused.contains("symbolic link"), "{refused}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    world.wait_empty();
    assert_eq!(world.groups(), Vec::<PathBuf>::new());
    world.spec.binds.clear();
    world.start();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(
        world.sh("cat /etc/resolv.conf; test -L /etc/hosts || echo plain"),
        format!("nameserver {}\nplain", stead_box::net::NAME_SERVER)
    );
    world.stop();
    // A layer whose folder for a mount of its own leads elsewhere.
    fs::remove_file(world.path("layer/fs/srv")).unwrap();
    symlink(&outside, world.path("layer/fs/proc")).unwrap();
    assert!(world.try_start().is_err());
    world.wait_empty();
}

#[test]
fn a_bind_names_what_is_wrong() {
    for who in everybody() {
        let mut world = World::new(who);
        world.bind("/nowhere/at/all".into(), "/tmp/x", true, false);
        assert!(world.try_start().unwrap_err().contains("/nowhere/at/all"));
        for inside in ["relative", "/", "/proc/x", "/tmp/../x"] {
            world.spec.binds[0].host = "/usr".into();
            world.spec.binds[0].inside = inside.into();
            assert!(world.try_start().unwrap_err().contains(inside), "{inside}");
        }
        world.wait_empty();
        assert_eq!(world.groups(), Vec::<PathBuf>::new());
    }
}
