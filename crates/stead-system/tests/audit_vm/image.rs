//! The Debian that is audited: made of real packages once, and kept.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Another number for another image.
const NUMBER: u32 = 1;
/// What a declared system has anyway, so that nothing is to be downloaded inside.
const PACKAGES: &str = "systemd,systemd-sysv,libpam-systemd,dbus,udev,openssh-server,sudo,nftables,fail2ban,\
    python3-systemd,unattended-upgrades,auditd,systemd-timesyncd,locales,iproute2,procps,kmod,e2fsprogs,ca-certificates,\
    curl,tzdata,libnss-myhostname,cloud-guest-utils,jq";
/// Modules without which it finds neither its disk nor its line.
const MODULES: [&str; 6] =
    ["virtio_mmio", "virtio_pci", "virtio_console", "virtio_blk", "crc32c_generic", "virtio_rng"];

/// What it boots from.
pub struct Image {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub disk: PathBuf,
}

/// The image, made first if it is not there; `None`, with a word, where that cannot be.
pub fn ensure(program: &Path, scratch: &Path) -> Option<Image> {
    for tool in ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs"] {
        if Command::new(tool).arg("--version").output().is_err() {
            println!("SKIPPED: there is no {tool}");
            return None;
        }
    }
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root makes images");
        return None;
    }
    let folder = images()?.join(format!("audit-debian-12-{NUMBER}"));
    if !folder.join("disk.raw").exists() {
        make(&folder);
    }
    let kernel = folder.join("vmlinuz");
    let initramfs = scratch.join("initramfs");
    fs::write(&initramfs, archive(&folder.join("modules"), program)).unwrap();
    Some(Image { kernel, initramfs, disk: folder.join("disk.raw") })
}

/// Where images are kept from one run to the next.
fn images() -> Option<PathBuf> {
    if let Some(images) = std::env::var_os("STEAD_TEST_IMAGES") {
        return Some(images.into());
    }
    let home = std::env::var_os("HOME")?;
    Some(Path::new(&home).join(".cache/stead-dev/images"))
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn make(folder: &Path) {
    let images = folder.parent().unwrap();
    fs::create_dir_all(images).unwrap();
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(images).unwrap();
    let at = |name: &str| part.path().join(name);
    fs::write(at("settle.sh"), include_str!("settle.sh")).unwrap();
    ok(Command::new("mmdebstrap")
        .args(["--mode=root", "--variant=minbase", "--skip=cleanup/apt/lists"])
        .arg(format!("--include={PACKAGES}"))
        .arg(format!("--customize-hook=sh {} \"$1\"", at("settle.sh").display()))
        .arg("bookworm")
        .arg(at("root")));
    let root = at("root");
    let release = fs::read_dir(root.join("lib/modules")).unwrap().next().unwrap().unwrap();
    let release = release.file_name().into_string().unwrap();
    let boot = root.join("boot").join(format!("vmlinuz-{release}"));
    fs::create_dir(at("done")).unwrap();
    fs::copy(boot, at("done/vmlinuz")).unwrap();
    let modules = modules(&root.join("usr/lib/modules").join(&release));
    fs::create_dir(at("done/modules")).unwrap();
    let mut list = Vec::new();
    for name in MODULES {
        with_needs(name, &modules, &mut list);
    }
    let mut order = String::new();
    for name in &list {
        fs::copy(&modules[name], at("done/modules").join(format!("{name}.ko"))).unwrap();
        order.extend([name, "\n"]);
    }
    fs::write(at("done/modules/order"), order).unwrap();
    let disk = at("done/disk.raw");
    ok(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-L", "root", "-E", "no_copy_xattrs", "-d"])
        .arg(&root)
        .arg(&disk)
        .arg("3G"));
    fs::set_permissions(&disk, fs::Permissions::from_mode(0o444)).unwrap();
    // Somebody else may have been faster.
    let _ = fs::rename(at("done"), folder);
    assert!(folder.join("disk.raw").exists());
}

/// Kernel modules by name.
fn modules(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(modules(&path));
        } else if let Some(name) = entry.file_name().to_string_lossy().strip_suffix(".ko") {
            found.insert(name.replace('-', "_"), path);
        }
    }
    found
}

/// A module and what it needs, what is needed first.
fn with_needs(name: &str, all: &BTreeMap<String, PathBuf>, list: &mut Vec<String>) {
    let Some(path) = all.get(name).filter(|_| !list.iter().any(|known| known == name)) else {
        return;
    };
    let bytes = fs::read(path).unwrap();
    let mark = b"\0depends=";
    if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
        let needs = bytes[at + mark.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
        for need in String::from_utf8_lossy(needs).split(',').filter(|need| !need.is_empty()) {
            with_needs(&need.replace('-', "_"), all, list);
        }
    }
    list.push(name.to_owned());
}

/// The first root: `stead-vm` as its init, and modules.
fn archive(modules: &Path, program: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    for folder in ["lib", "lib/modules"] {
        put(&mut archive, folder, 0o040_755, &[]);
    }
    let mut names = String::new();
    for name in fs::read_to_string(modules.join("order")).unwrap().lines() {
        let path = format!("lib/modules/{name}.ko");
        put(&mut archive, &path, 0o100_644, &fs::read(modules.join(format!("{name}.ko"))).unwrap());
        names.extend(["/", &path, "\n"]);
    }
    put(&mut archive, "modules", 0o100_644, names.as_bytes());
    put(&mut archive, "init", 0o100_755, &fs::read(program).unwrap());
    put(&mut archive, "TRAILER!!!", 0, &[]);
    archive
}

/// Appends a file to an archive of the form `newc`.
fn put(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let inode = archive.len();
    let (size, length) = (bytes.len(), name.len() + 1);
    let zero = 0;
    let head = format!(
        "070701{inode:08x}{mode:08x}{zero:08x}{zero:08x}{:08x}{zero:08x}{size:08x}{zero:08x}{zero:08x}{zero:08x}{zero:08x}{length:08x}{zero:08x}",
        1
    );
    archive.extend_from_slice(head.as_bytes());
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
