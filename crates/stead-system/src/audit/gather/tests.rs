use super::*;
use crate::audit::evidence::{Old, Password, Unit};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

fn put(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_program_that_hangs_prints_without_end_or_is_not_there_makes_unknown() {
    let run = |line: &str, long| {
        let mut shell = std::process::Command::new("/bin/sh");
        program::run_for(&mut shell, "it", &["-c", line], Duration::from_millis(long))
    };
    assert_eq!(run("printf out; echo no >&2", 90_500).unwrap(), b"out");
    let begun = Instant::now();
    assert!(run("sleep 600", 100).unwrap_err().contains("did not answer"));
    assert!(run("trap '' TERM; sleep 600 & wait", 100).unwrap_err().contains("did not answer"));
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert!(run("yes", 90_500).unwrap_err().contains("more than 16 MiB"));
    assert!(run("echo wrong >&2; exit 2", 90_500).unwrap_err().contains("wrong"));
    // What it leaves behind is not waited for.
    assert_eq!(run("sleep 600 & echo $! >&2; echo out", 90_500).unwrap(), b"out\n");
    assert!(
        program::run(&Place::here(), "no-such-program", &[])
            .unwrap_err()
            .contains("there is no no-such-program")
    );
}

#[test]
fn files_that_are_no_files_or_too_large_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::below(root.path());
    put(root.path(), "etc/large", vec![b'x'; 2 << 20]);
    put(root.path(), "etc/binary", [0xff, 0x1b, b'[', 0]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("etc/pipe"),
        rustix::fs::FileType::Fifo,
        0o666.into(),
        0,
    )
    .unwrap();
    assert!(place.read("/etc/large").unwrap_err().contains("more than"));
    assert!(place.read("/etc/pipe").unwrap_err().contains("no file"));
    assert!(place.read("/etc/binary").is_ok());
    assert_eq!(place.read_or_none("/etc/none").unwrap(), "");
    assert!(place.list("/none").unwrap().is_empty());
}

