//! Images of virtual machines, made of real packages, and booted by a real QEMU that emulates the processor.

mod common;

use common::images;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use stead_engines::debian::Tools;
use stead_engines::qemu::image::cpio::Archive;
use stead_engines::qemu::image::seed::{self, Seed};
use stead_engines::qemu::image::{
    Arch, Guest, GuestFiles, ImageError, Programs, Request, check, check_with, ensure,
};

/// Whether all is here for virtual machines; says what is not.
fn able() -> bool {
    let missing = ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "busybox"]
        .into_iter()
        .find(|program| Tools::of_host().find(program).is_none());
    if let Some(program) = missing {
        eprintln!("SKIPPED: there is no {program}");
    } else if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root makes images");
    } else {
        return true;
    }
    false
}

const LIGHT: Request = Request { name: "debian/12", guest: Guest::Light, arch: Arch::X86_64 };

const FULL: Request = Request { guest: Guest::Full, ..LIGHT };

/// An init that does what ours does first, and tells on the console and on the line what it sees.
const INIT: &str = r#"#!/bin/busybox sh
PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
while read -r module; do insmod "$module" || echo "FAILED $module"; done < /modules
for port in /sys/class/virtio-ports/*; do
    if [ "$(cat "$port/name")" = stead.0 ]; then echo hello > "/dev/${port##*/}"; fi
done
mkdir /root; mount -o noinit_itable /dev/ROOT /root
for folder in dev proc sys; do mount -o bind "/$folder" "/root/$folder"; done
echo "FIRST $(wc -l < /modules) LOADED $(wc -l < /proc/modules)"
echo "RELEASE $(uname -r) $(ls /root/lib/modules)"
echo "DEBIAN $(cat /root/etc/debian_version)"
echo "NETWORK $(ls /sys/class/net)"
if [ -e /dev/vda2 ]; then chroot /root growpart /dev/vda 2; fi
chroot /root /sbin/resize2fs /dev/ROOT && echo "SIZE $(df -m /root | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2)"
chroot /root /sbin/modprobe -a br_netfilter wireguard nft_masq veth overlay && echo MODULES
chroot /root git --version
for folder in dev proc sys; do umount "/root/$folder"; done
umount /root && echo UNMOUNTED
poweroff -f
"#;

/// A guest that runs to its end.
struct Booted {
    console: String,
    line: String,
}

impl Booted {
    fn says(&self, text: &str) {
        assert!(self.console.contains(text), "no {text:?} on the console:\n{}", self.console);
    }
}

/// Ends a program at the end of a test, and after some minutes at the latest.
struct Bound(Child);

