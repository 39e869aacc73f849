//! A sandbox that is there for one program: it begins with it, ends with it, and is asked by it.

mod common;

use common::{NOBODY, World, everybody, mounts};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use stead_box::spec::{MAIN_LOG, Main, Running, Tap};

fn main_of(script: &str) -> Main {
    Main {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: [("OWN".to_owned(), "of main".to_owned())].into(),
        devices: vec![],
        grace: 60,
    }
}

fn init_of(running: &Running) -> OwnedFd {
    pidfd_open(Pid::from_raw(running.init).unwrap(), PidfdFlags::empty()).unwrap()
}

fn wait(process: &OwnedFd) {
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)).unwrap(), 1);
}

fn log(world: &World) -> String {
    fs::read_to_string(world.spec.run.join(MAIN_LOG)).unwrap()
}

/// A folder on both sides with a socket on this host; who connects to it from inside is heard.
fn ear(world: &mut World) -> UnixListener {
    let folder = world.make_folder("ear", 0o755);
    let listener = UnixListener::bind(folder.join("socket")).unwrap();
    world.give(&folder.join("socket"));
    world.bind(folder, "/mnt/ear", true, true);
    listener
}

/// Says something to it, from a shell inside, and goes on.
const SAY: &str = "say() { python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(\"/mnt/ear/socket\"); s.send(sys.argv[1].encode())' \"$1\"; }; ";

fn hear(listener: &UnixListener) -> String {
    let mut said = String::new();
    listener.accept().unwrap().0.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_sandbox_ends_with_its_main_program() {
    for who in everybody() {
        let mut world = World::new(who);
        let before = mounts();
        world.spec.env = [("OF".to_owned(), "all".to_owned())].into();
        let script = "echo $OWN, $OF, $container; echo wrong >&2; read line < /tmp/go; exit 7";
        let go = world.make_folder("go", 0o755);
        world.bind(go.clone(), "/mnt/go", true, true);
        let script = format!("mkfifo /tmp/go; mkfifo /mnt/go/fifo; {script}");
        world.spec.main = Some(main_of(&script));
        let running = world.start();
        let init = init_of(&running);
        assert_eq!(world.sh("echo in; cat /proc/1/comm"), "in\nstead-box");
        assert_eq!(world.sh("echo > /tmp/go"), "", "the main program waits");
        wait(&init);
        world.wait_empty();
        assert_eq!(
            log(&world),
            "of main, all, stead\nwrong\nstead-box: the main program ended with status 7\n"
        );
        world.stop();
        assert_eq!(mounts(), before);
        assert_eq!(world.groups(), Vec::<PathBuf>::new());
        // The next one has a log of its own.
        world.spec.main = Some(main_of("kill -KILL $$"));
        wait_gone(&world.start());
        assert_eq!(log(&world), "stead-box: the main program was ended by signal 9\n");
        world.stop();
    }
}

/// It may be gone before it is looked for.
fn wait_gone(running: &Running) {
    if let Ok(init) = pidfd_open(Pid::from_raw(running.init).unwrap(), PidfdFlags::empty()) {
        wait(&init);
    }
}

#[test]
fn stop_asks_the_main_program_alone_and_waits_for_it() {
    for who in everybody() {
        let mut world = World::new(who);
        let ear = ear(&mut world);
        // What it started must not be asked besides: it is what the main program ends in order.
        let script = format!(
            "{SAY} sh -c \"trap 'echo child was asked' TERM; echo \\$\\$ > /tmp/child; while :; do read x < /dev/zero & wait; done\" & \
             trap 'say asked; read line < /tmp/go; echo in order; exit' TERM; mkfifo /tmp/go; say ready; while :; do wait; done"
        );
        world.spec.main = Some(main_of(&script));
        world.start();
        assert_eq!(hear(&ear), "ready");
        let run = world.spec.run.to_str().unwrap().to_owned();
        let mut stop = world.command(&["stop", &run, "--grace", "50"]).spawn().unwrap();
        assert_eq!(hear(&ear), "asked");
        assert_eq!(world.sh("echo > /tmp/go"), "");
        assert!(stop.wait().unwrap().success());
        let log = log(&world);
        assert!(log.contains("in order\n") && !log.contains("child was asked"), "{log}");
        world.wait_empty();

        // One that does not listen: first as long as it may itself, then as long as whoever stops it lets it.
        for (own, outside) in [(1, "50"), (50, "1")] {
            let mut main =
                main_of(&format!("{SAY} trap '' TERM; say ready; while :; do sleep 1000; done"));
            main.grace = own;
            world.spec.main = Some(main);
            world.start();
            assert_eq!(hear(&ear), "ready");
            let out = world.command(&["stop", &run, "--grace", outside]).output().unwrap();
            assert!(out.status.success(), "{out:?}");
            world.wait_empty();
            assert_eq!(self::log(&world).contains("did not end in time"), own == 1);
        }
    }
}

#[test]
fn the_main_program_gets_devices_by_number_and_nothing_else() {
    for who in everybody() {
        let mut world = World::new(who);
        let mut main = main_of(
            "for fd in /proc/self/fd/*; do n=${fd##*/}; test $n -lt 3 || echo $n $(readlink $fd); done; \
             echo $STEAD_DEVICE_FDS ${STEAD_TAP_FD-no tap}; readlink /proc/self/fd/0; cat <&4 | head -c 3 | od -An -tx1",
        );
        main.devices = vec!["/dev/null".into(), "/dev/zero".into()];
        world.spec.main = Some(main);
        wait_gone(&world.start());
        let log = log(&world);
        assert!(log.starts_with("3 /dev/null\n4 /dev/zero\n"), "{log}");
        assert!(log.contains("\n3,4 no tap\n/dev/null\n 00 00 00\n"), "{log}");
        // One more is the shell's own, of the folder that it reads.
        assert!(log.lines().take_while(|line| !line.starts_with("3,4")).count() <= 3, "{log}");
        world.stop();
        for (device, why) in [("/dev/no-such", "No such file"), ("/etc/passwd", "")] {
            world.spec.main.as_mut().unwrap().devices = vec![device.into()];
            let said = world.try_start().unwrap_err();
            assert!(said.contains(device) && said.contains(why), "{said}");
        }
    }
}

#[test]
fn a_main_program_that_cannot_be_executed_is_told_and_nothing_is_left() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.record = Some(world.make_folder("data", 0o700).join("started.json"));
        let before = mounts();
        for (program, why) in [
            ("/no/such/program", "No such file or directory"),
            ("no-such-program", "No such file or directory"),
            ("/etc/passwd", "Permission denied"),
        ] {
            let mut main = main_of("");
            main.command[0] = program.to_owned();
            world.spec.main = Some(main);
            let said = world.try_start().unwrap_err();
            assert!(said.starts_with(&format!("the main program {program}: {why}")), "{said}");
            world.wait_empty();
            assert!(!world.spec.run.join("run.json").exists());
            assert!(!world.path("data/started.json").exists());
            assert_eq!(mounts(), before);
            assert_eq!(world.groups(), Vec::<PathBuf>::new());
        }
        world.spec.main.as_mut().unwrap().command.clear();
        assert!(world.try_start().unwrap_err().contains("no command"));
    }
}