#[test]
fn people_are_read_as_the_system_reads_them() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::below(root.path());
    put(
        root.path(),
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:\nbad line\n",
    );
    put(
        root.path(),
        "etc/shadow",
        "root:*:1::::::\nada::1::::::\nbob:$y$x:1::::::\neve:!$6$x:1::::::\n",
    );
    let accounts = people::accounts(&place).unwrap();
    assert!(accounts["ada"].is_person() && !accounts["root"].is_person());
    let passwords = people::passwords(&place).unwrap();
    let is = ["root", "ada", "bob", "eve"].map(|name| passwords[name]);
    assert_eq!(is, [Password::Locked, Password::Empty, Password::Set, Password::Locked]);
    assert_eq!(people::sudo(&place).unwrap_err(), "there is no sudo");
    let rules = people::rules(
        "Defaults env_reset\nUser_Alias OPS = eve, %ops\nroot ALL=(ALL:ALL) ALL\nada,bob ALL=(ALL) NOPASSWD: ALL\n\
         OPS ALL = NOPASSWD: /bin/ls, \\\n /bin/cat\n@includedir /etc/sudoers.d\n#eve ALL=(ALL) ALL\n",
    );
    let shown: Vec<_> = rules.iter().map(|rule| (rule.who.as_str(), rule.free, rule.all)).collect();
    let expected = [
        ("root", false, true),
        ("ada", true, true),
        ("bob", true, true),
        ("%ops", true, false),
        ("eve", true, false),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn only_what_others_can_come_to_is_exposed() {
    let root = tempfile::tempdir().unwrap();
    // The test's own folders stand above.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = Place::below(root.path());
    for home in ["home/ada", "home/bob"] {
        put(root.path(), &format!("{home}/.ssh/id_ed25519"), "key");
        put(root.path(), &format!("{home}/.ssh/id_ed25519.pub"), "key");
        put(root.path(), &format!("{home}/project/.env"), "A=b");
        put(root.path(), &format!("{home}/project/.env.example"), "A=b");
    }
    symlink("/etc/passwd", root.path().join("home/ada/.netrc")).unwrap();
    fs::set_permissions(root.path().join("home/bob"), fs::Permissions::from_mode(0o700)).unwrap();
    put(
        root.path(),
        "etc/passwd",
        "ada:x:1000:1000::/home/ada:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
    );
    put(root.path(), "etc/group", "");
    let look =
        || credentials::all(&place, &people::accounts(&place), &people::groups(&place)).unwrap();
    let found = look();
    let open: Vec<_> =
        found.iter().filter(|file| file.exposed).map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(open, ["/home/ada/.ssh/id_ed25519", "/home/ada/project/.env"]);
    assert_eq!(found.len(), 4);
    // The group is whose the files here are; who is in it by the one line or the other reads what it may.
    let gid = fs::metadata(root.path()).unwrap().gid();
    fs::set_permissions(
        root.path().join("home/ada/project/.env"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    put(root.path(), "etc/group", format!("devs:x:{gid}:bob\n"));
    let grouped: Vec<_> =
        look().into_iter().filter_map(|file| Some((file.path, file.group?))).collect();
    let key = ("/home/ada/.ssh/id_ed25519".into(), ("devs".into(), vec!["bob".to_owned()]));
    let env = ("/home/ada/project/.env".into(), ("devs".into(), vec!["bob".to_owned()]));
    assert_eq!(grouped, [key, env]);
    put(root.path(), "etc/group", format!("devs:x:{gid}:\n"));
    assert!(look().iter().all(|file| file.group.is_none()));
}

#[test]
fn keys_in_units_are_found_and_words_like_them_are_not() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = Place::below(root.path());
    put(
        root.path(),
        "etc/systemd/system/a.service.d/env.conf",
        "Environment=K=AKIAABCDEFGHIJKLMNOP\n",
    );
    put(root.path(), "etc/systemd/system/b.service", "Description=AKIA and ghp_ are beginnings\n");
    let found = credentials::plain(&place).unwrap();
    assert_eq!(
        found,
        [("/etc/systemd/system/a.service.d/env.conf".into(), "an access key of AWS")]
    );
}

#[test]
fn what_programs_print_is_understood() {
    let sshd = ssh::settings(
        "port 22\nport 2222\nallowusers ada bob\nallowusers eve\nX11Forwarding no\nbanner none",
    );
    assert_eq!(sshd.settings["port"], ["22", "2222"]);
    assert_eq!(sshd.settings["allowusers"], ["ada", "bob", "eve"]);
    assert_eq!(sshd.get("x11forwarding"), Some("no"));
    let units = systemd::shown(
        "Id=ssh.service\nNames=ssh.service sshd.service\nLoadState=loaded\nActiveState=active\n\nId=x.service\nLoadState=not-found\nActiveState=inactive\n",
    );
    assert!(units["sshd.service"].active() && !units["x.service"].there());
    assert_eq!(Unit::state(&units["x.service"]), "not-found");
    assert_eq!(
        systemd::level("\n→ Overall exposure level for mail.service: 1.5 OK 🙂\n"),
        Some(1.5)
    );
    assert_eq!(systemd::level("nothing"), None);
    let apt = apt::dumped(
        "APT::Periodic::Unattended-Upgrade \"1\";\nUnattended-Upgrade::Origins-Pattern:: \"label=Debian-Security\";\nA \"\";\n",
    );
    assert_eq!(apt["apt::periodic::unattended-upgrade"], ["1"]);
    assert_eq!(apt["unattended-upgrade::origins-pattern"], ["label=Debian-Security"]);
    let answer = b"\x80\x05\x95\x36\0\0\0\0\0\0\0]\x94(K\0]\x94(\x8c\x0eNumber of jail\x94K\x02\x86\x94\x8c\tJail list\x94\x8c\x0bsshd, nginx\x94\x86\x94ee.<F2B_END_COMMAND>";
    assert_eq!(systemd::jail_list(answer).unwrap(), ["sshd", "nginx"]);
    assert_eq!(systemd::jail_list(b"(no"), None);
}

#[test]
fn sockets_are_read_as_the_kernel_shows_them() {
    let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
    let (inode, listener) = sockets::socket(line, false).unwrap();
    assert_eq!((inode, listener.address, listener.port), (4242, [127, 0, 0, 1].into(), 8080));
    assert!(sockets::socket(&line.replace(" 0A ", " 01 "), false).is_none());
    assert!(sockets::socket("garbage", false).is_none());
    let six = line.replace("0100007F", "00000000000000000000000000000000");
    assert!(sockets::socket(&six, false).unwrap().1.address.is_unspecified());
}

#[test]
fn settings_within_match_are_found_in_included_files() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n");
    put(
        root.path(),
        "etc/ssh/sshd_config.d/a.conf",
        "Match User eve\n  PasswordAuthentication yes\nMatch all\nX11Forwarding no\n",
    );
    put(
        root.path(),
        "etc/ssh/sshd_config.d/a.conf.old",
        "Match User bob\nPasswordAuthentication yes\n",
    );
    let place = Place::below(root.path());
    let found = ssh::matches(&place, "/etc/ssh/sshd_config", 0).unwrap();
    assert_eq!(found, [("User eve".into(), "passwordauthentication".into(), "yes".into())]);
    // Outside of it the first word counts, and a file goes on where one that it includes ended in a `Match`.
    put(
        root.path(),
        "etc/ssh/sshd_config.d/0.conf",
        "Port 2222\nMatch User eve\nX11Forwarding yes\n",
    );
    let written = ssh::written(&place, "/etc/ssh/sshd_config", 0).unwrap();
    assert_eq!(written["port"], ["2222"]);
    assert!(!written.contains_key("x11forwarding"));
}

#[test]
fn an_update_that_closes_a_hole_is_one_of_a_later_version() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::below(root.path());
    assert!(packages::updates(&place).unwrap_err().contains("apt-get update"));
    put(
        root.path(),
        "var/lib/dpkg/status",
        "Package: a\nStatus: install ok installed\nVersion: 1.0-1\nProvides: z (= 1)\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 1.0-1\n\nPackage: c\nStatus: install ok installed\nVersion: 2.0-1\n",
    );
    put(
        root.path(),
        "var/lib/apt/lists/x_debian-security_Packages",
        "Package: a\nVersion: 1.0-1+deb12u1\n\nPackage: b\nVersion: 3\n\nPackage: c\nVersion: 2.0-1\n",
    );
    assert_eq!(packages::updates(&place).unwrap(), ["a 1.0-1+deb12u1"]);
    let installed = packages::installed(&place).unwrap();
    assert!(installed.contains("z") && !installed.contains("b"));
}

