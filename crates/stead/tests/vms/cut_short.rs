//! Steward, QEMU, keeper and first process are killed at random instants of what is done to machines: asked again, it is done,
//! the data is there, and nothing is left. `STEAD_TEST_INSTANTS` sets how many instants.

use crate::common::vms::light;
use crate::common::{World, kill_and_wait, processes, until};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stead_vm::files::CONTROL;

/// Numbers that differ from run to run, and can be had again.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("STEAD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = seed.unwrap_or_else(now) | 1;
        println!("STEAD_TEST_SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Kills every process of this world that is a `victim`.
fn kill(world: &World, victim: &str) {
    if victim == "steward" {
        world.kill_steward();
        return;
    }
    let here = world.path().to_str().unwrap();
    for pid in processes() {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let sees = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        if exe.to_string_lossy().contains(victim) && sees.contains(here) {
            kill_and_wait(pid, 9);
        }
    }
}

fn begin(world: &World, line: &str) -> Child {
    let mut command = world.stead_command();
    command.args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn killed_at_any_time_everything_is_as_it_was_to_be_and_nothing_is_left() {
    let instants = std::env::var("STEAD_TEST_INSTANTS").ok().and_then(|n| n.parse().ok());
    let instants: u64 = instants.unwrap_or(6);
    let mut chance = Chance::new();
    let mut world = World::of_vms();
    let bin = world.path().join("bin");
    if world.programs() != bin {
        std::fs::create_dir(&bin).unwrap();
        for name in ["stead", "stead-hold", "stead-box", "stead-vm"] {
            let (from, to) = (world.programs().join(name), bin.join(name));
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .unwrap();
        }
        world.use_programs(&bin);
    }
    let before = world.traces();
    world.declare(&light("a", ""));
    world.ok(&["apply", "--yes"]);
    world.sh_ok("a", "echo kept > /root/data; sync");
    let began = Instant::now();
    world.ok(&["restart", "-m", "a"]);
    let longest = began.elapsed();
    for n in 0..instants {
        let line = [
            "up a",
            "down a",
            "snapshot create a s",
            "clone a b",
            "destroy --yes b",
            "restart -m a",
        ][(n % 6) as usize];
        let victim = ["steward", "qemu-system", "stead-vm", "stead-box"][chance.below(4) as usize];
        match line {
            "up a" => drop(world.ok(&["down", "a"])),
            "destroy --yes b" => {
                world.stead(&["clone", "a", "b"]);
                world.ok(&["up", "b"]);
            }
            _ => {}
        }
        // What is quick is cut short sooner.
        let long = line.starts_with("up") || line.starts_with("restart");
        let most = if long { longest } else { longest / 8 };
        let wait = Duration::from_micros(chance.below(most.as_micros() as u64));
        println!("{line}: {victim} killed after {wait:?}");
        let mut child = begin(&world, line);
        // A random instant is meant: nothing is waited for here.
        std::thread::park_timeout(wait);
        kill(&world, victim);
        child.wait().unwrap();
        // What was killed takes a moment to take the rest with it; until then the machine is one that runs.
        until("what was to be", || {
            world.stead(&["apply", "--yes"]);
            world.stead(&["up", "a"]);
            let data = world.sh("a", "cat /root/data");
            assert!(data.status != 0 || data.out == "kept\n", "{line}: {victim}: {data:?}");
            (data.status == 0).then_some(())
        });
        world.ok(&["apply", "--yes"]);
        world.stead(&["destroy", "--yes", "b"]);
        world.stead(&["snapshot", "rm", "--yes", "a", "s"]);
    }
    world.ok(&["destroy", "--yes", "a"]);
    world.kill_steward();
    world.ok(&["ls"]);
    world.kill_steward();
    let after = world.traces();
    let left: Vec<_> = after.difference(&before).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_machine_whose_clone_was_cut_short_and_that_was_killed_is_cloned_again() {
    let world = World::of_vms();
    world.declare(&light("a", ""));
    world.ok(&["apply", "--yes"]);
    world.sh_ok("a", "echo kept > /root/data; sync");
    // What is to be its disk is there, and QEMU is not told.
    let control = world.places().runtime.join("machines/a/vm").join(CONTROL);
    std::fs::remove_file(&control).unwrap();
    let said = world.stead(&["clone", "a", "b"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("a snapshot while it runs"), "{said:?}");
    kill_and_wait(world.process_of("a", "qemu-system"), 9);
    until("it has ended", || {
        world.stead(&["up", "a"]);
        (world.sh("a", "cat /root/data").out == "kept\n").then_some(())
    });
    world.ok(&["clone", "a", "b"]);
    world.ok(&["up", "b"]);
    assert_eq!(world.sh("b", "cat /root/data").out, "kept\n");
}
