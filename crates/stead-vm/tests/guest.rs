//! What the host does in guests that boot in a real QEMU.

mod common;

use common::{Boot, Guest, Kernel, LONG, MACHINES, Word, have};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use stead_vm::client;
use stead_vm::line::spoken::Request;

fn guest() -> Option<Guest> {
    have(&[Kernel::Cloud]).then(|| Boot::new(MACHINES[0]).ready())
}

/// Starts a command whose first line, after it has done `first`, is its number inside.
fn numbered(
    guest: &Guest,
    first: &str,
    line: &str,
) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut exec = guest.exec(&["/bin/sh", "-c", &format!("{first}\necho $$; {line}")]);
    let mut client = exec.stdin(Stdio::piped()).spawn().expect("stead-vm exec");
    let mut said = BufReader::new(client.stdout.take().expect("its output"));
    let mut pid = String::new();
    said.read_line(&mut pid).expect("a number");
    (client, said, pid.trim().to_owned())
}

/// Waits inside until process `pid` is gone.
fn until_gone(guest: &Guest, pid: &str) {
    guest.sh(&format!("while kill -0 {pid} 2>/dev/null; do usleep 20000; done"));
}

#[test]
fn a_command_has_streams_status_folder_and_variables() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    for machine in MACHINES {
        let mut boot = Boot::new(machine);
        boot.config.env.insert("OWN".into(), "of the machine".into());
        let guest = boot.ready();
        assert_eq!(guest.sh("echo out; echo $HOME $PWD; hostname"), "out\n/root /root\nguest\n");
        assert_eq!(guest.sh("echo $OWN"), "of the machine\n");
        let output = guest.try_sh("echo wrong >&2; exit 7");
        assert_eq!((output.status.code(), &*output.stderr), (Some(7), &b"wrong\n"[..]));
        let end_of = |command: &[&str]| guest.exec(command).status().expect("a status").code();
        assert_eq!(end_of(&["/bin/sh", "-c", "kill -9 $$"]), Some(128 + 9));
        assert_eq!(end_of(&["no-such-thing"]), Some(127));
        assert_eq!(end_of(&["/etc/passwd"]), Some(126));
        let mut elsewhere = guest.exec_with(
            &["--cwd", "/etc", "--env", "A=b c", "--env", "KEY"],
            &["sh", "-c", "pwd; echo $A $KEY"],
        );
        elsewhere.env("KEY", "of here");
        assert_eq!(elsewhere.output().expect("an output").stdout, b"/etc\nb c of here\n");
        let mut nowhere = guest.exec_with(&["--cwd", "/nowhere"], &["true"]);
        assert_eq!(nowhere.status().expect("a status").code(), Some(125));
    }
}

#[test]
fn all_that_goes_in_comes_out_of_cat() {
    let Some(guest) = guest() else { return };
    let mut lines = String::new();
    for i in 0..100_000 {
        let _ = writeln!(lines, "line {i}");
    }
    let mut client = guest.exec(&["cat"]).stdin(Stdio::piped()).spawn().expect("stead-vm exec");
    let mut input = client.stdin.take().expect("its input");
    let given = lines.clone();
    let feeder =
        std::thread::spawn(move || input.write_all(given.as_bytes()).expect("all goes in"));
    let output = client.wait_with_output().expect("an output");
    feeder.join().expect("all went in");
    assert!(output.status.success());
    assert!(output.stdout == lines.as_bytes(), "{} bytes came", output.stdout.len());
}

#[test]
fn twenty_commands_run_at_once_and_one_that_is_not_read_holds_up_nobody() {
    let Some(guest) = guest() else { return };
    // Its output is not read.
    let (mut stuck, said, _) = numbered(&guest, "", "exec cat /dev/zero");
    let started: Vec<Child> = (0..20)
        .map(|i| {
            let line = format!("read go; seq 2000; echo {i}");
            let mut exec = guest.exec(&["/bin/sh", "-c", &line]);
            exec.stdin(Stdio::piped()).spawn().expect("stead-vm exec")
        })
        .collect();
    for (i, mut client) in started.into_iter().enumerate() {
        client.stdin.take().expect("its input").write_all(b"go\n").expect("it reads");
        let output = client.wait_with_output().expect("an output");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.lines().count(), 2001);
        assert!(text.ends_with(&format!("2000\n{i}\n")));
    }
    drop(said);
    stuck.kill().expect("it runs still");
    stuck.wait().expect("its end");
}

