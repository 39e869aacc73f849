//! A guest in a real QEMU, always emulated (TCG): kernel of Debian's, this crate's program as `/init`, a root of busybox.
#![allow(dead_code)]

mod files;

pub use files::{Kernel, have, root_image};

use files::initramfs;
use rustix::io::{FdFlags, fcntl_setfd};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stead_vm::client;
use stead_vm::guest::config::{Config, Root};
use stead_vm::line::host::{Keeper, relay};
use stead_vm::line::spoken::Request;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_stead-vm");

/// After how long a test gives up. Nothing is measured by it.
pub const LONG: Duration = Duration::from_mins(2);

/// The two kinds of machine.
pub const MACHINES: [&str; 2] = ["microvm,acpi=on", "q35"];

/// How a guest is made.
pub struct Boot {
    pub machine: &'static str,
    pub kernel: Kernel,
    pub config: Config,
    /// More arguments for QEMU; `DEV` in them is what devices of this machine are called by (`pci`, `device`).
    pub extra: Vec<String>,
    /// The disk, if it is to outlive the guest.
    pub disk: Option<PathBuf>,
    /// More files of the root, made from this folder.
    pub with: Option<PathBuf>,
}

impl Boot {
    pub fn new(machine: &'static str) -> Self {
        let config = Config {
            hostname: "guest".into(),
            machine_id: "0123456789abcdef0123456789abcdef".into(),
            root: Root { device: "/dev/vda".into(), ..Root::default() },
            ..Config::default()
        };
        Boot { machine, kernel: Kernel::Cloud, config, extra: Vec::new(), disk: None, with: None }
    }

    /// Starts it, and waits until its agent is there.
    pub fn ready(self) -> Guest {
        let guest = self.start();
        guest.expect(&Word::Ready);
        guest
    }

    /// Starts it.
    pub fn start(self) -> Guest {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let disk = self.disk.clone().unwrap_or_else(|| {
            let disk = path("root.raw");
            fs::copy(root_image(), &disk).expect("a copy of the root");
            disk
        });
        let listener = UnixListener::bind(path("line")).expect("a socket");
        fcntl_setfd(&listener, FdFlags::empty()).expect("a descriptor for QEMU");
        let pci = self.machine.starts_with("q35");
        let dev = if pci { "pci" } else { "device" };
        let mut append =
            String::from("console=ttyS0 panic=-1 quiet loglevel=3 nokaslr mitigations=off");
        if !pci {
            let _ = write!(
                append,
                " tsc_early_khz={} tsc=reliable",
                stead_vm::tsc::kilohertz().expect("a counter")
            );
        }
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", self.machine, "-accel", "tcg,thread=single", "-cpu", "max", "-m", "256"]);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        qemu.args(["-serial", "stdio"]);
        qemu.arg("-kernel").arg(self.kernel.image());
        qemu.arg("-initrd").arg(initramfs(self.kernel));
        qemu.arg("-append").arg(&append);
        qemu.args(["-device", &format!("virtio-serial-{dev}")]);
        let fd = listener.as_raw_fd();
        qemu.args(["-chardev", &format!("socket,id=line,fd={fd},server=on,wait=off")]);
        qemu.args(["-device", "virtserialport,chardev=line,name=stead.0"]);
        let mut drive = OsString::from("if=none,id=root,format=raw,cache=unsafe,file=");
        drive.push(&disk);
        qemu.arg("-drive").arg(drive);
        qemu.args(["-device", &format!("virtio-blk-{dev},drive=root,serial=root")]);
        let qmp = UnixListener::bind(path("qmp")).expect("a socket");
        fcntl_setfd(&qmp, FdFlags::empty()).expect("a descriptor for QEMU");
        let fd = qmp.as_raw_fd();
        qemu.args(["-chardev", &format!("socket,id=qmp,fd={fd},server=on,wait=off")]);
        qemu.args(["-mon", "chardev=qmp,mode=control"]);
        qemu.args(self.extra.iter().map(|arg| arg.replace("DEV", dev)));
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = qemu.spawn().expect("QEMU");
        let console = child.stdout.take().expect("its console");
        drop((listener, qmp));
        let (words, heard) = channel();
        let on_console = words.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                eprintln!("console: {line}");
                let _ = on_console.send(Word::Console(line));
            }
            let _ = on_console.send(Word::Over);
        });
        let socket = path("agent.sock");
        let agents = UnixListener::bind(&socket).expect("a socket");
        let mut guest =
            Guest { child, dir, socket, agents, config: self.config, words, heard, relay: None };
        guest.start_relay();
        guest
    }
}

