//! Disks of machines that have a limit: whatever fails, none stays mounted that nobody uses.

use crate::common::World;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A world in which a tool fails after its work while there is a file of its name in the folder that is returned, and
/// before it while there is a file NAME.before.
fn with_faults(tools: &[&str]) -> Option<(World, PathBuf)> {
    let mut world = World::new();
    if !world.is_root() {
        println!("SKIPPED: only root can limit a disk");
        return None;
    }
    let faults = world.path().join("faults");
    let bin = world.path().join("tools");
    std::fs::create_dir(&faults).unwrap();
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    for tool in tools {
        let fault = faults.join(tool);
        let script = format!(
            "#!/bin/sh\nPATH={path}\nbroken() {{ [ ! -e $1 ] || {{ echo broken-{tool} >&2; exit 32; }}; }}\n\
             broken {0}.before\n{tool} \"$@\" || exit\nbroken {0}\n",
            fault.display()
        );
        std::fs::write(bin.join(tool), script).unwrap();
        std::fs::set_permissions(bin.join(tool), PermissionsExt::from_mode(0o755)).unwrap();
    }
    world.set_variable("PATH", format!("{}:{path}", bin.display()));
    Some((world, faults))
}

fn mounted(world: &World) -> Vec<String> {
    let traces = world.traces().into_iter();
    traces.filter(|line| line.starts_with("loop ") || line.starts_with("mount ")).collect()
}

fn fails(world: &World, args: &[&str], why: &str) {
    let said = world.stead(args);
    assert_eq!(said.status, 1, "{args:?}: {said:?}");
    assert!(said.err.contains(why) || said.out.contains(why), "{args:?}: {said:?}");
}

#[test]
fn a_tool_that_fails_leaves_no_disk_mounted() {
    let Some((world, faults)) = with_faults(&["mount", "umount", "cp", "e2fsck", "resize2fs"])
    else {
        return;
    };
    let before = mounted(&world);
    let break_tool = |tool: &str| std::fs::write(faults.join(tool), "").unwrap();
    let mend = |tool: &str| std::fs::remove_file(faults.join(tool)).unwrap();

    world.declare("[machines.a]\ndisk = \"32mb\"\n");
    // It fails after it has mounted.
    break_tool("mount");
    fails(&world, &["apply", "--yes"], "broken-mount");
    assert_eq!(mounted(&world), before);
    mend("mount");
    world.ok(&["apply", "--yes"]);
    world.sh_ok("a", "echo kept > /root/data");
    break_tool("cp");
    fails(&world, &["snapshot", "create", "a", "live"], "broken-cp");
    assert_eq!(world.sh_ok("a", "cat /root/data"), "kept\n");
    world.ok(&["down", "a"]);
    assert_eq!(mounted(&world), before);
    // Both have a disk, and what lies on the one is copied to the other.
    fails(&world, &["clone", "a", "b"], "broken-cp");
    assert_eq!(mounted(&world), before);
    mend("cp");

    world.declare("[machines.a]\ndisk = \"48mb\"\n");
    for tool in ["e2fsck", "resize2fs", "resize2fs.before"] {
        break_tool(tool);
        fails(&world, &["apply", "--yes"], "broken-");
        assert_eq!(mounted(&world), before, "{tool}");
        mend(tool);
    }
    world.ok(&["apply", "--yes"]);
    assert_eq!(world.sh_ok("a", "cat /root/data"), "kept\n");
    // One that cannot be unmounted is told, and used as it is by the next start.
    break_tool("umount.before");
    fails(&world, &["down", "a"], "broken-umount");
    mend("umount.before");
    world.ok(&["up", "a"]);
    assert_eq!(world.sh_ok("a", "cat /root/data"), "kept\n");
    // Of one that is not to run, nothing is mounted either.
    world.apply("[machines.a]\ndisk = \"48mb\"\nrunning = false\n");
    world.apply("[machines.a]\ndisk = \"64mb\"\nrunning = false\n");
    world.apply("[machines.a]\ndisk = \"64mb\"\nrunning = false\n[machines.c]\ndisk = \"32mb\"\nrunning = false\n");
    assert_eq!(mounted(&world), before);
}
