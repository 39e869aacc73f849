//! The steward is killed at every step of every operation on machines, and at random instants: asked again, what was to be
//! done is done, the data is there, and nothing is left behind. `STEAD_TEST_INSTANTS` sets the operations that are cut short
//! at random, 50 unless it is set.

mod common;

use common::{Said, World, again_as_an_ordinary_user, kill_and_wait, processes, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// More instants than any operation has.
const MOST: u64 = 300;

/// A world in which machines are made and whose steward is killed.
struct Machines {
    world: World,
    /// Holds the instant at which the steward kills itself.
    kill: PathBuf,
    /// What there was on this host before.
    before: BTreeSet<String>,
}

impl Machines {
    fn new() -> Self {
        let mut world = World::new();
        let bin = world.path().join("bin");
        // Programs of its own, so that its processes can be told from those of others. An ordinary user has them anyway.
        if world.programs() != bin {
            std::fs::create_dir(&bin).unwrap();
            for name in ["stead", "stead-hold", "stead-box"] {
                let (from, to) = (world.programs().join(name), bin.join(name));
                std::fs::hard_link(&from, &to)
                    .or_else(|_| std::fs::copy(&from, &to).map(drop))
                    .unwrap();
            }
            world.use_programs(&bin);
        }
        let kill = world.path().join("kill");
        std::fs::write(&kill, "").unwrap();
        world.set_variable(stead_machine::KILL_AT_STEP, kill.to_str().unwrap());
        let before = world.traces();
        Machines { world, kill, before }
    }

    fn declare(&self, text: &str) {
        std::fs::write(self.world.home().join("stead.toml"), text).unwrap();
    }

    fn ok(&self, line: &str) -> String {
        self.world.ok(&words(line))
    }

    fn said(&self, line: &str) -> Said {
        self.world.stead(&words(line))
    }

    fn write(&self, machine: &str, text: &str) {
        let line = format!("echo {text} >/root/data; sync /root/data");
        self.world.ok(&["exec", machine, "--", "sh", "-c", &line]);
    }

    fn read(&self, machine: &str) -> String {
        let line = "cat /root/data 2>/dev/null || :";
        self.world.ok(&["exec", machine, "--", "sh", "-c", line]).trim().to_owned()
    }

    /// Runs a command once for each instant at which the steward can be killed. `before` brings the world to where it
    /// begins, `after` asks again and looks. Returns how many instants there were.
    fn killed_everywhere(&self, command: &str, before: impl Fn(), after: impl Fn()) -> u64 {
        let (mut killed, mut lived) = (0, 0);
        for instant in 1..MOST {
            before();
            self.kill_stewards();
            std::fs::write(&self.kill, instant.to_string()).unwrap();
            let said = self.said(command);
            std::fs::write(&self.kill, "").unwrap();
            // It may be on its way out: what it does when it begins goes on beside the command.
            self.kill_stewards();
            if said.status == 0 {
                lived += 1;
            } else {
                (killed, lived) = (killed + 1, 0);
            }
            after();
            // For the same reason one that lived is not all.
            if lived == 4 {
                println!("stead {command}: killed at {killed} instants");
                return killed;
            }
        }
        panic!("stead {command}: more than {MOST} instants");
    }

    fn kill_stewards(&self) {
        // One that has killed itself runs no program any more and may still listen; its lock names it.
        let lock = self.world.places().data.join("steward.lock");
        let named = std::fs::read_to_string(lock).ok().and_then(|pid| pid.trim().parse().ok());
        let is_ours = |pid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == "stead"
        };
        if let Some(pid) = named.filter(is_ours) {
            kill_and_wait(pid, 9);
        }
        // One that is just being started is two processes, one after the other.
        loop {
            let found = running(&self.world.programs().join("stead"));
            for pid in &found {
                kill_and_wait(*pid, 9);
            }
            if found.is_empty() {
                return;
            }
        }
    }

    fn machines(&self) -> Vec<String> {
        let folder = self.world.places().data.join("machines");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().join("machine.json").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn destroy_all(&self) {
        for name in self.machines() {
            self.ok(&format!("destroy -y {name}"));
        }
    }

    /// Destroys every machine; then nothing may be left of any.
    fn nothing_is_left(&self) {
        self.destroy_all();
        // A steward sweeps when it begins.
        self.world.kill_steward();
        self.ok("ls");
        self.world.kill_steward();
        let after = self.world.traces();
        let left: Vec<_> = after.difference(&self.before).collect();
        assert!(left.is_empty(), "{left:#?}");
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.kill, "");
        if std::thread::panicking() {
            let log = self.world.places().data.join("steward.log");
            println!("{}", std::fs::read_to_string(log).unwrap_or_default());
        }
        for name in self.machines() {
            let _ = self.said(&format!("destroy -y {name}"));
        }
        self.world.kill_steward();
        for pid in running(&self.world.programs().join("stead-box")) {
            kill_and_wait(pid, 9);
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// The processes that run this program.
fn running(program: &Path) -> Vec<i32> {
    let runs =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    processes().into_iter().filter(runs).collect()
}

const ONE: &str = "[machines.box]\n";
const TWO: &str = "[machines.one]\n[machines.two]\n";

#[test]
fn made_and_destroyed() {
    let m = Machines::new();
    m.declare(ONE);
    let made = m.killed_everywhere(
        "apply -y",
        || m.destroy_all(),
        || {
            m.ok("apply -y");
            m.ok("up box");
            m.write("box", "works");
            assert_eq!(m.read("box"), "works");
        },
    );
    let gone = m.killed_everywhere(
        "destroy -y box",
        || drop(m.ok("apply -y")),
        || {
            m.destroy_all();
            assert_eq!(m.said("status box").status, 1);
        },
    );
    assert!(made >= 10 && gone >= 8, "{made} {gone}");
    m.nothing_is_left();
}

#[test]
fn started_and_changed() {
    let m = Machines::new();
    m.declare(ONE);
    m.ok("apply -y");
    m.write("box", "kept");
    let started = m.killed_everywhere(
        "up box",
        || drop(m.ok("down box")),
        || {
            m.ok("up box");
            assert_eq!(m.read("box"), "kept");
        },
    );
    let large = std::cell::Cell::new(false);
    let changed = m.killed_everywhere(
        "apply -y",
        || {
            // As it was, and then declared otherwise.
            m.ok("apply -y");
            m.ok("up box");
            large.set(!large.get());
            m.declare(&format!("[machines.box]\nnested = {}\n", large.get()));
        },
        || {
            m.ok("apply -y");
            assert_eq!(m.said("plan").status, 0, "there is something left to do");
            assert_eq!(m.read("box"), "kept");
        },
    );
    assert!(started >= 4 && changed >= 8, "{started} {changed}");
    m.nothing_is_left();
}

#[test]
fn kept_and_put_back() {
    let m = Machines::new();
    m.declare(ONE);
    m.ok("apply -y");
    m.write("box", "good");
    let kept = |m: &Machines| m.ok("snapshot ls box").lines().any(|l| l.starts_with("s "));
    let mut all = Vec::new();
    let bring: &[&str] = if m.world.is_root() {
        &["down box", "up box"]
    } else {
        // Whoever cannot make processes stand still copies nothing that runs.
        &["down box"]
    };
    for bring in bring {
        all.push(m.killed_everywhere(
            "snapshot create box s",
            || {
                m.said("snapshot rm -y box s");
                m.ok(bring);
            },
            || {
                // Done or undone; never a machine that stands still.
                let again = m.said("snapshot create box s");
                assert!(again.status == 0 || again.err.contains("already"), "{again:?}");
                assert!(kept(&m));
                m.ok("up box");
                assert_eq!(m.read("box"), "good");
            },
        ));
    }
    all.push(m.killed_everywhere(
        "snapshot restore box s",
        || m.write("box", "bad"),
        || {
            m.ok("snapshot restore box s");
            m.ok("up box");
            assert_eq!(m.read("box"), "good");
        },
    ));
    assert!(all.iter().all(|points| *points >= 6), "{all:?}");
    m.nothing_is_left();
}

#[test]
fn copied_and_moved() {
    let m = Machines::new();
    m.declare(TWO);
    m.ok("apply -y");
    m.write("one", "good");
    m.ok("down one two");
    let there = |name: &str| m.machines().iter().any(|n| n == name);
    let copied = m.killed_everywhere(
        "clone one copy",
        || {
            if there("copy") {
                m.ok("destroy -y copy");
            }
        },
        || {
            // What was cut short is taken away by whatever is asked next.
            if m.said("up copy").status != 0 {
                m.ok("clone one copy");
                m.ok("up copy");
            }
            assert_eq!(m.read("copy"), "good");
        },
    );
    let moved = m.killed_everywhere(
        "move -y one two",
        || {
            m.destroy_all();
            m.ok("apply -y");
            m.write("one", "good");
            m.write("two", "replaced");
            m.ok("down one two");
        },
        || {
            m.ok("up one two");
            if m.read("two") != "good" {
                assert_eq!(m.read("two"), "replaced");
                m.ok("down one two");
                m.ok("move -y one two");
            }
            m.ok("up one two");
            assert_eq!(m.read("two"), "good");
            assert_eq!(m.read("one"), "");
        },
    );
    assert!(copied >= 6 && moved >= 8, "{copied} {moved}");
    m.nothing_is_left();
}

/// What is looked for at the end of each test is found while there is something.
#[test]
fn what_a_machine_is_made_of_is_counted() {
    let m = Machines::new();
    let root = m.world.is_root();
    m.declare(if root { "[machines.box]\ndisk = \"32mb\"\n" } else { ONE });
    m.ok("apply -y");
    let traces = m.world.traces();
    let there = |what: &str| traces.iter().filter(|line| line.starts_with(what)).count();
    assert!(there("interface ") > 0, "{traces:#?}");
    let mut made = vec!["process ", "file "];
    let kinds = ["mnt", "net", "pid", "user", "uts", "ipc", "cgroup"];
    let spaces = kinds.map(|kind| format!("namespace {kind}:["));
    made.extend(spaces.iter().map(String::as_str));
    if root {
        made.extend(["mount ", "group ", "loop "]);
    }
    for what in made {
        let before = m.before.iter().filter(|line| line.starts_with(what)).count();
        assert!(there(what) > before, "no {what}among {traces:#?}");
    }
    m.nothing_is_left();
}

#[test]
fn as_an_ordinary_user() {
    // Some of those that are cut short at random copy a machine that runs, which is not for everybody.
    again_as_an_ordinary_user(&["as_an_ordinary_user", "killed_at_any_time"]);
}

/// Operations that are cut short at any time, besides those that are at every instant.
fn cut_short() -> u64 {
    std::env::var("STEAD_TEST_INSTANTS").map_or(50, |n| n.parse().unwrap())
}

/// Waits for the end of a program, but no longer than this.
fn ends_within(program: &Child, limit: Duration) {
    let handle = pidfd_open(Pid::from_child(program), PidfdFlags::empty()).unwrap();
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)).unwrap();
}

/// The instants follow from a seed, so that a failure can be had again. The operations take turns.
#[test]
fn killed_at_any_time() {
    let m = Machines::new();
    m.declare("[machines.box]\n[machines.side]\n");
    m.ok("apply -y");
    m.write("box", "kept");
    let mut seed = 0x5eed_u64;
    let (mut killed, mut round) = (0, 0);
    while killed < cut_short() {
        round += 1;
        assert!(round < 20 * cut_short(), "{killed} of {round} operations were cut short");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let nested = round % 2 == 0;
        let snapshot = format!("snapshot create box round-{round}");
        let operation = match round % 7 {
            0 | 4 => "apply -y",
            1 => "restart -m box",
            2 => &snapshot,
            3 => "destroy -y side",
            5 => "clone box copy",
            _ => "down box side",
        };
        m.declare(&format!("[machines.box]\nnested = {nested}\n[machines.side]\n"));
        m.ok("ls");
        let steward = m.world.steward_pid().unwrap();
        let mut asked = m.world.stead_command().args(words(operation)).spawn().unwrap();
        // At some instant, unless it is done before.
        ends_within(&asked, Duration::from_micros((seed >> 33) % 100_000));
        kill_and_wait(steward, 9);
        killed += u64::from(!asked.wait().unwrap().success());
        // Whoever comes to a steward that is on its way out is told so, and asks again.
        let applied = until("a steward that answers", || {
            let said = m.said("apply -y");
            (!said.err.contains("connection error")).then_some(said)
        });
        assert_eq!(applied.status, 0, "round {round}: {operation}: {applied:?}");
        assert_eq!(m.said("plan").status, 0, "round {round}: {operation}");
        assert_eq!(m.read("box"), "kept", "round {round}: {operation}");
        m.write("box", "kept");
        if m.machines().iter().any(|name| name == "copy") {
            m.ok("destroy -y copy");
        }
    }
    println!("{killed} of {round} operations were cut short");
    m.nothing_is_left();
}
