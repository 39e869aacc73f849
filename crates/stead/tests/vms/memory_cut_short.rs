//! The steward is killed at each step of a snapshot with memory, and of going back to one: the machine runs on, or comes back as
//! it was; asked again, it is done; and no memory is left that belongs to nothing. Every fourth step unless `STEAD_TEST_INSTANTS` is
//! set.

use crate::common::vms::light;
use crate::common::{World, until};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// More instants than either has.
const MOST: usize = 100;
/// What the data is at the time of the snapshot, and what is only in memory then.
const THEN: &str = "then\nremembered\n";
const READ: &str = "cat /root/data; cat /dev/shm/word 2>/dev/null || echo nothing";

struct Cut {
    world: World,
    /// Holds the instant at which the steward kills itself.
    kill: PathBuf,
    /// The first instant, and how far it is to each next one.
    first: usize,
    each: usize,
}

impl Cut {
    /// Runs a command once for each instant at which the steward can be killed.
    fn everywhere(&self, command: &[&str], before: impl Fn(), after: impl Fn()) -> usize {
        let (mut killed, mut lived) = (0, 0);
        for instant in (self.first..MOST).step_by(self.each) {
            before();
            self.world.kill_steward();
            std::fs::write(&self.kill, instant.to_string()).unwrap();
            let said = self.world.stead(command);
            std::fs::write(&self.kill, "").unwrap();
            self.world.kill_steward();
            println!("{command:?} at {instant}: {}", said.status);
            if said.status == 0 {
                lived += 1;
            } else {
                (killed, lived) = (killed + 1, 0);
            }
            after();
            // What it does when it begins goes on beside the command: one that lived is not all.
            if lived == 2 {
                println!("{command:?}: killed {killed} times");
                return killed * self.each;
            }
        }
        panic!("{command:?}: more than {MOST} instants");
    }

    fn has_snapshot(&self) -> bool {
        let all = self.world.ok(&["snapshot", "ls", "a", "--json"]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
        all.iter().any(|one| one["name"] == "s" && one["consistency"] == "memory")
    }

    /// All kept memory: that of the snapshot is to be there, and nothing else.
    fn memories(&self) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.file_type().unwrap() {
                    kind if kind.is_dir() => count(&entry.path()),
                    _ => usize::from(entry.file_name() == "memory"),
                })
                .sum()
        }
        count(&self.world.places().data.join("machines/a"))
    }
}

#[test]
fn a_steward_that_is_killed_leaves_no_guest_standing_still_and_no_half_memory() {
    let mut world = World::of_vms();
    let kill = world.path().join("kill");
    std::fs::write(&kill, "").unwrap();
    world.set_variable(stead_machine::KILL_AT_STEP, kill.to_str().unwrap());
    world.apply(&light("a", ""));
    let each = if std::env::var_os("STEAD_TEST_INSTANTS").is_some() { 1 } else { 4 };
    let first = 1 + UNIX_EPOCH.elapsed().unwrap().as_secs() as usize % each;
    let m = Cut { world, kill, first, each };
    m.world.sh_ok("a", "echo then > /root/data; sync; echo remembered > /dev/shm/word");
    let kept = m.everywhere(
        &["snapshot", "create", "a", "s", "--memory"],
        || {
            if m.has_snapshot() {
                m.world.ok(&["snapshot", "rm", "--yes", "a", "s"]);
            }
            assert_eq!(m.memories(), 0);
        },
        || {
            // The same machine all the time.
            assert_eq!(m.world.sh_ok("a", READ), THEN);
            if !m.has_snapshot() {
                m.world.ok(&["snapshot", "create", "a", "s", "--memory"]);
            }
            assert_eq!(m.world.sh_ok("a", READ), THEN);
            assert_eq!(m.memories(), 1);
        },
    );
    let restored = m.everywhere(
        &["snapshot", "restore", "a", "s"],
        || drop(m.world.sh_ok("a", "echo later > /root/data; sync; rm -f /dev/shm/word")),
        || {
            m.world.ok(&["apply", "--yes"]);
            m.world.ok(&["up", "a"]);
            let read = m.world.sh_ok("a", READ);
            if read == "later\nnothing\n" {
                m.world.ok(&["snapshot", "restore", "a", "s"]);
                assert_eq!(m.world.sh_ok("a", READ), THEN);
            } else {
                assert_eq!(read, THEN);
            }
            // A steward that begins looks for what is left beside what it is asked for.
            until("that nothing is left", || (m.memories() == 1).then_some(()));
        },
    );
    assert!(kept >= 8 && restored >= 8, "{kept} {restored}");
}
