//! Programs that take all there is: the limits hold, and the machine and the host are well afterwards.

use crate::probe::{machine, probe};

fn only_root_limits() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: only root may limit here");
    }
    root
}

#[test]
fn a_fork_bomb_goes_no_further_than_its_limit() {
    if !only_root_limits() {
        return;
    }
    let world = machine("processes = 64");
    let told = probe(&world, "a", r"
import time
children = []
try:
    for _ in range(500):
        child = os.fork()
        if child == 0: time.sleep(600); os._exit(0)
        children.append(child)
    say('bomb', 'ok')
except OSError as e: say('bomb', errno.errorcode[e.errno])
say('made', str(len(children)))
for child in children: os.kill(child, 9)
for child in children: os.waitpid(child, 0)
");
    assert_eq!(told.get("bomb"), "EAGAIN");
    let made: u32 = told.get("made").parse().unwrap();
    assert!((20..64).contains(&made), "{made}");
    // One that does not stop by itself goes down with the machine; the steward is not held up.
    world.ok(&["run", "-m", "a", "-d", "-n", "bomb", "--restart", "never", "--", "sh", "-c", "b() { b | b & wait; }; echo lit; b"]);
    world.ok(&["wait", "bomb", "--for", "lit", "--timeout", "30s"]);
    world.ok(&["down", "a"]);
    world.ok(&["up", "a"]);
    assert_eq!(world.sh_ok("a", "echo well"), "well\n");
}

#[test]
fn a_memory_bomb_goes_no_further_than_its_limit() {
    if !only_root_limits() {
        return;
    }
    let world = machine("memory = \"64MiB\"");
    let told = probe(&world, "a", r"
def eat(mib):
    child = os.fork()
    if child == 0:
        x = b'x' * (mib << 20)
        os._exit(0 if len(x) else 1)
    return os.waitpid(child, 0)[1]
say('little', 'ok' if eat(16) == 0 else 'killed')
say('much', 'ok' if eat(256) == 0 else 'killed')
def shm():
    with open('/dev/shm/x', 'wb') as f:
        for _ in range(256): f.write(b'x' * (1 << 20))
child = os.fork()
if child == 0:
    try: shm()
    except OSError: os._exit(1)
    os._exit(0)
say('in /dev/shm', 'ok' if os.waitpid(child, 0)[1] == 0 else 'refused')
os.path.exists('/dev/shm/x') and os.unlink('/dev/shm/x')
");
    told.worked("little");
    told.nothing_else_worked(&["little"]);
    assert_eq!(world.sh_ok("a", "echo well"), "well\n");
}

/// Writes until it is refused; prints how many MiB were taken.
const FILL: &str = r"
def fill(path):
    count = 0
    f = os.open(path, os.O_WRONLY | os.O_CREAT)
    block = os.urandom(1 << 20)
    try:
        while count < 600:
            os.write(f, block); os.fsync(f); count += 1
    except OSError as e: say(path, errno.errorcode[e.errno])
    else: say(path, 'ok')
    say('size ' + path, str(count))
";

#[test]
fn a_disk_filler_goes_no_further_than_its_disk() {
    if !only_root_limits() {
        return;
    }
    let world = machine("disk = \"64MiB\"");
    let told = probe(&world, "a", &format!("{FILL}\nfill('/srv/fill')\n"));
    assert!(["ENOSPC", "EDQUOT"].contains(&told.get("/srv/fill")), "{}", told.get("/srv/fill"));
    let size: u32 = told.get("size /srv/fill").parse().unwrap();
    assert!((16..=64).contains(&size), "{size}");
    world.sh_ok("a", "rm /srv/fill; echo well > /srv/file");
    world.ok(&["restart", "-m", "a"]);
    assert_eq!(world.sh_ok("a", "cat /srv/file"), "well\n");
}

#[test]
fn what_an_ephemeral_machine_writes_is_bounded_too() {
    if !only_root_limits() {
        return;
    }
    let world = machine("ephemeral = true\ndisk = \"32MiB\"");
    let told = probe(&world, "a", &format!("{FILL}\nfill('/srv/fill')\n"));
    assert_eq!(told.get("/srv/fill"), "ENOSPC");
    let size: u32 = told.get("size /srv/fill").parse().unwrap();
    assert!((16..=32).contains(&size), "{size}");
    world.sh_ok("a", "rm /srv/fill; echo well > /srv/file; cat /srv/file");
}
