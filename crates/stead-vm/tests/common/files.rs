//! What a guest boots from: Debian's kernels, an initramfs, a root.

use super::{PROGRAM, cache};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Debian's kernels: `Cloud` has ext4 built in and no 9p; `Generic` has both as modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    Cloud,
    Generic,
}

/// Modules that guests here need, with what those need in turn.
const MODULES: [&str; 14] = [
    "virtio_mmio",
    "virtio_pci",
    "virtio_console",
    "crc32c_generic",
    "libcrc32c",
    "ext4",
    "virtio_blk",
    "virtio_net",
    "overlay",
    "9p",
    "9pnet_virtio",
    "virtiofs",
    "virtio_rng",
    "button",
];

impl Kernel {
    fn name(self) -> &'static str {
        match self {
            Kernel::Cloud => "cloud",
            Kernel::Generic => "generic",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Kernel::Cloud => "linux-image-cloud-amd64",
            Kernel::Generic => "linux-image-amd64",
        }
    }

    fn folder(self) -> Option<PathBuf> {
        Some(cache()?.join("guests").join(self.name()))
    }

    pub fn image(self) -> PathBuf {
        only(&self.folder().expect("a cache").join("boot"), "vmlinuz-").expect("a kernel")
    }

    /// Downloads it once.
    fn fetch(self) -> Option<()> {
        let folder = self.folder()?;
        if folder.join("boot").is_dir() {
            return Some(());
        }
        let work = tempfile::tempdir_in(make(folder.parent()?)).ok()?;
        let depends = Command::new("apt-cache").args(["depends", self.package()]).output().ok()?;
        let depends = String::from_utf8(depends.stdout).ok()?;
        let package =
            depends.lines().find_map(|l| l.trim().strip_prefix("Depends: linux-image"))?;
        let mut get = Command::new("apt-get");
        get.args(["download", &format!("linux-image{package}")]).current_dir(work.path());
        get.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?.success().then_some(())?;
        let deb = only(work.path(), "linux-image")?;
        let into = work.path().join("unpacked");
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(deb).arg(&into).status().ok()?.success().then_some(())?;
        // Somebody else may have been faster.
        let _ = fs::rename(&into, &folder);
        folder.join("boot").is_dir().then_some(())
    }
}

fn make(folder: &Path) -> &Path {
    let _ = fs::create_dir_all(folder);
    folder
}

fn only(folder: &Path, start: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries
        .map(|e| e.path())
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start)))
}

/// Whether guests can be made here; says why not.
pub fn have(kernels: &[Kernel]) -> bool {
    let missing = |program: &str| {
        std::env::var("PATH").is_ok_and(|path| {
            !path
                .split(':')
                .chain(["/usr/sbin", "/sbin"])
                .any(|f| Path::new(f).join(program).exists())
        })
    };
    for program in ["qemu-system-x86_64", "mke2fs", "busybox"] {
        if missing(program) {
            println!("skipped: {program} is not there");
            return false;
        }
    }
    for kernel in kernels {
        if kernel.fetch().is_none() {
            println!("skipped: the kernel {} cannot be had", kernel.package());
            return false;
        }
    }
    true
}

/// Kernel modules by name.
fn modules(kernel: Kernel) -> BTreeMap<String, PathBuf> {
    fn look(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                look(&path, found);
            } else if let Some(name) = entry.file_name().to_string_lossy().strip_suffix(".ko") {
                found.insert(name.replace('-', "_"), path);
            }
        }
    }
    let mut found = BTreeMap::new();
    look(&kernel.folder().expect("a cache").join("lib/modules"), &mut found);
    found
}

/// `name` and what it needs, what is needed first.
fn with_needs(name: &str, all: &BTreeMap<String, PathBuf>, list: &mut Vec<String>) {
    let Some(path) = all.get(name).filter(|_| !list.iter().any(|n| n == name)) else { return };
    let bytes = fs::read(path).expect("a module");
    let at = bytes.windows(9).position(|w| w == b"\0depends=").map(|at| at + 9);
    if let Some(at) = at {
        let needs = bytes[at..].split(|b| *b == 0).next().unwrap_or_default();
        for need in String::from_utf8_lossy(needs).split(',').filter(|n| !n.is_empty()) {
            with_needs(&need.replace('-', "_"), all, list);
        }
    }
    list.push(name.to_owned());
}

