//! A Debian in a real QEMU, always emulated (TCG), entered by `stead-vm exec`.

use super::image::{Image, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use stead_vm::guest::config::{Config, Guest as Kind, Root};
use stead_vm::line::host::{Keeper, relay};

/// After how long a test gives up. Nothing is measured by it.
const LONG: Duration = Duration::from_mins(3);

/// `stead-vm`, beside this test.
fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_BIN_EXE_stead-system"));
    let program = own.with_file_name("stead-vm");
    if !program.exists() {
        println!("SKIPPED: there is no stead-vm: cargo build -p stead-vm");
        return None;
    }
    Some(program)
}

/// A guest that runs.
pub struct Guest {
    qemu: Child,
    program: PathBuf,
    dir: tempfile::TempDir,
}

struct Told {
    config: Config,
    ready: Sender<()>,
}

impl Keeper for Told {
    fn config(&mut self) -> Config {
        self.config.clone()
    }

    fn ready(&mut self) {
        let _ = self.ready.send(());
    }
}

impl Guest {
    /// One that is up; `None`, with a word, where that cannot be.
    pub fn up() -> Option<Self> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap();
        let Image { kernel, initramfs, disk } = ensure(&program, dir.path())?;
        let path = |name: &str| dir.path().join(name);
        let layer = path("disk.qcow2");
        let mut image = Command::new("qemu-img");
        image.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(&disk).arg(&layer);
        assert!(image.status().unwrap().success());
        let line = UnixListener::bind(path("line")).unwrap();
        fcntl_setfd(&line, FdFlags::empty()).unwrap();
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "768"]);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        qemu.arg("-serial").arg(format!("file:{}", path("console").display()));
        qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
        qemu.args([
            "-append",
            "console=ttyS0 panic=-1 quiet nokaslr mitigations=off cryptomgr.notests",
        ]);
        qemu.args(["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"]);
        let fd = line.as_raw_fd();
        qemu.args(["-chardev", &format!("socket,id=line,fd={fd},server=on,wait=off")]);
        qemu.args(["-device", "virtserialport,chardev=line,name=stead.0"]);
        let drive = format!("if=none,id=root,format=qcow2,cache=unsafe,file={}", layer.display());
        qemu.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=root,serial=root"]);
        let qemu = qemu.stdin(Stdio::null()).spawn().unwrap();
        drop(line);
        let agents = UnixListener::bind(path("agent")).unwrap();
        let port = UnixStream::connect(path("line")).unwrap();
        let config = Config {
            hostname: "box".into(),
            machine_id: "0123456789abcdef0123456789abcdef".into(),
            root: Root { device: "/dev/vda".into(), ..Root::default() },
            guest: Kind::Full,
            ..Config::default()
        };
        let (ready, is_ready) = channel();
        std::thread::spawn(move || {
            let _ = relay(&port, &agents, &mut Told { config, ready });
        });
        let guest = Guest { qemu, program, dir };
        let came = is_ready.recv_timeout(LONG);
        assert!(came.is_ok(), "it does not come up: {}", guest.console());
        guest.try_sh("systemctl is-system-running --wait");
        Some(guest)
    }

    fn console(&self) -> String {
        let console = std::fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&console).into_owned()
    }

    /// Runs a command inside with this input.
    pub fn run(&self, command: &[&str], input: &[u8]) -> Output {
        let mut exec = Command::new(&self.program);
        exec.arg("exec").arg(self.dir.path().join("agent")).arg("--").args(command);
        exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = exec.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_owned();
        let feeder = std::thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    /// Runs a line of shell inside.
    pub fn try_sh(&self, line: &str) -> Output {
        self.run(&["/bin/bash", "-c", line], &[])
    }

    /// Runs a line of shell inside, which must succeed. What it printed.
    pub fn sh(&self, line: &str) -> String {
        let output = self.try_sh(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {:?}: {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
