//! The look at the foreground process, with real programs in a real pseudo-terminal.

use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr, tcgetpgrp};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use stead_hold::status::{ProbeResult, Target, TtyModes, look};

struct Pty {
    master: File,
    tty: u64,
    child: Child,
    seen: Vec<u8>,
}

impl Pty {
    fn run(command: &[&str]) -> Pty {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = fs::OpenOptions::new().read(true).write(true).open(&name).unwrap();
        let tty = fs::metadata(&name).unwrap().rdev();
        // setsid(1) makes the terminal the controlling one, which safe Rust cannot do in a child. Whoever runs the tests
        // in the background of a script has them ignore ctrl-c.
        let child = Command::new("env")
            .args(["--default-signal", "setsid", "--ctty"])
            .args(command)
            .env("TERM", "xterm")
            .env("PS1", "$ ")
            .env_remove("ENV")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        Pty { master: File::from(master), tty, child, seen: Vec::new() }
    }

    /// Reads until this text has been printed.
    fn shows(&mut self, text: &str) -> &mut Self {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let n = self.master.read(&mut buffer).expect("the program ended too early");
            self.seen.extend_from_slice(&buffer[..n]);
        }
        self.seen.clear();
        self
    }

    fn types(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).unwrap();
        self
    }

    fn look(&self) -> ProbeResult {
        let modes = tcgetattr(self.master.as_fd()).unwrap().local_modes;
        look(Target {
            first: self.child.id() as i32,
            foreground: tcgetpgrp(self.master.as_fd()).ok().map(|p| p.as_raw_nonzero().get()),
            tty: self.tty,
            modes: TtyModes {
                canonical: modes.contains(LocalModes::ICANON),
                echo: modes.contains(LocalModes::ECHO),
            },
        })
    }

    /// Looks until it is so: the kernel gives no event for "fell asleep".
    #[track_caller]
    fn comes_to(&self, what: impl Fn(&ProbeResult) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let result = self.look();
            if what(&result) {
                return format!("{result:?}");
            }
            assert!(Instant::now() < deadline, "it stays {result:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prompt(r: &ProbeResult) -> bool {
    matches!(r, ProbeResult::AtPrompt(_))
}
fn line(r: &ProbeResult) -> bool {
    matches!(r, ProbeResult::AsksLine(_))
}
fn keys(r: &ProbeResult) -> bool {
    matches!(r, ProbeResult::TakesKeys(_))
}
fn works(r: &ProbeResult) -> bool {
    matches!(r, ProbeResult::Works(_))
}

#[test]
fn bash_at_its_prompt_at_work_and_asking() {
    let mut pty = Pty::run(&["bash", "--norc", "--noprofile"]);
    let evidence = pty.shows("$ ").comes_to(prompt);
    assert!(evidence.contains("bash"), "{evidence}");
    pty.types("sleep 1000\n");
    let evidence = pty.comes_to(|r| works(r) && format!("{r:?}").contains("sleep"));
    assert!(evidence.contains("timer"), "{evidence}");
    pty.types("\x03").shows("$ ").comes_to(prompt);
    pty.types("read -p 'Name? ' x\n").comes_to(line);
}

#[test]
fn a_plain_shell_at_its_prompt_and_a_script_that_asks() {
    let mut pty = Pty::run(&["dash", "-i"]);
    pty.shows("$ ").comes_to(prompt);
    pty.types("sh -c 'printf \"Continue? [Y/n] \"; read x; exec sleep 1000'\n");
    pty.shows("? [Y/n] ").comes_to(line);
    pty.types("y\n").comes_to(works);
}

#[test]
fn a_question_of_python_and_its_prompt() {
    let mut pty = Pty::run(&["python3", "-c", "import time; input('name? '); time.sleep(1000)"]);
    pty.shows("name? ").comes_to(line);
    pty.types("x\n").comes_to(works);
    let mut pty = Pty::run(&["python3", "-q"]);
    pty.shows(">>> ").comes_to(keys);
}

#[test]
fn a_password_is_asked_without_echo() {
    let mut pty = Pty::run(&["sh", "-c", "printf 'Password: '; stty -echo; read x"]);
    let unseen = |r: &ProbeResult| line(r) && format!("{r:?}").contains("not show");
    let evidence = pty.shows("Password: ").comes_to(unseen);
    assert!(evidence.contains("sh ("), "{evidence}");
}

#[test]
fn vim_and_less_take_keys() {
    let mut pty = Pty::run(&["vim", "-u", "NONE", "-N", "/etc/passwd"]);
    pty.shows("root").comes_to(keys);
    // A pipeline whose leader has ended: less reads the terminal by /dev/tty.
    let mut pty = Pty::run(&["bash", "--norc", "-ic", "cat /etc/services /etc/services | less"]);
    pty.shows(":").comes_to(keys);
}

#[test]
fn an_event_loop_with_sockets_cannot_be_told_apart() {
    let script = "
        const net = require('net');
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            net.connect(server.address().port);
            process.stdin.setRawMode(true); process.stdin.resume();
            console.log('up');
        });";
    let mut pty = Pty::run(&["node", "-e", script]);
    pty.shows("up").comes_to(|r| matches!(r, ProbeResult::Both(_)));
    let quiet = "process.stdin.setRawMode(true).resume(); console.log('up')";
    let mut pty = Pty::run(&["node", "-e", quiet]);
    pty.shows("up").comes_to(keys);
}

#[test]
fn a_busy_loop_is_work() {
    let mut pty = Pty::run(&["sh", "-c", "echo up; while :; do :; done"]);
    pty.shows("up").comes_to(works);
}
