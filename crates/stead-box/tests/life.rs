//! How a sandbox begins, is entered and ends, and that nothing of it stays.

mod common;

use common::{Who, World, everybody, mounts, root};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn exec_hands_on_status_signals_environment_and_folder() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        let status = |args: &[&str]| world.exec(args).status.code();
        assert_eq!(status(&["--", "true"]), Some(0));
        assert_eq!(status(&["--", "sh", "-c", "exit 42"]), Some(42));
        assert_eq!(status(&["--", "sh", "-c", "kill -KILL $$"]), Some(128 + 9));
        assert_eq!(status(&["--", "no-such-program"]), Some(127));
        assert_eq!(status(&["--", "/etc/hostname"]), Some(126));
        assert_eq!(status(&["--cwd", "/no/such", "--", "true"]), Some(125));
        let out = world
            .exec_command(&[
                "--cwd", "/usr/bin", "--env", "A=b c", "--env", "HOME=/x", "--", "sh", "-c",
                "pwd; env",
            ])
            .env("SECRET", "of the caller")
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "/usr/bin");
        for wanted in ["A=b c", "HOME=/x", "container=stead"] {
            assert!(lines.contains(&wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("SECRET") && text.contains("PATH=/usr"), "{text}");
        let bare = world.exec(&["--clear-env", "--env", "ONLY=this", "--", "env"]);
        assert_eq!(String::from_utf8(bare.stdout).unwrap(), "ONLY=this\n");
        world.stop();
        let out = world.exec(&["--", "true"]);
        assert_eq!(out.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&out.stderr).contains("no sandbox runs here"));
    }
}

#[test]
fn whoever_enters_has_the_environment_of_the_sandbox() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.env = [("OF", "it"), ("HOME", "/it")].map(|(n, v)| (n.into(), v.into())).into();
        world.start();
        let said = |args: &[&str]| {
            let out = world.exec(args);
            assert!(out.status.success(), "{args:?}: {out:?}");
            String::from_utf8(out.stdout).unwrap()
        };
        let text = said(&["--env", "HOME=/mine", "--", "env"]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"OF=it") && lines.contains(&"HOME=/mine"), "{text}");
        assert!(!lines.contains(&"HOME=/it"), "{text}");
        assert!(said(&["--", "env"]).lines().any(|line| line == "HOME=/it"));
        assert_eq!(said(&["--clear-env", "--", "env"]), "");
        let changed = [("OF".to_owned(), "another".to_owned())].into();
        stead_box::enter::set_environment(&world.spec.run, &changed).unwrap();
        // This test may be another user.
        world.give(&world.spec.run.join("run.json"));
        let text = said(&["--", "env"]);
        assert!(text.contains("OF=another\n") && !text.contains("HOME=/it"), "{text}");
        world.stop();
        stead_box::enter::set_environment(&world.spec.run, &changed).unwrap();
        assert!(!world.spec.run.join("run.json").exists());
    }
}

#[test]
fn sys_shows_the_network_of_the_sandbox_and_not_that_of_the_host() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        let said = world.exec(&["--", "ls", "/sys/class/net"]).stdout;
        assert_eq!(String::from_utf8(said).unwrap(), "lo\n");
        world.stop();
    }
}

#[test]
fn exec_hands_on_signals_and_leaves_no_descriptor_open() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        let script = "trap 'echo told; exit 5' TERM; echo ready; while :; do read x < /dev/zero & wait; done";
        let mut child = world
            .exec_command(&["--", "bash", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut line = [0u8; 6];
        out.read_exact(&mut line).unwrap();
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
        // A descriptor that the caller forgot to close.
        let leak = fs::File::open("/").unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        let mut command = world.exec_command(&[
            "--",
            "sh",
            "-c",
            "ls /proc/self/fd | wc -w; ls -l /proc/self/fd",
        ]);
        let said =
            String::from_utf8(command.stdin(Stdio::null()).output().unwrap().stdout).unwrap();
        assert!(said.starts_with("4\n") && !said.contains(" -> /\n"), "{said}");
        world.stop();
    }
}

#[test]
fn the_first_process_takes_in_the_dead() {
    for who in everybody() {
        let world = World::new(who);
        world.start();
        // The grandchild's parent ends first; its end is told by the pipe that it holds.
        let said = world.sh("sh -c 'sleep 0.01 & :' | cat; true");
        assert_eq!(said, "");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let zombies = world.sh("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l");
            if zombies == "0" {
                break;
            }
            assert!(Instant::now() < end, "{zombies} zombies stay");
        }
        world.stop();
    }
}