#[test]
fn a_command_at_a_terminal_has_one_of_its_own_with_the_size_of_its_callers() {
    let Some(guest) = guest() else { return };
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let slave = ioctl_tiocgptpeer(&master, flags).expect("a terminal");
    let size = |ws_row, ws_col| Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size(33, 101)).expect("a size");
    let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let line =
        "tty; stty size; trap 'stty size; exit 5' WINCH; echo waits; while :; do read x; done";
    let mut exec = guest.exec(&["/bin/sh", "-c", line]);
    let mut client =
        exec.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("stead-vm exec");
    drop(exec);
    drop(slave);
    let mut screen = File::from(master.try_clone().expect("a descriptor"));
    let mut shown = String::new();
    let mut until = |what: &str| {
        let mut piece = [0; 4096];
        while !shown.contains(what) {
            let n = screen.read(&mut piece).expect("the screen");
            shown.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
        shown.clone()
    };
    let shown = until("waits");
    assert!(shown.contains("/dev/pts/") && shown.contains("33 101"), "{shown}");
    tcsetwinsize(&master, size(40, 90)).expect("a size");
    // It is not the terminal that it belongs to, only the one that it has.
    let pid = rustix::process::Pid::from_child(&client);
    rustix::process::kill_process(pid, rustix::process::Signal::WINCH).expect("it runs");
    until("40 90");
    assert_eq!(client.wait().expect("a status").code(), Some(5));
}

#[test]
fn a_command_is_told_signals_and_ends_with_its_caller() {
    let Some(guest) = guest() else { return };
    let (mut asked, _said, _) =
        numbered(&guest, "trap 'exit 3' TERM", "while :; do usleep 10000; done");
    // What it does not read does not hold up what is said beside it.
    let mut input = asked.stdin.take().expect("its input");
    let feeder = std::thread::spawn(move || input.write_all(&vec![b'x'; 1 << 20]));
    let pid = rustix::process::Pid::from_child(&asked);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(asked.wait().expect("a status").code(), Some(3));
    assert!(feeder.join().expect("a giver").is_err(), "nobody reads it");

    for line in
        ["exec sleep 1000", "trap '' TERM; while :; do usleep 10000; done", "exec cat /dev/zero"]
    {
        let (mut client, _said, pid) = numbered(&guest, "", line);
        client.kill().expect("it runs");
        client.wait().expect("its end");
        until_gone(&guest, &pid);
    }
}

#[test]
fn one_that_is_told_to_end_does_though_nobody_reads_what_it_says() {
    let Some(guest) = guest() else { return };
    let sockets = || std::os::unix::net::UnixStream::pair().expect("sockets");
    for line in ["exec cat /dev/zero", "trap 'exit 3' TERM; while :; do cat /dev/zero & wait; done"]
    {
        for to in ["pipe", "socket"] {
            let mut exec = guest.exec(&["/bin/sh", "-c", &format!("echo $$ >&2; {line}")]);
            let (ours, theirs) = sockets();
            if to == "socket" {
                exec.stdout(std::os::fd::OwnedFd::from(theirs));
            }
            let mut client = exec.spawn().expect("stead-vm exec");
            drop(exec);
            let mut pid = String::new();
            let errors = client.stderr.take().expect("its errors");
            BufReader::new(errors).read_line(&mut pid).expect("a number");
            // Full, since it waits for room there, in the kernel or not.
            let queued = || {
                let out = client.stdout.as_ref().map(std::os::fd::AsFd::as_fd);
                let out = out.unwrap_or(std::os::fd::AsFd::as_fd(&ours));
                rustix::io::ioctl_fionread(out).expect("what is there")
            };
            let mut before = 0;
            loop {
                guest.ask(&Request::Ping);
                let now = queued();
                if now > 0 && now == before {
                    break;
                }
                before = now;
            }
            let process = rustix::process::Pid::from_child(&client);
            rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
            let status = client.wait().expect("its end").code();
            let ended = if line.starts_with("exec") { 128 + 15 } else { 3 };
            assert_eq!(status, Some(ended), "{line} to a {to}");
            until_gone(&guest, pid.trim());
        }
    }
    // And one that nobody answers.
    guest.order(&[("\"stop\"", None)]);
    let waits = guest.exec(&["true"]).spawn().expect("stead-vm exec");
    let process = rustix::process::Pid::from_child(&waits);
    let blocked = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waits.id())).expect("it");
        status.lines().any(|line| line.starts_with("SigBlk:") && !line.ends_with("0000"))
    };
    while !blocked() {
        std::thread::yield_now();
    }
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(waits.wait_with_output().expect("its end").status.code(), Some(128 + 15));
}

