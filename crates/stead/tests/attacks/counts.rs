//! What the kernel counts by user: a machine that takes all it can get leaves the host its own.

use crate::common::World;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Takes inotify instances as several users until there are no more, tells, and holds them until its input ends.
const TAKE: &str = r"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
count = 0
for uid in [0, 1, 2, 65534]:
    ready, done = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        if uid:
            try: os.setresuid(uid, uid, uid)
            except OSError: os._exit(0)
        n = 0
        while libc.inotify_init() >= 0: n += 1
        os.write(done, b'%d' % n)
        os.close(done)
        sys.stdin.read()
        os._exit(0)
    os.close(done)
    count += int(os.read(ready, 100) or 0)
print('instances', count, sep='\t', flush=True)
sys.stdin.read()
";

fn leaves_the_host_its_inotify_instances(world: &World) {
    let mut child = world
        .stead_command()
        .args(["exec", "a", "--", "python3", "-c", TAKE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let taken: u32 = line.trim().split_once('\t').unwrap().1.parse().unwrap();
    assert!(taken >= 16, "a machine needs some: {taken}");
    world.within_shell(
        "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).inotify_init() < 0)'",
    );
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn inotify_instances_of_the_user_who_made_a_machine_cannot_be_used_up() {
    let world = crate::probe::machine("");
    leaves_the_host_its_inotify_instances(&world);
}

#[test]
fn inotify_instances_of_an_ordinary_user_cannot_be_used_up() {
    let mut world = World::new();
    world.become_nobody();
    if !world.sandboxes_work() {
        return;
    }
    world.apply("[machines.a]\n");
    leaves_the_host_its_inotify_instances(&world);
}