#[test]
fn a_kernel_that_is_older_than_what_is_installed_is_told_apart_by_who_gives_it() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::below(root.path());
    put(root.path(), "proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
    put(root.path(), "proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-6.1.0-9-amd64 ro\n");
    put(root.path(), "boot/vmlinuz-6.1.0-9-amd64", "");
    assert_eq!(machine::restart(&place).unwrap(), None);
    put(root.path(), "boot/vmlinuz-6.1.0-10-amd64", "");
    let both = "6.1.0-10-amd64 is installed, 6.1.0-9-amd64 runs";
    assert_eq!(machine::restart(&place).unwrap(), Some(Old::Restart(both.into())));
    // An image of a person's own starts what is installed in it.
    put(root.path(), "run/stead/config.json", "{}");
    assert_eq!(machine::restart(&place).unwrap(), Some(Old::Restart(both.into())));
    put(root.path(), "proc/cmdline", "console=ttyS0 quiet\n");
    let given = || match machine::restart(&place).unwrap() {
        Some(Old::Given(why)) => assert!(why.starts_with(both), "{why}"),
        other => panic!("{other:?}"),
    };
    given();
    // Also once the package is gone that it came with.
    fs::remove_file(root.path().join("boot/vmlinuz-6.1.0-9-amd64")).unwrap();
    given();
    fs::remove_file(root.path().join("run/stead/config.json")).unwrap();
    assert_eq!(machine::restart(&place).unwrap(), None);
}

#[test]
fn where_nothing_is_nothing_passes() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::below(root.path());
    let found = [
        systemd::units(&place, &["a.service".into()]).is_err(),
        people::accounts(&place).is_err(),
        machine::os(&place).is_err(),
        machine::hostname(&place).is_err(),
        machine::interfaces(&place).is_err(),
        packages::installed(&place).is_err(),
        packages::lists_age(&place).is_err(),
        sockets::listeners(&place).is_err(),
        sockets::engines(&place).is_err(),
    ];
    assert!(found.iter().all(|blind| *blind), "{found:?}");
}