#[test]
fn what_a_command_leaves_running_stays_and_keeps_nobody_waiting() {
    let Some(guest) = guest() else { return };
    let pid = guest.sh("sleep 1000 & echo $!");
    guest.sh(&format!("kill -0 {pid}"));
}

#[test]
fn a_port_inside_is_reached_over_the_line() {
    let Some(guest) = guest() else { return };
    assert!(client::connect(&guest.socket, 5000).is_err(), "nobody listens");
    guest.sh("nc -ll -p 5000 -e cat >/dev/null 2>&1 & until grep -q :1388 /proc/net/tcp /proc/net/tcp6; do usleep 20000; done");
    let stream = client::connect(&guest.socket, 5000).expect("a connection");
    let mut stream = std::os::unix::net::UnixStream::from(stream);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut to = stream.try_clone().expect("a descriptor");
    let given = sent.clone();
    let feeder = std::thread::spawn(move || {
        to.write_all(&given).expect("all goes in");
        to.shutdown(std::net::Shutdown::Write).expect("the end goes in");
    });
    let mut came = Vec::new();
    stream.read_to_end(&mut came).expect("it comes back");
    feeder.join().expect("all went in");
    assert!(came == sent, "{} bytes came", came.len());
}

#[test]
fn the_line_begins_anew_when_the_keeper_does() {
    let Some(mut guest) = guest() else { return };
    for _ in 0..5 {
        let (sleeping, _quiet, pid) = numbered(&guest, "", "exec sleep 1000");
        // Frames are under way, and cut short.
        let (flooding, said, _) = numbered(&guest, "", "exec cat /dev/zero");
        guest.stop_relay();
        drop(said);
        guest.start_relay();
        guest.expect(&Word::Ready);
        for client in [sleeping, flooding] {
            let output = client.wait_with_output().expect("an end");
            assert!(!output.status.success());
        }
        until_gone(&guest, &pid);
        guest.ask(&Request::Ping);
    }
}

#[test]
fn the_agent_is_started_again_and_what_runs_stays() {
    let Some(guest) = guest() else { return };
    let pid = guest.sh("setsid sleep 1000 >/dev/null 2>&1 & echo $!");
    // Who asks is a child of the agent.
    let client = guest.try_sh("kill -9 $PPID");
    assert_eq!(client.status.code(), Some(125));
    guest.expect(&Word::Lost);
    guest.expect(&Word::Ready);
    guest.sh(&format!("kill -0 {pid}"));
}

#[test]
fn the_clock_is_set() {
    let Some(guest) = guest() else { return };
    guest.ask(&Request::Clock { ms: 2_000_000_000_000 });
    let now: u64 = guest.sh("date +%s").trim().parse().expect("a number");
    assert!((2_000_000_000..2_000_001_000).contains(&now), "{now}");
}

#[test]
fn nobody_writes_while_the_disks_are_frozen() {
    let Some(guest) = guest() else { return };
    let frozen = client::hold(&guest.socket, &Request::Freeze, LONG).expect("an answer");
    let (client, mut said, pid) = numbered(&guest, "", "echo kept > /root/new; cat /root/new");
    // It waits in the kernel, and goes on when it may.
    guest.sh(&format!("until grep -q 'State:.D' /proc/{pid}/status; do usleep 20000; done"));
    frozen.release().expect("nobody wrote");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "kept\n");
    assert!(client.wait_with_output().expect("an end").status.success());
}

#[test]
fn disks_stand_still_no_longer_than_whoever_wants_them_to_is_there() {
    let Some(mut guest) = guest() else { return };
    let freeze = |guest: &Guest| client::hold(&guest.socket, &Request::Freeze, LONG);
    let write = "echo more >> /root/new; sync; echo done";
    let frozen = freeze(&guest).expect("an answer");
    assert!(freeze(&guest).is_err(), "for somebody else already");
    // It goes away without a word.
    drop(frozen);
    assert_eq!(guest.sh(write), "done\n");
    let frozen = freeze(&guest).expect("an answer");
    guest.stop_relay();
    guest.start_relay();
    guest.expect(&Word::Ready);
    assert_eq!(guest.sh(write), "done\n");
    assert!(frozen.release().is_err(), "somebody wrote");
    // Not even somebody who waits to write, and does not end, is in the way of an end in order.
    let frozen = freeze(&guest).expect("an answer");
    let (client, said, pid) = numbered(&guest, "", "trap '' TERM; echo more >> /root/new");
    guest.sh(&format!("until grep -q 'State:.D' /proc/{pid}/status; do usleep 20000; done"));
    guest.ask(&Request::Down);
    assert!(guest.wait_end(), "QEMU ends well");
    drop((frozen, client, said));
}