#[test]
fn the_main_program_may_no_more_than_whoever_enters() {
    for who in everybody() {
        let mut world = World::new(who);
        let look = "grep -E '^(Cap|NoNew|Seccomp|Groups|Uid)' /proc/self/status; cat /proc/self/cgroup; umask; ulimit -a; readlink /proc/self/ns/*";
        world.spec.main = Some(main_of(&format!("{look}; echo end; read line < /dev/zero & wait")));
        world.start();
        let entered = world.sh(look);
        let end = Instant::now() + std::time::Duration::from_mins(1);
        let mut own = log(&world);
        while !own.contains("end\n") {
            assert!(Instant::now() < end, "{own}");
            std::thread::yield_now();
            own = log(&world);
        }
        assert_eq!(own.trim_end().trim_end_matches("end").trim_end(), entered);
        world.stop();
    }
}

#[test]
fn what_the_main_program_prints_is_kept_within_bounds() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.main = Some(main_of("seq 1 300000; echo last"));
        wait_gone(&world.start());
        let log = log(&world);
        assert!(log.len() <= 520 * 1024 && log.len() > 200 * 1024, "{}", log.len());
        assert!(
            log.contains(
                "\n299999\n300000\nlast\nstead-box: the main program ended with status 0\n"
            )
        );
        world.stop();
    }
}

