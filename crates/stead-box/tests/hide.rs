//! Covers, looked through with the kernel's own overlay: over a made-up host and over this one.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use stead_box::hide::rules::{Act, RULES};
use stead_box::hide::{Cover, Host, cover, sweep, sweep_at};

const SECRET: &str = "SECRET";

/// A made-up host, and a folder for covers beside it.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        for folder in ["host", "covers", "view"] {
            fs::create_dir(fake.0.path().join(folder)).unwrap();
        }
        fs::set_permissions(fake.root(), fs::Permissions::from_mode(0o755)).unwrap();
        for (path, content) in SHOWN {
            fake.file(path, 0o644, content);
        }
        fake
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("host")
    }

    fn covers(&self) -> PathBuf {
        self.0.path().join("covers")
    }

    fn file(&self, path: &str, mode: u32, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn cover(&self, userxattr: bool) -> Cover {
        cover(&self.covers(), &Host { root: self.root(), userxattr }).unwrap()
    }

    /// What a script prints in a view of the host through its cover; nothing where this user may mount nothing.
    fn look(&self, userxattr: bool, script: &str) -> Option<String> {
        let cover = self.cover(userxattr).path;
        let (how, option) = if userxattr { ("-Urm", ",userxattr") } else { ("-m", "") };
        if !Command::new("unshare").args([how, "true"]).status().unwrap().success() {
            eprintln!("SKIPPED: no namespaces by `unshare {how}` for this user");
            return None;
        }
        let output = Command::new("unshare")
            .args([how, "--propagation", "private", "sh", "-euc"])
            .arg(format!("mount -t overlay none -o ro,lowerdir=\"$1\":\"$2\"{option} \"$3\"; cd \"$3\"; {script}"))
            .args(["sh".as_ref(), cover.as_os_str(), self.root().as_os_str()])
            .arg(self.0.path().join("view"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    }
}

/// With `userxattr` or without: only root may make the layer for an overlay without.
fn modes() -> &'static [bool] {
    if rustix::process::geteuid().is_root() { &[false, true] } else { &[true] }
}

const SHOWN: [(&str, &str); 14] = [
    ("usr/bin/tool", "shown"),
    ("usr/share/doc/x", "shown"),
    ("usr/local/bin/mine", "shown"),
    ("opt/app/app", "shown"),
    ("nix/store/a/b", "shown"),
    ("bin/sh", "shown"),
    ("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"),
    ("etc/group", "root:x:0:\nsudo:x:27:ann,bob\n"),
    ("etc/ssl/certs/ca.pem", "shown"),
    ("etc/deep/er/conf", "shown"),
    ("var/lib/dpkg/status", "shown"),
    ("var/lib/apt/lists/x", "shown"),
    ("var/cache/debconf/config.dat", "shown"),
    ("var/lib/systemd/deb-systemd-helper-enabled/x", "shown"),
];

/// Whatever their permissions are, these are not seen.
const HIDDEN: [&str; 62] = [
    "root/.ssh/id_ed25519",
    "home/ann/.claude.json",
    "home/ann/public/x",
    "etc/shadow",
    "etc/shadow-",
    "etc/shadow.bak",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssl/private/site.key",
    "etc/letsencrypt/live/x/privkey.pem",
    "etc/stead/stead.toml",
    "etc/kubernetes/admin.conf",
    "etc/rancher/k3s/k3s.yaml",
    "etc/wireguard/wg0.conf",
    "etc/NetworkManager/system-connections/home.nmconnection",
    "etc/netplan/50.yaml",
    "etc/network/interfaces",
    "etc/apt/auth.conf",
    "etc/apt/auth.conf.d/x.conf",
    "etc/cloud/cloud.cfg",
    "etc/boto.cfg",
    "etc/sudoers.d/ann",
    "etc/sudoers",
    "etc/fstab",
    "etc/machine-id",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/krb5.keytab",
    "etc/docker/key.json",
    "etc/systemd/system/app.service.d/env.conf",
    "etc/cron.d/backup",
    "etc/app.conf.bak",
    "etc/.git/objects/x",
    "var/lib/stead/machines/x",
    "var/lib/docker/x",
    "var/lib/containerd/x",
    "var/lib/incus/x",
    "var/lib/lxd/x",
    "var/lib/tailscale/tailscaled.state",
    "var/lib/libvirt/x",
    "var/lib/machines/x",
    "var/lib/kubelet/x",
    "var/lib/postgresql/15/x",
    "var/lib/mysql/x",
    "var/lib/systemd/random-seed",
    "var/lib/some-app-of-tomorrow/x",
    "var/cache/some-app/x",
    "var/log/auth.log",
    "var/mail/ann",
    "var/spool/cron/ann",
    "var/backups/shadow.bak",
    "var/tmp/x",
    "var/crash/x",
    "var/data-of-mine",
    "srv/x",
    "mnt/disk/x",
    "media/x",
    "boot/initrd.img",
    "swapfile",
    "data/x",
];

#[test]
fn no_secret_of_a_made_up_host_is_seen() {
    let fake = Fake::new();
    for path in HIDDEN {
        // Readable by everybody: it must be hidden by its name.
        fake.file(path, 0o644, SECRET);
    }
    for path in [
        "etc/unknown",
        "etc/deep/er/key",
        "opt/app/key",
        "usr/local/etc/key",
        "var/cache/debconf/passwords.dat",
    ] {
        fake.file(path, 0o640, SECRET);
    }
    for path in ["etc/closed/x", "opt/closed/deep/x", "var/lib/apt/closed/x"] {
        fake.file(path, 0o644, SECRET);
        let closed = fake.root().join(path.split("closed").next().unwrap()).join("closed");
        fs::set_permissions(closed, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let socket = std::os::unix::net::UnixListener::bind(fake.root().join("etc/socket")).unwrap();
    for &userxattr in modes() {
        let Some(seen) = fake
            .look(userxattr, "grep -rl SECRET . || echo nothing; ls -A . etc/closed opt/closed")
        else {
            continue;
        };
        assert!(seen.starts_with("nothing\n"), "{seen}");
        assert!(
            !seen.contains("deep") && !seen.contains("swapfile") && !seen.contains("data"),
            "{seen}"
        );
        let files = fake.look(userxattr, "find . -type f -o -type s -o -type c").unwrap();
        for path in SHOWN.map(|(path, _)| path) {
            assert!(files.contains(&format!("./{path}\n")), "{path} is not shown");
        }
        let made = [
            "etc/shadow",
            "etc/gshadow",
            "etc/sudoers",
            "etc/fstab",
            "etc/machine-id",
            "etc/hostname",
        ];
        for line in files.lines() {
            let path = line.trim_start_matches("./");
            let known = SHOWN.iter().any(|(shown, _)| *shown == path);
            assert!(known || made.contains(&path) || path == "etc/resolv.conf", "{path} is shown");
        }
        let shadow =
            fake.look(userxattr, "cat etc/shadow etc/gshadow; wc -c < etc/machine-id").unwrap();
        let wanted =
            "root:*:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\nroot:*::\nsudo:*::ann,bob\n0\n";
        assert_eq!(shadow, wanted);
    }
    drop(socket);
}

#[test]
fn folders_are_there_with_their_rights() {
    let fake = Fake::new();
    for (path, mode) in [
        ("tmp", 0o1777),
        ("root", 0o700),
        ("home", 0o755),
        ("etc/polkit", 0o700),
        ("var/log", 0o775),
    ] {
        fs::create_dir_all(fake.root().join(path)).unwrap();
        fs::set_permissions(fake.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(fake.root().join("data")).unwrap();
    symlink("/data", fake.root().join("srv")).unwrap();
    symlink("usr/bin", fake.root().join("sbin")).unwrap();
    symlink("/run", fake.root().join("var/run")).unwrap();
    let script = "stat -c '%n %a %F' tmp root home etc/polkit var/log srv sbin var/run etc .";
    for &userxattr in modes() {
        let Some(seen) = fake.look(userxattr, script) else { continue };
        let wanted = "tmp 1777 directory\nroot 700 directory\nhome 755 directory\netc/polkit 700 directory\n\
            var/log 775 directory\nsrv 755 directory\nsbin 777 symbolic link\nvar/run 777 symbolic link\n\
            etc 755 directory\n. 755 directory\n";
        assert_eq!(seen, wanted);
    }
}

#[test]
fn what_changes_on_the_host_is_covered_at_the_next_start() {
    let fake = Fake::new();
    let first = fake.cover(true);
    assert_eq!(fake.cover(true), first, "nothing has changed");
    fake.file("etc/deep/key", 0o600, SECRET);
    let second = fake.cover(true);
    assert_ne!(second.path, first.path);
    assert!(!second.path.join("etc/deep/key").metadata().unwrap().is_file());
    assert!(!first.path.join("etc/deep/key").exists(), "what is in use never changes");
    let shown = fake.root().join("etc/deep/er/conf");
    fs::set_permissions(&shown, fs::Permissions::from_mode(0o600)).unwrap();
    let third = fake.cover(true);
    assert!(
        third.path.join("etc/deep/er/conf").symlink_metadata().is_ok(),
        "closed by chmod alone"
    );
    fs::set_permissions(&shown, fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(fake.root().join("etc/deep/key")).unwrap();
    assert_eq!(fake.cover(true).path, first.path);
    fake.file("opt/app/new/token", 0o600, SECRET);
    assert!(fake.cover(true).path.join("opt/app/new/token").symlink_metadata().is_ok());
}

#[test]
fn several_at_once_get_one_cover_and_leave_nothing() {
    let fake = Fake::new();
    let paths: Vec<PathBuf> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| fake.cover(true).path)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(paths.iter().all(|path| *path == paths[0]));
    assert_eq!(fs::read_dir(fake.covers()).unwrap().count(), 1);
    assert_eq!(fs::metadata(fake.covers()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn old_covers_go_and_those_in_use_stay() {
    let fake = Fake::new();
    let used = fake.cover(true).path;
    fake.file("etc/a", 0o600, SECRET);
    let old = fake.cover(true).path;
    let cut_off = fake.covers().join(".new-1-2-3");
    fs::create_dir_all(cut_off.join("layer/etc")).unwrap();
    let unrelated = fake.covers().join("unrelated");
    fs::create_dir(&unrelated).unwrap();
    sweep(&fake.covers(), &[]).unwrap();
    assert!(used.is_dir() && old.is_dir() && cut_off.is_dir(), "they were handed out just now");
    let later = SystemTime::now() + Duration::from_mins(11);
    sweep_at(&fake.covers(), std::slice::from_ref(&used), later).unwrap();
    assert!(used.is_dir() && unrelated.is_dir());
    assert!(!old.exists() && !cut_off.exists());
    assert!(fake.cover(true).path.is_dir());
    sweep(Path::new("/nonexistent/covers"), &[]).unwrap();
}

#[test]
fn without_a_host_there_is_no_cover() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host { root: folder.path().join("none"), userxattr: false };
    let error = cover(folder.path(), &host).unwrap_err().to_string();
    assert!(error.contains("nothing is started"), "{error}");
}

/// Not a test of its own: covers this host into a file system of its own.
#[test]
fn child() {
    let Ok(folder) = std::env::var("STEAD_TEST_COVERS") else { return };
    let folder = PathBuf::from(folder);
    let host = Host { root: "/".into(), userxattr: false };
    let start = std::time::Instant::now();
    let first = cover(&folder.join("c"), &host).unwrap();
    eprintln!("the first cover of this host took {:?}; notes {:?}", start.elapsed(), first.notes);
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let again = cover(&folder.join("c"), &host).unwrap();
        eprintln!("another {:?}, the same: {}", start.elapsed(), again == first);
    }
    symlink(first.path, folder.join("cover")).unwrap();
}

#[test]
fn this_host_seen_through_its_cover() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: an overlay over / needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The cover is on a file system of its own: layers must not be inside each other.
    let script = format!(
        "mount -t tmpfs none {0}; mkdir {0}/view; STEAD_TEST_COVERS={0} \"$1\" --exact child --nocapture >&2; \
         mount -t overlay none -o ro,lowerdir=$(readlink {0}/cover):/ {0}/view; cd {0}/view; ",
        folder.path().display()
    );
    let look = |more: &str| {
        let output = Command::new("unshare")
            .args([
                "-m",
                "--propagation",
                "private",
                "bash",
                "-euc",
                &format!("{script}{more}"),
                "bash",
            ])
            .arg(std::env::current_exe().unwrap())
            .output()
            .unwrap();
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{more}");
        String::from_utf8(output.stdout).unwrap()
    };
    let top: Vec<String> = look("ls -A").lines().map(str::to_owned).collect();
    let named = |name: &str| RULES.iter().any(|rule| rule.path == name && rule.act != Act::Gone);
    assert!(top.iter().all(|name| named(name)), "{top:?}");
    let empty = "find root home srv mnt media boot run tmp var/log var/spool var/mail var/tmp var/backups \
        -mindepth 1 2>/dev/null | head";
    assert_eq!(look(empty), "");
    let closed =
        "find etc opt usr/local var '(' -type f ! -perm -o+r -o -type s -o -type c -o -type p ')'";
    let made = ["etc/shadow", "etc/gshadow", "etc/sudoers"];
    for path in look(closed).lines() {
        assert!(made.contains(&path), "{path} is seen");
    }
    assert_eq!(look("find etc opt usr/local var -type d ! -perm -o+rx ! -empty"), "");
    let shadow = look("cat etc/shadow");
    assert!(
        shadow.contains("root:*:")
            && shadow.lines().all(|line| line.split(':').nth(1) == Some("*")),
        "{shadow}"
    );
    let programs = "mount --rbind /dev dev; ls usr/bin | grep -c . ; chroot . apt-get --version | head -1; chroot . git --version; \
        chroot . gcc --version | head -1; chroot . dpkg -l | grep -c ^ii";
    let seen = look(programs);
    for word in ["apt ", "git version", "gcc "] {
        assert!(seen.contains(word), "{seen}");
    }
}

/// The manual's table is made from the rules: this keeps them together.
#[test]
fn the_manual_has_every_rule() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox-hides.md");
    let act = |act: Act| match act {
        Act::Shown => "shown",
        Act::Walked => "what all may read",
        Act::Only => "only what is listed",
        Act::Empty => "empty",
        Act::Gone => "not there",
        Act::Made(_) => "made anew",
    };
    let mut table = String::from("| path | inside | what is there |\n| --- | --- | --- |\n");
    for rule in RULES {
        writeln!(table, "| `/{}` | {} | {} |", rule.path, act(rule.act), rule.reason).unwrap();
    }
    let text = fs::read_to_string(&manual).unwrap();
    let now = text[text.find("| path |").unwrap()..].to_owned();
    if now != table && std::env::var_os("STEAD_WRITE_MANUAL").is_some() {
        fs::write(&manual, text.replace(&now, &table)).unwrap();
        return;
    }
    for (now, wanted) in now.lines().zip(table.lines()) {
        assert_eq!(now, wanted, "run this test with STEAD_WRITE_MANUAL=1");
    }
    assert_eq!(now.lines().count(), table.lines().count());
}
