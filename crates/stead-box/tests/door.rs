//! Who enters a sandbox with what, and how they leave it.

mod common;

use common::{NOBODY, Who, World, everybody};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn a_suspended_command_line_does_not_hold_up_the_end() {
    for who in everybody() {
        for (script, grace, status) in
            [("trap 'exit 3' TERM", "20", 3), ("trap '' TERM; setsid sleep 600 &", "0.2", 128 + 9)]
        {
            let world = World::new(who);
            world.start();
            let script = format!("{script}\necho ready; while :; do read x; done");
            let mut child = world
                .exec_command(&["--", "bash", "-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
            let pid = Pid::from_child(&child);
            kill_process(pid, Signal::STOP).unwrap();
            waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
            let run = world.spec.run.to_str().unwrap();
            let out = world.command(&["stop", run, "--grace", grace]).output().unwrap();
            assert!(out.status.success(), "{who:?}: {out:?}");
            assert_eq!(child.wait().unwrap().code(), Some(status), "{who:?}");
        }
    }
}

#[test]
fn files_at_standard_streams_are_carried_as_if_they_were_inside() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        let input = world.make_file("input", &"0123456789abcde\n".repeat(20_000));
        let output = world.make_file("output", "before\n");
        let input = File::open(input).unwrap();
        let append = || File::options().append(true).open(&output).unwrap();
        let run = |script: &str| {
            let mut command = world.exec_command(&["--", "sh", "-c", script]);
            command.stdin(input.try_clone().unwrap()).stdout(append()).stderr(append());
            command.status().unwrap().code()
        };
        // Each command takes up where the one before stopped reading.
        assert_eq!(run("head -c 16; echo to errors >&2; exit 7"), Some(7));
        assert_eq!(run("true"), Some(0));
        assert_eq!(run("head -c 100000 | wc -c; (sleep 600; echo late) & exit 0"), Some(0));
        assert_eq!(run("cat | wc -c"), Some(0));
        let text = std::fs::read_to_string(&output).unwrap();
        assert_eq!(text, "before\n0123456789abcde\nto errors\n100000\n219984\n");
        // Much, to a file and to a pipe at once.
        let big = world.make_file("big", "");
        let mut command = world.exec_command(&["--", "sh", "-c", "seq 100000; seq 100000 >&2"]);
        command.stdin(Stdio::null()).stdout(File::create(&big).unwrap());
        let out = command.stderr(Stdio::piped()).output().unwrap();
        assert!(out.stderr.ends_with(b"\n100000\n"));
        assert_eq!(std::fs::read(&big).unwrap(), out.stderr);
        world.stop();
    }
}

#[test]
fn what_cannot_be_written_outside_is_told() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        let small = world.make_file("small", "");
        // A file that may have no more than a block.
        let run = world.spec.run.to_str().unwrap();
        let script = "ulimit -f 1; trap '' XFSZ; exec \"$@\" > \"$0\"";
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(&small).arg(world.program());
        if who == Who::User && rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let out = command.args(["exec", run, "--", "seq", "100000"]).output().unwrap();
        assert_eq!(out.status.code(), Some(125), "{out:?}");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("cannot be written") && said.contains("too large"), "{said}");
        world.stop();
    }
}