#[test]
fn stop_asks_first_and_kills_then() {
    for who in everybody() {
        let mut world = World::new(who);
        let told = world.make_folder("told", 0o755);
        world.bind(told.clone(), "/tmp/told", true, true);
        world.start();
        let script =
            "trap 'echo yes > /tmp/told/file; exit' TERM; echo ready; while :; do sleep 0.05; done";
        let mut polite = world.exec_command(&["--", "sh", "-c", script]);
        let mut polite = polite.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        polite.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        world.stop();
        polite.wait().unwrap();
        assert_eq!(fs::read_to_string(told.join("file")).unwrap(), "yes\n");

        world.start();
        let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
        let mut deaf = world.exec_command(&["--", "sh", "-c", script]);
        let mut deaf = deaf.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        deaf.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let run = world.spec.run.to_str().unwrap();
        let out = world.command(&["stop", run, "--grace", "0.2"]).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        assert_eq!(deaf.wait().unwrap().code(), Some(128 + 9));
    }
}

#[test]
fn nothing_is_left_after_stop() {
    for who in everybody() {
        let before = mounts();
        let world = World::new(who);
        let running = world.start();
        assert!(world.try_start().unwrap_err().contains("runs already"));
        assert_eq!(world.processes().len(), 2, "the first process and the network's");
        assert_eq!(mounts(), before, "nothing of it is seen by others");
        if who == Who::Root {
            assert_eq!(
                running.cgroups.iter().filter(|g| g.exists()).count(),
                running.cgroups.len()
            );
        }
        world.stop();
        world.wait_empty();
        assert_eq!(mounts(), before);
        assert_eq!(world.groups(), Vec::<PathBuf>::new());
        let left: Vec<_> =
            fs::read_dir(&world.spec.run).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(left.iter().all(|n| n != "run.json"), "{left:?}");
        world.stop();
    }
}

/// Two over one layer would damage it.
#[test]
fn one_that_is_recorded_is_not_started_again_in_another_run_folder() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.record = Some(world.make_folder("data", 0o700).join("started.json"));
        let running = world.start();
        let second = world.make_folder("run2", 0o700);
        let first = std::mem::replace(&mut world.spec.run, second);
        let why = world.try_start().unwrap_err();
        let said = format!("test runs already: process {}, in {}", running.init, first.display());
        assert_eq!(why, said);
        let second = std::mem::replace(&mut world.spec.run, first);
        assert_eq!(world.sh("echo yes"), "yes");
        world.stop();
        world.spec.run = second;
        world.start();
        world.stop();
    }
}

#[test]
fn a_launcher_killed_at_any_instant_leaves_nothing() {
    for who in everybody() {
        let world = World::new(who);
        let before = mounts();
        let text = serde_json::to_vec(&world.spec).unwrap();
        let begun = Instant::now();
        world.start();
        let whole = begun.elapsed();
        world.stop();
        let (mut early, mut late) = (0, 0);
        for n in 0..30u32 {
            let mut launcher = world
                .command(&["start"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            launcher.stdin.take().unwrap().write_all(&text).unwrap();
            // The instant is the point of this test; a launcher that is done sooner is not waited for.
            let instant = Timespec::try_from(whole * n / 25).unwrap();
            let handle = pidfd_open(Pid::from_child(&launcher), PidfdFlags::empty()).unwrap();
            poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&instant)).unwrap();
            launcher.kill().unwrap();
            launcher.wait().unwrap();
            if world.spec.run.join("run.json").exists() {
                late += 1;
                let run = world.spec.run.to_str().unwrap();
                let out = world.command(&["stop", run, "--grace", "20"]).output().unwrap();
                assert!(out.status.success(), "{out:?}");
            } else {
                early += 1;
            }
            world.wait_empty();
            assert_eq!(mounts(), before);
            stead_box::cgroup::remove(&world.groups()).unwrap();
        }
        println!("{who:?}: killed {early} times before the commit, {late} times after");
        assert!(early > 0);
    }
}