#[test]
fn a_launcher_killed_at_any_instant_leaves_no_main_program() {
    for who in everybody() {
        let mut world = World::new(who);
        let began = world.make_folder("began", 0o755);
        world.bind(began.clone(), "/mnt/began", true, true);
        world.spec.main = Some(main_of("echo x >> /mnt/began/file; while :; do sleep 1000; done"));
        let before = mounts();
        let text = serde_json::to_vec(&world.spec).unwrap();
        let starts = Instant::now();
        world.start();
        let whole = starts.elapsed();
        world
            .command(&["stop", world.spec.run.to_str().unwrap(), "--grace", "0"])
            .output()
            .unwrap();
        let _ = fs::remove_file(began.join("file"));
        let (mut early, mut late) = (0, 0);
        for n in 0..25u32 {
            let mut launcher = world
                .command(&["start"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            launcher.stdin.take().unwrap().write_all(&text).unwrap();
            // The instant is the point of this test.
            let instant = Timespec::try_from(whole * n / 21).unwrap();
            let handle = pidfd_open(Pid::from_child(&launcher), PidfdFlags::empty()).unwrap();
            poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&instant)).unwrap();
            launcher.kill().unwrap();
            launcher.wait().unwrap();
            if world.spec.run.join("run.json").exists() {
                late += 1;
                let run = world.spec.run.to_str().unwrap();
                let out = world.command(&["stop", run, "--grace", "0"]).output().unwrap();
                assert!(out.status.success(), "{out:?}");
                let _ = fs::remove_file(began.join("file"));
            } else {
                early += 1;
                world.wait_empty();
                assert!(!began.join("file").exists(), "it ran before run.json was written");
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
fn a_socket_made_inside_in_a_shared_folder_is_reached_from_the_host() {
    for who in everybody() {
        let mut world = World::new(who);
        let ear = ear(&mut world);
        let folder = world.make_folder("sockets", 0o755);
        world.bind(folder.clone(), "/mnt/sockets", true, true);
        // As disks are: of the host's root (or user), one closed to others, one that nobody may write.
        for (name, mode) in [("frozen", 0o444), ("own", 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            let file = world.make_file(&format!("sockets/{name}"), "disk\n");
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let script = format!(
            "{SAY} cat /mnt/sockets/frozen; echo more >> /mnt/sockets/own; exec python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.bind(\"/mnt/sockets/keeper\"); s.listen()
e = socket.socket(socket.AF_UNIX); e.connect(\"/mnt/ear/socket\"); e.send(b\"ready\"); e.close()
while True:
    c, _ = s.accept(); c.send(b\"hello\"); c.close()'"
        );
        world.spec.main = Some(main_of(&script));
        world.start();
        assert_eq!(hear(&ear), "ready");
        assert!(log(&world).starts_with("disk\n"), "{}", log(&world));
        assert_eq!(fs::read_to_string(folder.join("own")).unwrap(), "disk\nmore\n");
        let socket = folder.join("keeper");
        let mut said = String::new();
        UnixStream::connect(&socket).unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        assert_eq!(
            as_user(&socket),
            if who == common::Who::User { "hello" } else { "refused" },
            "{who:?}"
        );
        world.stop();
    }
}

/// Connects as an ordinary user, to whom root's machines are closed.
fn as_user(socket: &Path) -> String {
    let code = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1]); print(s.recv(9).decode())\nexcept PermissionError: print('refused')";
    let mut command = Command::new("python3");
    command.args(["-c", code]).arg(socket);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

/// A machine that prints a line at its serial port and turns itself off.
fn boot_sector() -> Vec<u8> {
    let mut code = vec![0xba, 0xf8, 0x03];
    code.extend(b"it runs\n".iter().flat_map(|byte| [0xb0, *byte, 0xee]));
    // Port 0xf4 is `isa-debug-exit`; then it halts.
    code.extend([0xb0, 0, 0xba, 0xf4, 0, 0xee, 0xf4, 0xeb, 0xfd]);
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code.resize(1 << 20, 0);
    code
}

const QEMU: &str = "qemu-system-x86_64 -M q35,memory-backend=m -m 64 -object memory-backend-memfd,id=m,size=64M,share=on \
    -accel tcg -display none -monitor none -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 \
    -qmp unix:/mnt/disks/qmp,server=on,wait=off -drive if=none,id=d,file=/mnt/disks/disk.qcow2,format=qcow2 \
    -device virtio-blk-pci,drive=d";

#[test]
fn qemu_runs_in_a_sandbox() {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !there("qemu-system-x86_64") || !there("qemu-img") {
        println!("skipped: QEMU is not installed");
        return;
    }
    for who in everybody() {
        let mut world = World::new(who);
        let disks = world.make_folder("disks", 0o700);
        fs::write(disks.join("base.raw"), boot_sector()).unwrap();
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "disk.qcow2"])
            .current_dir(&disks)
            .status();
        assert!(made.unwrap().success());
        for (name, mode) in [("base.raw", 0o444), ("disk.qcow2", 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(disks.join(name), fs::Permissions::from_mode(mode)).unwrap();
            world.give(&disks.join(name));
        }
        world.bind(disks, "/mnt/disks", true, true);
        let tap = who == common::Who::Root && fs::File::open("/dev/net/tun").is_ok();
        let card = if tap {
            "-netdev tap,id=n,fd=$STEAD_TAP_FD -device virtio-net-pci,netdev=n"
        } else {
            "-nic none"
        };
        world.spec.net.as_mut().unwrap().tap = tap.then(Tap::default);
        world.spec.main =
            Some(main_of(&format!("{QEMU} {card}; echo status $?; ls /sys/class/net")));
        wait_gone(&world.start());
        let log = log(&world);
        let shown = if tap { "lo\nvm0\n" } else { "lo\n" };
        assert!(
            log.contains("it runs\n") && log.contains(&format!("status 1\n{shown}")),
            "{who:?}: {log}"
        );
        world.stop();
    }
}

#[test]
fn a_tap_that_cannot_be_had_is_told() {
    for who in everybody() {
        let mut world = World::new(who);
        world.spec.net.as_mut().unwrap().tap = Some(Tap::default());
        let said = world.try_start().unwrap_err();
        assert!(said.contains("for a main program"), "{said}");
        world.spec.main = Some(main_of("echo $STEAD_TAP_FD; readlink /proc/self/fd/3"));
        if world.may_open("/dev/net/tun") {
            wait_gone(&world.start());
            assert!(log(&world).starts_with("3\n/dev/net/tun\n"), "{}", log(&world));
            world.stop();
        } else {
            let said = world.try_start().unwrap_err();
            assert!(
                said.contains("/dev/net/tun") && said.contains("must be able to open it"),
                "{said}"
            );
            world.wait_empty();
        }
    }
}
