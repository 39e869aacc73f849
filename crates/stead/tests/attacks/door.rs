//! What whoever enters a machine brings along: the folder to start in, files of the host, a terminal.

use crate::common::World;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// A world for each kind of user that can have machines here, each with the machine `a`.
fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new()];
    if rustix::process::geteuid().is_root() {
        let mut world = World::new();
        world.become_nobody();
        worlds.push(world);
    }
    worlds.retain(World::sandboxes_work);
    worlds.iter().for_each(|world| world.apply("[machines.a]\n"));
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
        let script = "import os; print(os.read(os.open('victim', os.O_RDONLY, dir_fd=0), 100))";
        let said =
            exec_python(&world, script).stdin(File::open(world.home()).unwrap()).output().unwrap();
        assert!(!String::from_utf8_lossy(&said.stdout).contains("secret-of"), "{said:?}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("folder"), "{said:?}");
    }
}

#[test]
fn a_folder_to_start_in_is_not_one_of_the_host() {
    for world in worlds() {
        // Whatever is open in the program that enters, by its number, or as what it stands in.
        let numbers = (0..32).map(|fd| format!("/proc/self/fd/{fd}"));
        let others =
            ["/proc/self/cwd", "/proc/self/root", "/proc/thread-self/cwd"].map(String::from);
        for path in numbers.chain(others) {
            let look = ["--", "sh", "-c", "readlink /proc/self/cwd; ls -a ../.. ."];
            // Three folders and a file of the host stay open in it.
            let enter = |words: &[&str]| {
                let script = "exec 3<. 5</ 9<.. 11<stead.toml \"$@\"";
                let mut command = world.program("bash");
                command.args(["-c", script, "-"]).arg(world.programs().join("stead"));
                let out = command.args(words).args(look).output().unwrap();
                String::from_utf8_lossy(&out.stdout).into_owned()
            };
            world.sh_ok("a", &format!("rm -rf /srv/home; ln -s {path} /srv/home"));
            for said in
                [enter(&["exec", "a", "-C", &path]), enter(&["exec", "a", "-C", "/srv/home"])]
            {
                assert!(!said.contains("stead.toml"), "{path}: {said}");
                assert!(!said.contains(world.path().to_str().unwrap()), "{path}: {said}");
            }
        }
    }
}

#[test]
fn the_home_folder_is_not_one_of_the_host_either() {
    for world in worlds() {
        for fd in 0..16 {
            world.sh_ok("a", &format!("rm -rf /root 2>/dev/null; rmdir /root 2>/dev/null; mv /root /srv/root-{fd} 2>/dev/null; ln -s /proc/self/fd/{fd} /root"));
            let said = world.stead(&["exec", "a", "--", "sh", "-c", "readlink /proc/self/cwd; ls"]);
            assert!(!said.out.contains("stead.toml"), "{fd}: {said:?}");
            assert!(!said.out.contains(world.path().to_str().unwrap()), "{fd}: {said:?}");
            let at_a_terminal = world.terminal(&["shell", "a"]);
            at_a_terminal.line("readlink /proc/self/cwd; ls; echo en''d");
            at_a_terminal.wait_for("end");
            let shown = at_a_terminal.text().join("\n");
            assert!(!shown.contains("stead.toml"), "{fd}: {shown}");
        }
    }
}
