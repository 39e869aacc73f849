//! What whoever enters a machine brings along: the folder to start in, files of the host, a terminal.

use crate::common::{Terminal, World};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

/// A world for each kind of user that can have machines here, each with the machine `a`.
fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new()];
    if rustix::process::geteuid().is_root() {
        let mut world = World::new();
        world.become_nobody();
        worlds.push(world);
    }
    worlds.retain(World::sandboxes_work);
    for world in &worlds {
        world.apply("[machines.a]\n");
    }
    worlds
}

/// A file of the user of this world.
fn file(world: &World, name: &str, text: &str) -> std::path::PathBuf {
    let path = world.home().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    world.give(&path);
    path
}

fn exec_python(world: &World, script: &str) -> Command {
    let mut command = world.stead_command();
    command.args(["exec", "a", "--", "python3", "-c", script]);
    command
}

/// Does to its standard input and output what only the owner of a file may do.
const MORE_THAN_READ_AND_WRITE: &str = r"
import os, sys
print('came', sys.stdin.readline().strip(), flush=True)
def try_to(f):
    try: return f()
    except OSError: pass
for fd in [0, 1, 2]:
    for flags in [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC]:
        again = try_to(lambda: os.open(f'/proc/self/fd/{fd}', flags | os.O_NONBLOCK))
        if again is not None: try_to(lambda: os.pwrite(again, b'evil', 0))
    again = try_to(lambda: os.open(f'/proc/self/fd/{fd}', os.O_RDONLY | os.O_NONBLOCK))
    if again is not None and fd:
        print('read', try_to(lambda: os.pread(again, 100, 0)), flush=True)
    try_to(lambda: os.ftruncate(fd, 1))
    try_to(lambda: os.fchmod(fd, 0o4777))
    try_to(lambda: os.chmod(f'/proc/self/fd/{fd}', 0o4777))
print('end', flush=True)
";