impl Bound {
    fn of(program: &Child) -> Self {
        let end = format!("timeout 300 sh -c 'read _'; kill -KILL {}", program.id());
        let child = Command::new("sh").args(["-c", &end]).stdin(Stdio::piped()).spawn();
        Bound(child.unwrap())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Files with which [`INIT`] runs, and the folder they are in.
fn with_init(images: &Path, request: &Request) -> (GuestFiles, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    // Files are for the root of the guest, in whatever it is.
    let device = if request.guest == Guest::Light { "vda" } else { "vda2" };
    fs::write(&init, INIT.replace("ROOT", device)).unwrap();
    let programs = Programs { vm: init, hold: "/bin/true".into() };
    let mut files = ensure(images, request, &programs, &|line| eprintln!("{line}")).unwrap();
    // The kernel unpacks one archive after the other.
    let mut bytes = fs::read(&files.initramfs).unwrap();
    let mut more = Archive::new(Vec::new());
    more.folder("bin").unwrap();
    more.program("bin/busybox", &fs::read("/bin/busybox").unwrap()).unwrap();
    bytes.extend(more.finish().unwrap());
    files.initramfs = folder.path().join("initramfs");
    fs::write(&files.initramfs, bytes).unwrap();
    (files, folder)
}

fn layer(files: &GuestFiles, folder: &Path) -> PathBuf {
    let disk = folder.join("disk.qcow2");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&files.base)
        .arg(&disk)
        .arg("8G")
        .status()
        .unwrap();
    assert!(made.success());
    disk
}

fn boot(files: &GuestFiles, folder: &Path, machine: &str) -> Booted {
    let (pc, bus) = (machine == "q35", if machine == "q35" { "pci" } else { "device" });
    let line = folder.join("line");
    let mut qemu = Command::new("timeout");
    qemu.args(["120", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]);
    qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none"]);
    qemu.args(["-serial", "stdio", "-M"]).arg(machine);
    qemu.arg("-kernel").arg(if pc { &files.kernel_q35 } else { &files.kernel_microvm });
    qemu.arg("-initrd").arg(&files.initramfs);
    // Without a clock of its own, a microvm must be told how fast its processor counts.
    if !pc {
        qemu.args(["-bios", "qboot.rom"]);
    }
    let clock = if pc { "" } else { " tsc_early_khz=2000000 tsc=reliable" };
    qemu.args(["-append", &format!("console=ttyS0 quiet panic=-1 nokaslr mitigations=off{clock}")]);
    let disk = format!("file={},if=none,id=root,format=qcow2", layer(files, folder).display());
    qemu.args(["-drive", &disk, "-device", &format!("virtio-blk-{bus},drive=root")]);
    qemu.args(["-chardev", &format!("file,id=line,path={}", line.display())]);
    qemu.args(["-device", &format!("virtio-serial-{bus}")]);
    qemu.args(["-device", "virtserialport,chardev=line,name=stead.0"]);
    qemu.args(["-netdev", "user,id=net,restrict=on"]);
    qemu.args(["-device", &format!("virtio-net-{bus},netdev=net")]);
    let output = qemu.stdin(Stdio::null()).output().unwrap();
    let console = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {console}", output.status);
    Booted { console, line: fs::read_to_string(line).unwrap() }
}

fn comes_up(request: &Request, machine: &str) {
    if !able() {
        return;
    }
    let (files, folder) = with_init(&images(), request);
    let before = fs::metadata(&files.base).unwrap();
    assert_eq!(before.permissions().mode() & 0o777, 0o444);
    let booted = boot(&files, folder.path(), machine);
    assert!(!booted.console.contains("FAILED"), "{}", booted.console);
    assert_eq!(booted.line, "hello\n");
    booted.says(&format!("RELEASE {release} {release}", release = files.release));
    booted.says("DEBIAN 12.");
    booted.says("NETWORK eth0");
    booted.says("MODULES");
    booted.says("git version");
    booted.says("UNMOUNTED");
    let size = booted.console.split("SIZE ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let size: u32 = size.and_then(|size| size.parse().ok()).unwrap_or(0);
    assert!(size > 7000, "the root grew to its disk, but has {size} MB: {}", booted.console);
    let after = fs::metadata(&files.base).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn a_light_guest_comes_up_on_q35() {
    comes_up(&LIGHT, "q35");
}

#[test]
fn a_light_guest_comes_up_on_microvm() {
    comes_up(&LIGHT, "microvm,acpi=on,pic=off,pit=off");
}

#[test]
fn the_root_of_a_full_guest_comes_up_without_its_firmware() {
    comes_up(&FULL, "q35");
}

#[test]
fn a_full_guest_comes_up_by_its_firmware() {
    if !able() {
        return;
    }
    let (files, folder) = with_init(&images(), &FULL);
    let agent = folder.path().join("agent");
    fs::write(&agent, "#!/bin/sh\necho \"AGENT $0 $1\" > /dev/ttyS0\nexec sleep infinity\n")
        .unwrap();
    let programs = Programs { vm: agent, hold: "/bin/true".into() };
    let seed = Seed {
        user_data: seed::with_agent("timezone: Europe/Berlin\n"),
        meta_data: "instance-id: one\nlocal-hostname: seeded\n".into(),
        network_config: None,
    };
    let disk = folder.path().join("seed.iso");
    seed::write_with_agent(&disk, &seed, &programs, b"{}").unwrap();
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-accel", "tcg", "-cpu", "max"])
        .args(["-m", "1024", "-display", "none", "-serial", "stdio", "-M", "q35"])
        .args(["-drive", &format!("file={},if=virtio", layer(&files, folder.path()).display())])
        .args(["-drive", &format!("file={},if=virtio,format=raw,readonly=on", disk.display())])
        .args(["-nic", "user,model=virtio-net-pci,restrict=on"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bound = Bound::of(&qemu);
    let mut console = qemu.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut some = [0; 4096];
    while !String::from_utf8_lossy(&shown).contains("seeded login: ")
        || !String::from_utf8_lossy(&shown).contains("AGENT ")
    {
        let count = console.read(&mut some).unwrap();
        assert!(count > 0, "no login:\n{}", String::from_utf8_lossy(&shown));
        shown.extend(&some[..count]);
    }
    drop(bound);
    qemu.wait().unwrap();
    let console = String::from_utf8_lossy(&shown);
    assert!(console.contains("AGENT /usr/local/lib/stead/stead-vm agent"), "{console}");
    assert!(
        console.contains("OpenBSD Secure Shell server") && !console.contains("FAILED"),
        "{console}"
    );
}

#[test]
fn other_programs_make_another_initramfs_and_the_same_make_none() {
    if !able() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("init");
    let programs = Programs { vm: program.clone(), hold: "/bin/true".into() };
    let made = |content: &str| {
        File::create(&program).unwrap().write_all(content.as_bytes()).unwrap();
        ensure(&images(), &LIGHT, &programs, &|line| eprintln!("{line}")).unwrap().initramfs
    };
    let (one, other) = (made("one"), made("other"));
    assert_ne!(one, other);
    let written = fs::metadata(&one).unwrap().modified().unwrap();
    assert_eq!(made("one"), one);
    assert_eq!(fs::metadata(&one).unwrap().modified().unwrap(), written);
    assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o444);
    for more in ["three", "four", "five", "six"] {
        made(more);
    }
    assert!(!one.exists() && made("six").exists(), "old ones go");
}

#[test]
fn what_is_missing_is_said_before_anything_is_made() {
    let images = tempfile::tempdir().unwrap();
    for name in ["host", "debian/1", "ubuntu/24.04", ""] {
        let error = check(images.path(), &Request { name, ..LIGHT }).unwrap_err();
        assert!(matches!(error, ImageError::UnknownGuest(_)), "{error}");
    }
    if !able() {
        return;
    }
    let bin = images.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let tools = Tools { path: bin.clone().into(), ..Tools::of_host() };
    let error = check_with(images.path(), &LIGHT, &tools).unwrap_err().to_string();
    assert!(error.contains("apt install mmdebstrap"), "{error}");
    fs::write(bin.join("mmdebstrap"), "").unwrap();
    let error = check_with(images.path(), &LIGHT, &tools).unwrap_err().to_string();
    assert!(error.contains("apt install e2fsprogs"), "{error}");
    check(images.path(), &LIGHT).unwrap();
    assert_eq!(fs::read_dir(images.path()).unwrap().count(), 1);
}