/// The initramfs, made once a run.
pub fn initramfs(kernel: Kernel) -> PathBuf {
    static MADE: [OnceLock<PathBuf>; 2] = [const { OnceLock::new() }; 2];
    MADE[kernel as usize]
        .get_or_init(|| {
            let all = modules(kernel);
            let mut list = Vec::new();
            for name in MODULES {
                with_needs(name, &all, &mut list);
            }
            let mut archive = Vec::new();
            for folder in ["lib", "lib/modules"] {
                put(&mut archive, folder, 0o040_755, &[]);
            }
            let mut names = String::new();
            for name in &list {
                let path = format!("lib/modules/{name}.ko");
                put(&mut archive, &path, 0o100_644, &fs::read(&all[name]).expect("a module"));
                names.extend(["/", &path, "\n"]);
            }
            put(&mut archive, "modules", 0o100_644, names.as_bytes());
            put(&mut archive, "init", 0o100_755, &fs::read(PROGRAM).expect("the program"));
            put(&mut archive, "TRAILER!!!", 0, &[]);
            let path = scratch().join(format!("{}.cpio", kernel.name()));
            fs::write(&path, archive).expect("the initramfs");
            path
        })
        .clone()
}

/// Appends a file to an archive of the form `newc`.
fn put(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let inode = archive.len();
    let (size, length) = (bytes.len(), name.len() + 1);
    let head = format!(
        "070701{inode:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{length:08x}{:08x}",
        0, 0, 1, 0, 0, 0, 0, 0, 0
    );
    archive.extend_from_slice(head.as_bytes());
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

/// Files of this run of the tests. Nobody removes them but the one who removes the build.
fn scratch() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    })
}

/// An ext4 with a root of busybox, smaller than the disk that it is on. Made once a run.
pub fn root_image() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let tree = tempfile::tempdir().expect("a folder");
        let at = |path: &str| tree.path().join(path);
        for folder in [
            "bin",
            "sbin",
            "etc/ssh",
            "root",
            "var/lib/stead",
            "proc",
            "sys",
            "dev",
            "run",
            "tmp",
            "mnt",
        ] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        fs::set_permissions(at("root"), fs::Permissions::from_mode(0o700)).expect("a mode");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| Path::new(p).exists());
        fs::copy(busybox.expect("busybox"), at("bin/busybox")).expect("busybox");
        let list = Command::new("busybox").arg("--list").output().expect("busybox");
        for name in String::from_utf8_lossy(&list.stdout).lines().filter(|n| *n != "busybox") {
            symlink("busybox", at("bin").join(name)).expect("a link");
        }
        fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("a file");
        fs::write(at("etc/ssh/ssh_host_ed25519_key"), "of another\n").expect("a file");
        fs::write(at("var/lib/stead/session"), "of another\n").expect("a file");
        // In place of systemd: it starts the unit that it finds.
        let init = "#!/bin/sh\n\
            unit=/run/systemd/system/sysinit.target.wants/stead-agent.service\n\
            $(sed -n 's/^ExecStart=//p' $unit) &\n\
            while :; do wait; usleep 100000; done\n";
        fs::write(at("sbin/init"), init).expect("a file");
        fs::set_permissions(at("sbin/init"), fs::Permissions::from_mode(0o755)).expect("a mode");
        // Whoever writes here must not follow it.
        symlink("/etc/passwd", at("etc/hostname")).expect("a link");
        let image = scratch().join("root.raw");
        let _ = fs::remove_file(&image);
        let mut make = Command::new("/sbin/mke2fs");
        make.args(["-q", "-t", "ext4", "-d"]).arg(tree.path()).arg(&image).arg("32M");
        assert!(make.status().expect("mke2fs").success(), "mke2fs");
        let file = fs::OpenOptions::new().write(true).open(&image).expect("the image");
        file.set_len(96 << 20).expect("a larger disk");
        image
    })
}
