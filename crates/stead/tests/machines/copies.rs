//! `stead cp`, both ways.

use crate::common::World;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn files_and_folders_are_copied_both_ways() {
    let world = World::new();
    world.apply("[machines.a]\n");
    let home = world.home();
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    std::fs::write(home.join("file"), &bytes).unwrap();
    std::fs::set_permissions(home.join("file"), PermissionsExt::from_mode(0o750)).unwrap();
    world.give(&home.join("file"));

    // A file: under a name, into a folder, into the home.
    world.ok(&["cp", "file", "a:/srv/named"]);
    world.ok(&["cp", "file", "a:/srv"]);
    world.ok(&["cp", "file", "a:"]);
    assert_eq!(
        world.sh_ok(
            "a",
            "cmp /srv/named /srv/file && cmp /srv/file ~/file; stat -c %a:%u /srv/named"
        ),
        "750:0\n"
    );
    // Odd names are only names.
    let odd = "-a b'$(id)|&;*.[x]";
    std::fs::write(home.join(odd), "odd").unwrap();
    world.ok(&["cp", &format!("./{odd}"), "a:/srv/-o dd|&.*"]);
    assert_eq!(world.sh_ok("a", "cat '/srv/-o dd|&.*'"), "odd");
    world.ok(&["cp", "a:/srv/-o dd|&.*", "./back"]);
    assert_eq!(std::fs::read_to_string(home.join("back")).unwrap(), "odd");

    // A folder with a link and an empty folder in it.
    let folder = home.join("folder");
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    std::fs::write(folder.join("one"), "1").unwrap();
    symlink("one", folder.join("link")).unwrap();
    symlink("/etc/hostname", folder.join("absolute")).unwrap();
    world.ok(&["cp", "folder", "a:/srv/copy"]);
    let listed =
        world.sh_ok("a", "cd /srv/copy && cat one && readlink link absolute && ls -d empty");
    assert_eq!(listed, "1one\n/etc/hostname\nempty\n");
    world.ok(&["cp", "folder", "a:/srv/copy"]);
    assert_eq!(world.sh_ok("a", "cat /srv/copy/folder/one"), "1");

    // And out.
    world.sh_ok("a", "cd /srv/copy && echo 2 > two && rm -r folder");
    world.ok(&["cp", "a:/srv/copy", "out"]);
    assert_eq!(std::fs::read_to_string(home.join("out/two")).unwrap(), "2\n");
    assert_eq!(std::fs::read_link(home.join("out/link")).unwrap().to_str(), Some("one"));
    assert_eq!(
        std::fs::read_link(home.join("out/absolute")).unwrap().to_str(),
        Some("/etc/hostname")
    );
    assert!(home.join("out/empty").is_dir());
    world.ok(&["cp", "a:/srv/named", "out"]);
    assert_eq!(std::fs::read(home.join("out/named")).unwrap(), bytes);

    let said = world.stead(&["cp", "nowhere", "a:/srv"]);
    assert_eq!(said.status, 1, "{said:?}");
    if !world.is_root() {
        std::fs::write(home.join("closed"), "").unwrap();
        std::fs::set_permissions(home.join("closed"), PermissionsExt::from_mode(0o0)).unwrap();
        let said = world.stead(&["cp", "closed", "a:/srv/closed"]);
        assert!(said.status == 1 && said.err.contains("Permission denied"), "{said:?}");
        assert_ne!(world.sh("a", "ls /srv/closed").status, 0);
    }
    let said = world.stead(&["cp", "a:/nowhere", "there"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(!home.join("there").exists());
}