#[test]
fn proc_and_sys_are_closed_and_devices_cannot_be_made() {
    for who in everybody() {
        let world = World::new(who);
        let running = world.start();
        let script = "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger \
            /sys/kernel/uevent_helper /proc/sys/net/ipv4/ip_forward /proc/irq/default_smp_affinity; do \
            test ! -e $f || (echo 1 > $f) 2>/dev/null && echo wrote $f; done; \
            head -c1 /proc/kcore 2>/dev/null | wc -c; ls /sys/firmware | wc -l; \
            umount /proc/sys 2>/dev/null && echo unmounted; mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; \
            mount -t tmpfs none /mnt 2>/dev/null && echo mounted; \
            mknod /tmp/disk b 254 0 2>/dev/null && head -c1 /tmp/disk && echo read; \
            mknod /etc/disk b 254 0 2>/dev/null && head -c1 /etc/disk && echo read; \
            echo end";
        let said = world.sh(script);
        let said: Vec<&str> = said
            .lines()
            .filter(|l| {
                !l.starts_with("wrote") || {
                    // A path that is not there counts as written by the script's `||`.
                    let path = l.trim_start_matches("wrote ");
                    world.sh(&format!("test -e {path} && echo there")) == "there"
                }
            })
            .collect();
        assert_eq!(said, ["0", "0", "end"], "{who:?}");
        // Ids alone would refuse these writes already; the mounts are there for the day they do not.
        let covered = world.sh(
            "awk '$2 == \"/proc/sys\" || $2 == \"/proc/irq\" || $2 == \"/sys\" { print $2, substr($4, 1, 2) }' /proc/self/mounts | sort",
        );
        assert_eq!(covered, "/proc/irq ro\n/proc/sys ro\n/sys ro", "{who:?}");
        // Nobody outside is seen, so nobody can be traced or signalled.
        let outside = std::process::id();
        let seen = world.sh(&format!(
            "kill -0 {outside} 2>&1; ls -d /proc/{outside} 2>&1; ls -d /proc/[0-9]* | wc -l"
        ));
        assert!(seen.contains("No such process") && seen.contains("cannot access"), "{seen}");
        for kind in ["pid", "mnt", "net", "uts", "ipc", "user", "cgroup"] {
            let inside = world.sh(&format!("readlink /proc/self/ns/{kind}"));
            let outside = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            assert!(
                inside.starts_with(kind) && inside != outside.to_str().unwrap(),
                "{kind} {inside}"
            );
        }
        let status = fs::read_to_string(format!("/proc/{}/status", running.init)).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert_eq!(world.sh("grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1");
        world.stop();
    }
}

#[test]
fn a_set_user_id_program_made_inside_is_out_of_reach_outside() {
    if !root() {
        return;
    }
    let world = World::new(Who::Root);
    world.start();
    assert_eq!(world.sh("cp /usr/bin/id /srv/id && chmod 4755 /srv/id && echo made"), "made");
    let program = world.path("layer/fs/srv/id");
    let meta = fs::metadata(&program).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o4000), (0, 0o4000), "it would be root's");
    let tried = Command::new(&program).uid(common::NOBODY).gid(common::NOBODY).output();
    assert_eq!(tried.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    // Also when whoever made the layer left it open.
    world.stop();
    let layer = world.path("layer");
    fs::set_permissions(&layer, fs::Permissions::from_mode(0o755)).unwrap();
    world.start();
    assert_eq!(fs::metadata(&layer).unwrap().mode() & 0o777, 0o700);
    world.stop();
}

#[test]
fn the_network_process_ends_with_the_first_process() {
    for who in everybody() {
        let world = World::new(who);
        let running = world.start();
        let init = Pid::from_raw(running.init).unwrap();
        rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
        world.wait_empty();
        world.stop();
    }
}

#[test]
fn the_network_process_counts_for_the_machine_and_does_not_stand_still_with_it() {
    for who in everybody() {
        let world = World::new(who);
        let running = world.start();
        let net = running.net.unwrap();
        let places = fs::read_to_string(format!("/proc/{net}/cgroup")).unwrap();
        for group in &running.cgroups {
            let v1_freezer = group.join("freezer.state").exists();
            let name = group.file_name().unwrap().to_str().unwrap();
            let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap();
            let counted = processes.lines().any(|pid| pid == net.to_string());
            assert_eq!(counted, !v1_freezer, "{}: {processes} {places}", group.display());
            assert!(places.contains(name), "{places}");
        }
        if running.cgroups.is_empty() {
            println!("skipped for {who:?}: no cgroups");
        } else {
            stead_box::cgroup::freeze(&running.cgroups).unwrap();
            let stats = stead_box::net::client::stats(&world.spec.run.join("net.sock"));
            stead_box::cgroup::thaw(&running.cgroups).unwrap();
            assert_eq!(stats.unwrap().connections, 0);
            assert_eq!(world.sh("echo well"), "well");
        }
        world.stop();
    }
}

/// Starts its arguments on a kernel without Landlock, or what looks like one.
const NO_LANDLOCK: &str = r"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 444) + op(6, 0, 0, 0x50000 | 38) + op(6, 0, 0, 0x7fff0000)
program = ctypes.create_string_buffer(code)
filter = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(program)))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter, 0, 0): sys.exit('no filter')
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn a_network_process_that_could_open_files_is_told_of() {
    for who in everybody() {
        let world = World::new(who);
        let mut command = Command::new("python3");
        command.args(["-c", NO_LANDLOCK]).arg(world.program()).arg("start");
        if who == Who::User && rustix::process::geteuid().is_root() {
            command.uid(common::NOBODY).gid(common::NOBODY);
        }
        let told = |notes: &[String]| notes.iter().any(|note| note.contains("Landlock"));
        assert!(told(&world.start_with(command).unwrap().notes), "{who:?}");
        world.stop();
        assert!(!told(&world.start().notes), "{who:?}");
        world.stop();
    }
}