/// What a guest lets know.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// A line on its console.
    Console(String),
    /// Its agent is there.
    Ready,
    /// Its agent is gone.
    Lost,
    /// QEMU has ended.
    Over,
}

/// A guest that runs.
pub struct Guest {
    child: Child,
    dir: tempfile::TempDir,
    /// Where its agent is reached.
    pub socket: PathBuf,
    agents: UnixListener,
    config: Config,
    words: Sender<Word>,
    heard: Receiver<Word>,
    relay: Option<(UnixStream, JoinHandle<()>)>,
}

struct Told {
    config: Config,
    words: Sender<Word>,
}

impl Keeper for Told {
    fn config(&mut self) -> Config {
        self.config.clone()
    }

    fn ready(&mut self) {
        let _ = self.words.send(Word::Ready);
    }

    fn lost(&mut self) {
        let _ = self.words.send(Word::Lost);
    }
}

impl Guest {
    /// Starts the host's end of the line.
    pub fn start_relay(&mut self) {
        let port = UnixStream::connect(self.dir.path().join("line")).expect("QEMU's socket");
        let kept = port.try_clone().expect("a descriptor");
        let agents = self.agents.try_clone().expect("a descriptor");
        let mut told = Told { config: self.config.clone(), words: self.words.clone() };
        let thread =
            std::thread::spawn(move || relay(&port, &agents, &mut told).expect("the relay"));
        self.relay = Some((kept, thread));
    }

    /// Ends it, as if the keeper were killed.
    pub fn stop_relay(&mut self) {
        let (port, thread) = self.relay.take().expect("a relay");
        port.shutdown(std::net::Shutdown::Both).expect("an open line");
        thread.join().expect("the relay ends well");
    }

    /// Gives QEMU orders, one after the other, and waits for the event that is named, if one is.
    pub fn order(&self, orders: &[(&str, Option<&str>)]) {
        let mut qmp = UnixStream::connect(self.path("qmp")).expect("QEMU");
        let mut said = BufReader::new(qmp.try_clone().expect("a descriptor")).lines();
        let mut until = |what: &str| {
            while !said.next().expect("QEMU speaks").expect("text").contains(what) {}
        };
        until("QMP");
        for (order, event) in [("\"qmp_capabilities\"", None)].iter().chain(orders) {
            writeln!(qmp, "{{\"execute\": {order}}}").expect("QEMU reads");
            until(event.unwrap_or("\"return\""));
        }
    }

    /// Waits for a word.
    pub fn expect(&self, word: &Word) {
        self.until(&format!("{word:?}"), |heard| heard == word);
    }

    /// Waits for a word that is as it is to be.
    pub fn until(&self, what: &str, mut is: impl FnMut(&Word) -> bool) {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let word = self.heard.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if is(&word) {
                return;
            }
            assert_ne!(word, Word::Over, "QEMU ended before {what}");
        }
    }

    /// The program `stead-vm exec` with a command, not started yet.
    pub fn exec(&self, command: &[&str]) -> Command {
        self.exec_with(&[], command)
    }

    /// As [`Self::exec`], with options.
    pub fn exec_with(&self, options: &[&str], command: &[&str]) -> Command {
        let mut exec = Command::new(PROGRAM);
        exec.arg("exec").arg(&self.socket).args(options).arg("--").args(command);
        exec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        exec
    }

    /// Runs a line of shell inside, which must succeed. What it printed.
    pub fn sh(&self, line: &str) -> String {
        let output = self.try_sh(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {:?}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a line of shell inside.
    pub fn try_sh(&self, line: &str) -> Output {
        self.exec(&["/bin/sh", "-c", line]).output().expect("stead-vm exec")
    }

    /// Asks the agent.
    pub fn ask(&self, request: &Request) {
        client::ask(&self.socket, request, Some(LONG)).expect("an answer");
    }

    /// A path in a folder that is there as long as the guest.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until QEMU ends. Whether it ended well.
    pub fn wait_end(&mut self) -> bool {
        self.until("the end", |word| *word == Word::Over);
        self.child.wait().expect("QEMU's status").success()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where one may keep something from one run of the tests to the next.
pub fn cache() -> Option<PathBuf> {
    if let Some(cache) = std::env::var_os("STEAD_CACHE") {
        return Some(cache.into());
    }
    let home = || Some(Path::new(&std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.map(|cache| cache.join("stead-dev"))
}
