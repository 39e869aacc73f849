//! Containers inside a machine, by real runtimes.

use crate::common::World;

/// A container with nothing in it but busybox, run by the runtime that is named.
const CONTAINER: &str = r#"
set -e
mkdir -p /tmp/$1/rootfs/bin
cp "$(command -v busybox)" /tmp/$1/rootfs/bin/busybox
cd /tmp/$1
"$1" spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"\/bin\/busybox", "sh", "-c", "busybox id -u; busybox ls \/bin"/' config.json
"$1" run container
"#;

#[test]
fn containers_run_in_a_machine_that_may_have_them() {
    let world = World::new();
    if !world.is_root() {
        println!("SKIPPED: an ordinary user's machine has one user, and runtimes want more");
        return;
    }
    world.apply("[machines.may]\nnested = true\nmemory = \"512mb\"\n[machines.not]\n");
    for runtime in ["crun", "runc"] {
        let run = ["exec", "may", "--", "sh", "-c", CONTAINER, "sh", runtime];
        assert_eq!(world.ok(&run), "0\nbusybox\n", "{runtime}");
    }
    assert_ne!(world.sh("not", "unshare -Ur true").status, 0);
    assert_eq!(world.sh_ok("not", "ls /sys/fs/cgroup"), "");
}

#[test]
fn groups_inside_are_the_machines_own_and_its_limits_are_not() {
    let world = World::new();
    if !world.is_root() {
        println!("SKIPPED: an ordinary user's machine may only look at its groups");
        return;
    }
    world.apply("[machines.may]\nnested = true\nmemory = \"512mb\"\n");
    if world.sh("may", "test -e /sys/fs/cgroup/cgroup.procs").status != 0 {
        println!("SKIPPED: this host has no cgroup v2");
        return;
    }
    // Nothing above the machine's own group is seen, and a child can be made, used and removed.
    assert_eq!(world.sh_ok("may", "grep ^0: /proc/self/cgroup"), "0::/\n");
    world.sh_ok("may", "cd /sys/fs/cgroup && mkdir a && echo 0 >a/cgroup.procs && sleep 1000 >/dev/null 2>&1 <&1 &");
    // The machine's own group: what bounds it stays the host's.
    let files = "cgroup.max.descendants cgroup.max.depth cgroup.freeze cgroup.kill memory.max pids.max cpu.max";
    for file in files.split(' ') {
        // What may be written is decided when it is opened.
        let write = format!("cd /sys/fs/cgroup && {{ test ! -e {file} || : >{file}; }}");
        let written = world.sh("may", &write);
        assert!(
            written.status != 0
                || world.sh("may", &format!("test -e /sys/fs/cgroup/{file}")).status != 0,
            "{file} can be written"
        );
    }
    // No deeper than the host can reach, no more than so many, and what is left inside does not hold up the end.
    let many = "cd /sys/fs/cgroup; i=0; while mkdir m$i 2>/dev/null; do i=$((i+1)); done; test $i -lt 1001";
    world.sh_ok("may", many);
    let deep = "cd /sys/fs/cgroup; rmdir m*; n=$(printf %0200d 0); i=0; \
                while mkdir $n 2>/dev/null && cd $n; do i=$((i+1)); done; test $i -gt 3 -a $i -lt 13";
    world.sh_ok("may", deep);
    world.ok(&["down", "may"]);
    world.ok(&["destroy", "--yes", "may"]);
}