#[test]
fn a_file_at_a_standard_stream_can_be_read_or_written_and_nothing_else() {
    for world in worlds() {
        let input = file(&world, "input", "line of the input\nanother\n");
        let output = file(&world, "output", "secret-of-before\n");
        let errors = file(&world, "errors", "errors-of-before\n");
        let append = |path| File::options().append(true).open(path).unwrap();
        let status = exec_python(&world, MORE_THAN_READ_AND_WRITE)
            .stdin(File::open(&input).unwrap())
            .stdout(append(&output))
            .stderr(append(&errors))
            .status()
            .unwrap();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(&errors).unwrap());
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&input), "line of the input\nanother\n");
        assert_eq!(read(&errors), "errors-of-before\n");
        let said = read(&output);
        assert!(said.starts_with("secret-of-before\ncame line of the input\n"), "{said}");
        assert!(said.ends_with("end\n") && said.matches("secret-of").count() == 1, "{said}");
        assert!(!said.contains("errors-of"), "{said}");
        for path in [&input, &output, &errors] {
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn a_folder_at_a_standard_stream_leads_nowhere() {
    for world in worlds() {
        file(&world, "victim", "secret-of-the-victim");
        let victim = world.home().join("victim");
        std::fs::set_permissions(victim, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::set_permissions(world.home(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = world.stead_command();
        command.args(["exec", "a", "--", "cat", "/proc/self/fd/0/victim"]);
        let said = command.stdin(File::open(world.home()).unwrap()).output().unwrap();
        assert!(!String::from_utf8_lossy(&said.stdout).contains("secret-of"), "{said:?}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("folder"), "{said:?}");
    }
}

/// `stead WORDS`, with folders and a file of the host open in it that it knows nothing of.
fn with_folders_open(world: &World, words: &[&str]) -> Command {
    let mut command = world.program("bash");
    command.args(["-c", "exec 3<. 5</ 9<.. 11<stead.toml \"$@\"", "-"]);
    command.arg(world.programs().join("stead")).args(words);
    command
}

/// Tells where it stands and what is there and above.
const WHERE: &str = "readlink /proc/self/cwd; ls -a . .. ../..";

fn stands_inside(world: &World, said: &str, how: &str) {
    assert!(!said.contains("stead.toml"), "{how}: {said}");
    assert!(!said.contains(world.path().to_str().unwrap()), "{how}: {said}");
}

#[test]
fn a_folder_to_start_in_is_not_one_of_the_host() {
    for world in worlds() {
        // Whatever is open in the program that enters, by its number, or as what it stands in.
        let numbers = (0..32).map(|fd| format!("/proc/self/fd/{fd}"));
        let others = ["/proc/self/cwd", "/proc/thread-self/cwd"].map(String::from);
        for path in numbers.chain(others) {
            world.sh_ok("a", &format!("rm -f /srv/home; ln -s {path} /srv/home"));
            for cwd in [&path, "/srv/home"] {
                let words = ["exec", "a", "-C", cwd, "--", "sh", "-c", WHERE];
                let out = with_folders_open(&world, &words).output().unwrap();
                stands_inside(&world, &String::from_utf8_lossy(&out.stdout), &path);
            }
        }
    }
}

#[test]
fn the_home_folder_is_not_one_of_the_host_either() {
    for world in worlds() {
        if world.sh("a", "mv /root /srv/root").status != 0 {
            println!("SKIPPED: in an ordinary user's machine it is a mount that stays");
            continue;
        }
        for fd in 0..16 {
            world.sh_ok("a", &format!("rm -f /root; ln -s /proc/self/fd/{fd} /root"));
            let words = ["exec", "a", "--", "sh", "-c", WHERE];
            let out = with_folders_open(&world, &words).output().unwrap();
            stands_inside(&world, &String::from_utf8_lossy(&out.stdout), &fd.to_string());
            let mut shell = with_folders_open(&world, &["shell", "a"]);
            let shell = Terminal::start(shell.current_dir(world.home()), 200, 50);
            shell.line(&format!("{WHERE}; echo en''d"));
            shell.wait_for("end");
            stands_inside(&world, &shell.text().join("\n"), &fd.to_string());
        }
    }
}

/// Stays when the command has ended, with every terminal open that it can find; reads what is typed there and types itself.
const THIEF: &str = r"
import fcntl, glob, os, signal, threading
ready, done = os.pipe()
if os.fork():
    os.close(done)
    os.read(ready, 1)
    os._exit(0)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
terminals = [0, 1, 2]
for path in ['/dev/tty', '/dev/console'] + glob.glob('/dev/pts/*'):
    try: terminals.append(os.open(path, os.O_RDWR | os.O_NOCTTY))
    except OSError: pass
os.setsid()
got = os.open('/srv/got', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def steal(fd):
    for key in b'evil\n':
        try: fcntl.ioctl(fd, 0x5412, bytes([key]))
        except OSError: pass
    while True:
        try:
            keys = os.read(fd, 100)
            if not keys: return
            os.write(got, keys)
        except OSError: return
threads = [threading.Thread(target=steal, args=(fd,)) for fd in terminals for _ in range(3)]
for thread in threads: thread.start()
os.write(done, b'x')
os.close(done)
signal.pause()
";

#[test]
fn who_stays_behind_neither_reads_nor_types_at_the_terminal_of_who_entered() {
    for world in worlds() {
        let written = world.stead_with_input(
            &["exec", "a", "--", "sh", "-c", "cat > /srv/thief.py"],
            THIEF.as_bytes(),
        );
        assert_eq!(written.status, 0, "{written:?}");
        for (words, typed) in [
            (&["exec", "a", "--", "python3", "/srv/thief.py"][..], None),
            (&["shell", "a"], Some("python3 /srv/thief.py; exit")),
        ] {
            let script = "\"$@\"; echo back on the host; for n in 1 2 3 4 5 6; do read -r key; echo \"read: $key.\"; done";
            let mut command = world.program("bash");
            command.args(["-c", script, "-"]).arg(world.programs().join("stead")).args(words);
            let mut terminal = Terminal::start(&command, 80, 40);
            if let Some(line) = typed {
                terminal.line(line);
            }
            terminal.wait_for("back on the host");
            for n in 1..=6 {
                terminal.line(&format!("key-{n}"));
                terminal.wait_for(&format!("read: key-{n}."));
            }
            assert_eq!(terminal.end(), 0);
            let stolen = world.sh("a", "cat /srv/got").out;
            assert!(!stolen.contains("key-"), "{words:?}: {stolen}");
        }
    }
}

/// Opens what every process inside that it can look into is a run of, and does to it what its owner may do.
const CHANGE_PROGRAMS: &str = r"
import os
for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
    path = f'/proc/{pid}/exe'
    try: program = os.open(path, os.O_RDONLY)
    except OSError: continue
    if os.fstat(program).st_dev == os.stat('/usr/bin/python3').st_dev: continue
    print('found', pid, os.readlink(path))
    def try_to(f):
        try: print('did', path, f())
        except OSError: pass
    try_to(lambda: os.fchmod(program, 0o4777))
    try_to(lambda: os.utime(program, (1, 1)))
    try_to(lambda: os.setxattr(program, 'user.evil', b'x'))
    for flags in [os.O_WRONLY, os.O_RDWR]:
        try_to(lambda: os.pwrite(os.open(f'/proc/self/fd/{program}', flags), b'evil', 0))
print('end')
";

#[test]
fn programs_of_the_host_are_not_changed_by_whoever_is_their_run() {
    for world in worlds() {
        let programs: Vec<_> = ["stead", "stead-box", "stead-hold"]
            .iter()
            .map(|name| world.programs().join(name))
            .filter(|path| path.starts_with(world.path()))
            .collect();
        // An ordinary user's own.
        for path in &programs {
            world.give(path);
        }
        let looks = |path: &std::path::PathBuf| {
            let about = path.metadata().unwrap();
            (about.mode(), about.mtime(), about.len())
        };
        let before: Vec<_> = programs.iter().map(looks).collect();
        world.ok(&["run", "-m", "a", "-d", "-n", "s", "--", "cat"]);
        let out = exec_python(&world, CHANGE_PROGRAMS).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.ends_with("end\n"), "{out:?}");
        assert!(!said.contains("did "), "{said}");
        assert_eq!(programs.iter().map(looks).collect::<Vec<_>>(), before, "{said}");
    }
}

#[test]
fn who_is_suspended_at_the_door_does_not_hold_up_the_end() {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    for world in worlds() {
        let mut command = world.stead_command();
        let mut child = command
            .args(["exec", "a", "--", "sh", "-c", "echo ready; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).unwrap();
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        world.ok(&["down", "a"]);
        assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    }
}
