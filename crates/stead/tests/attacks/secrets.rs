//! Each kind of host secret, planted or present, tried by its path and in every other way to it.

use crate::common::World;
use crate::probe::{machine, probe};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Files on this host that are gone with the test.
struct Planted {
    token: String,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Planted {
    /// Plants a secret in each place in which hosts have some, as far as this user may.
    fn new() -> Self {
        let token = format!("stead-planted-{}", std::process::id());
        let mut planted = Planted { token: token.clone(), files: Vec::new(), folders: Vec::new() };
        for folder in [
            "/home",
            "/root",
            "/srv",
            "/mnt",
            "/media",
            "/var/lib",
            "/var/log",
            "/var/tmp",
            "/var/spool",
            "/var/backups",
            "/run",
            "/tmp",
            "/dev/shm",
            "/boot",
            "/etc/ssl/private",
        ] {
            planted.below(&Path::new(folder).join(&token));
        }
        for file in ["/etc", "/etc/ssh", "/opt", "/usr/local/etc", "/usr/local/bin"] {
            planted.file(&Path::new(file).join(&token));
        }
        assert!(planted.files.len() >= 2, "nothing could be planted");
        planted
    }

    /// A home with what agents and people keep in theirs.
    fn below(&mut self, home: &Path) {
        if std::fs::create_dir(home).is_err() {
            return;
        }
        self.folders.push(home.to_owned());
        std::fs::set_permissions(home, PermissionsExt::from_mode(0o755)).unwrap();
        for name in [
            ".ssh/id_ed25519",
            ".aws/credentials",
            ".config/gh/hosts.yml",
            ".claude/.credentials.json",
            ".codex/auth.json",
            ".docker/config.json",
            ".netrc",
            ".kube/config",
            "plain",
        ] {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            self.file(&path);
        }
    }

    /// Closed to others, as such files are.
    fn file(&mut self, path: &Path) {
        if std::fs::write(path, &self.token).is_ok() {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
            self.files.push(path.to_owned());
        }
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for folder in &self.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A probe that says which of these can be seen.
fn seen(world: &World, paths: &[PathBuf]) -> Vec<String> {
    let list: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let script = format!(
        "for path in {list:?}:\n\
         \x20   for way in ['', '/proc/1/root', '/proc/self/root', '/proc/self/cwd/../../../..']:\n\
         \x20       attempt(way + path, lambda: os.close(os.open(way + path, os.O_PATH)))\n"
    );
    let told = probe(world, "a", &script);
    let ways = ["", "/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../.."];
    let all = list.iter().flat_map(|path| ways.map(|way| format!("{way}{path}")));
    all.filter(|path| told.get(path) == "ok").collect()
}

#[test]
fn planted_secrets_are_not_seen() {
    let planted = Planted::new();
    let world = World::new();
    let control = world.shared_folder("shared").join("control");
    std::fs::write(&control, &planted.token).unwrap();
    // Also with a share of what lies beside.
    world.apply("[machines.a]\nshares = [\"shared\"]\n");
    assert!(
        seen(&world, std::slice::from_ref(&control)).len() >= 3,
        "the probe sees nothing at all"
    );
    assert_eq!(seen(&world, &planted.files), Vec::<String>::new());
    // By name or content anywhere.
    let found = world.sh_ok(
        "a",
        &format!("find / -xdev -name '{0}*' 2>/dev/null; grep -rls '{0}' /etc /root /home /srv /opt /var /run /tmp /dev/shm /usr/local {1} || true", planted.token, control.display()),
    );
    assert!(found.lines().all(|line| line == control.to_str().unwrap()), "{found}");
    assert!(!found.is_empty(), "the search finds nothing at all");
}

#[test]
fn what_hosts_have_is_not_seen() {
    let world = machine("");
    let places = world.places();
    let mut paths: Vec<PathBuf> = [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/podman/podman.sock",
        "/var/lib/incus/unix.socket",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
        "/run/user",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ecdsa_key",
        "/etc/gshadow-",
        "/etc/shadow-",
        "/var/lib/docker",
        "/var/lib/kubelet",
        "/proc/kcore.real",
        "/dev/mem",
        "/dev/kmsg",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/vda",
        "/dev/sda",
        "/dev/nvme0n1",
        "/dev/loop0",
    ]
    .map(PathBuf::from)
    .to_vec();
    paths.extend([
        places.data.clone(),
        places.runtime.clone(),
        places.config,
        places.runtime.join("steward.sock"),
        places.data.join("index.sqlite"),
        world.home(),
        world.path().to_owned(),
    ]);
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
            paths.push(entry.path());
        }
    }
    paths.retain(|path| path.to_str().is_some());
    assert!(
        seen(&world, &[PathBuf::from("/etc/passwd")]).len() >= 3,
        "the probe sees nothing at all"
    );
    assert!(
        paths.iter().filter(|path| path.exists()).count() > 6,
        "hardly any of these is on this host"
    );
    assert_eq!(seen(&world, &paths), Vec::<String>::new());
    // No account has a password that could be tried elsewhere.
    let shadow = world.sh_ok("a", "cat /etc/shadow");
    assert!(shadow.lines().count() > 3);
    for line in shadow.lines() {
        let hash = line.split(':').nth(1).unwrap();
        assert!(hash.starts_with(['!', '*']) && hash.len() < 4, "{line}");
    }
    let own = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    assert_ne!(world.sh_ok("a", "cat /etc/machine-id"), own("/etc/machine-id"));
    // Made anew where this host has one: sudo does not start without it.
    if Path::new("/etc/sudoers").exists() {
        assert_ne!(world.sh_ok("a", "cat /etc/sudoers"), own("/etc/sudoers"));
    }
    assert!(!world.sh_ok("a", "cat /etc/hosts").contains(own("/etc/hostname").trim()));
}

#[test]
fn processes_of_the_host_are_not_seen() {
    let mut world = World::new();
    let token = format!("environ-secret-{}", std::process::id());
    world.set_variable("STEAD_TEST_SECRET", &token);
    world.apply("[machines.a]\n");
    // The steward and the sandbox's own helpers were started with it.
    let steward = std::fs::read(format!("/proc/{}/environ", world.steward_pid().unwrap())).unwrap();
    assert!(String::from_utf8_lossy(&steward).contains(&token));
    world.ok(&["run", "-m", "a", "-d", "-n", "s", "--", "cat"]);
    let script = r#"export CONTROL=control-word; sh -c 'cat /proc/*/environ /proc/*/cmdline | tr "\0" "\n"; :'"#;
    let text = world.sh_ok("a", script);
    assert!(text.contains("CONTROL=control-word"), "the probe sees no environment at all");
    assert!(!text.contains(&token), "the environment of the host");
    assert!(!text.contains(world.path().to_str().unwrap()), "{text}");
    let count: u32 = world.sh_ok("a", "ls -d /proc/[0-9]* | wc -l").trim().parse().unwrap();
    assert!((3..20).contains(&count), "{count} processes are seen");
    // Through what the door holds open, too.
    let told = probe(&world, "a", "
for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
    for kind in ['fd', 'cwd', 'root', 'exe']:
        try: names = os.listdir(f'/proc/{pid}/fd') if kind == 'fd' else ['']
        except OSError: continue
        for name in names:
            link = f'/proc/{pid}/{kind}/{name}'.rstrip('/')
            try: to = os.readlink(link)
            except OSError: continue
            if '/stead-' in to and not to.startswith(('/var/lib/stead', '/run/stead')): attempt(f'{link} {to}', lambda: None)
say('control', 'ok')
");
    told.worked("control");
    world.ok(&["kill", "s"]);
    let told_names = probe(&world, "a", "attempt('own', lambda: os.kill(os.getpid(), 0))\nfor pid in [STEWARD]: attempt('steward', lambda: os.kill(pid, 0))\n".replace("STEWARD", &world.steward_pid().unwrap().to_string()).as_str());
    told_names.worked("own");
    assert_eq!(told_names.get("steward"), "ESRCH");
}

#[test]
fn files_of_the_host_are_not_opened_by_handle() {
    let world = machine("");
    let told = probe(
        &world,
        "a",
        "
class Handle(ctypes.Structure):
    _fields_ = [('bytes', ctypes.c_uint), ('type', ctypes.c_int), ('data', ctypes.c_ubyte * 128)]
mount = ctypes.c_int()
h = Handle(); h.bytes = 128
libc.name_to_handle_at(-100, b'/tmp', ctypes.byref(h), ctypes.byref(mount), 0)
attempt('control', lambda: os.close(os.open('/', os.O_RDONLY)))
at = os.open('/usr', os.O_RDONLY)
# The root of an ext4 is inode 2, of a btrfs or xfs other numbers: all small ones are tried.
for inode in [2, 5, 64, 96, 128, 256]:
    h = Handle(); h.bytes = 8; h.type = 1
    h.data[0:8] = struct.pack('II', inode, 0)
    tell(f'inode {inode}', libc.open_by_handle_at(at, ctypes.byref(h), 0))
",
    );
    told.worked("control");
    told.nothing_else_worked(&["control"]);
}
