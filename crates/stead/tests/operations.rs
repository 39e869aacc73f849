//! The steward is killed at every step of every operation on machines, and at random instants: asked again, what was to be
//! done is done, the data is there, and nothing is left behind.

mod common;

use common::{Said, World, kill_and_wait};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More instants than any operation has.
const MOST: u64 = 300;

/// A world in which machines are made and whose steward is killed.
struct Machines {
    world: World,
    /// Holds the instant at which the steward kills itself.
    kill: PathBuf,
    box_program: PathBuf,
}

impl Machines {
    fn new() -> Self {
        let mut world = World::new();
        let bin = world.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        // Programs of its own, so that its processes can be told from those of others.
        for name in ["stead", "stead-hold", "stead-box"] {
            let (from, to) = (world.programs().join(name), bin.join(name));
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .unwrap();
        }
        world.use_programs(&bin);
        let kill = world.path().join("kill");
        std::fs::write(&kill, "").unwrap();
        world.set_variable(stead_machine::KILL_AT_STEP, kill.to_str().unwrap());
        Machines { world, kill, box_program: bin.join("stead-box") }
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
            let found = processes(&self.world.programs().join("stead"));
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
        let dir = self.world.path().to_string_lossy().into_owned();
        let mut left = Vec::new();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(&dir)).map(String::from));
        left.extend(processes(&self.box_program).iter().map(|pid| format!("process {pid}")));
        let mine = group_prefix(&self.world.places().data);
        left.extend(
            groups(Path::new("/sys/fs/cgroup"), 0).into_iter().filter(|g| g.contains(&mine)),
        );
        for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let file = std::fs::read_to_string(entry.path().join("loop/backing_file"));
            left.extend(file.ok().filter(|file| file.contains(&dir)));
        }
        let places = self.world.places();
        for folder in [
            places.data.join("machines"),
            places.data.join("layers"),
            places.runtime.join("machines"),
            places.data.join("claims"),
        ] {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') {
                    left.push(entry.path().display().to_string());
                }
            }
        }
        assert_eq!(left, [""; 0]);
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
        for pid in processes(&self.box_program) {
            kill_and_wait(pid, 9);
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// What the control groups of an engine's data folder begin with.
fn group_prefix(data: &Path) -> String {
    let bytes = data.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-", hash >> 32)
}

fn processes(program: &Path) -> Vec<i32> {
    let runs =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(runs).collect()
}

fn groups(folder: &Path, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if folder.file_name().is_some_and(|name| name == "stead") {
            found.push(entry.path().display().to_string());
        } else if depth < 6 {
            found.extend(groups(&entry.path(), depth + 1));
        }
    }
    found
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
    for bring in ["down box", "up box"] {
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

/// The instants follow from a seed, so that a failure can be had again.
#[test]
fn killed_at_any_time() {
    let m = Machines::new();
    let mut seed = 0x5eed_u64;
    for round in 0..20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let nested = round % 2 == 0;
        m.declare(&format!("[machines.box]\nnested = {nested}\n[machines.side]\n"));
        m.ok("ls");
        let steward = m.world.steward_pid().unwrap();
        let mut apply = m.world.stead_command().args(["apply", "-y"]).spawn().unwrap();
        // The instant is the point: nothing is waited for.
        std::thread::sleep(Duration::from_micros((seed >> 33) % 200_000));
        kill_and_wait(steward, 9);
        let _ = apply.wait();
        m.ok("apply -y");
        assert_eq!(m.said("plan").status, 0);
        if round > 0 {
            assert_eq!(m.read("box"), "kept", "round {round}");
        }
        m.write("box", "kept");
        if round % 5 == 4 {
            m.ok("destroy -y side");
        }
    }
    m.nothing_is_left();
}
