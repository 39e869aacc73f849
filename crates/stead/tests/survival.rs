//! The survival matrix: each fault at many random instants, under a program that prints numbered lines.
//!
//! After each row: the session is in its first life, every line is in the history exactly once and in order, and
//! whatever a person had to be told has been told. `STEAD_TEST_INSTANTS` sets the instants a row, 50 unless it is set.

mod common;

use std::process::Command;

use common::{World, until};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// Prints `line N` every millisecond.
const LINES: &str =
    r#"$|=1; while (1) { print "line ", ++$i, "\n"; select(undef, undef, undef, 0.001) }"#;

fn instants() -> usize {
    std::env::var("STEAD_TEST_INSTANTS").map_or(50, |n| n.parse().unwrap())
}

/// Lets a random time pass, at most `most` milliseconds: faults come when they like.
fn some_time(most: u64) {
    let chance = RandomState::new().build_hasher().finish();
    let end = Instant::now() + Duration::from_micros(chance % (most * 1000));
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

fn start_lines(world: &World) {
    world.ok(&["run", "-d", "-n", "s", "--", "perl", "-e", LINES]);
}

/// The number in the last whole line on the screen.
fn last_line(world: &World) -> u64 {
    let screen = world.ok(&["screen", "s"]);
    let numbers = screen.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<u64>().ok());
    numbers.max().unwrap_or(0)
}

/// The session still prints.
fn goes_on(world: &World) {
    let before = last_line(world);
    until("another line", || (last_line(world) > before).then_some(()));
    assert_eq!(world.session("s").life, 1);
}

/// Ends the session and looks at all it printed.
fn whole(world: &World) -> u64 {
    world.ok(&["kill", "s"]);
    assert_eq!(world.stead(&["wait", "s", "--timeout", "60s"]).status, 129);
    assert_eq!(world.session("s").life, 1);
    let said = world.stead(&["logs", "s"]);
    assert!(!said.err.contains("missing"), "{}", said.err);
    let mut expected = 0;
    for line in said.out.lines() {
        expected += 1;
        assert_eq!(line, format!("line {expected}"));
    }
    expected
}

#[test]
fn client_killed() {
    let world = World::new();
    start_lines(&world);
    for _ in 0..instants() {
        let mut client = world.terminal(&["attach", "s"]);
        client.wait_for("line");
        some_time(20);
        client.kill();
    }
    goes_on(&world);
    until("nobody attached", || (world.session("s").attached == 0).then_some(()));
    whole(&world);
}

#[test]
fn steward_killed() {
    let world = World::new();
    start_lines(&world);
    let client = world.terminal(&["attach", "s"]);
    client.wait_for("line");
    for _ in 0..instants() {
        some_time(20);
        world.kill_steward();
        assert_eq!(world.session("s").life, 1);
    }
    goes_on(&world);
    client.wait_for("line");
    client.detach();
    whole(&world);
}

#[test]
fn steward_upgraded() {
    let mut world = World::new();
    let programs = world.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let original = world.programs().to_owned();
    let upgrade = |program: &str| {
        let beside = programs.join(format!("{program}.next"));
        // Written by another process: a descriptor open for writing here could be inherited by a child of another
        // test's at the wrong moment, and the program could then not be run.
        let status = Command::new("cp").arg(original.join(program)).arg(&beside).status().unwrap();
        assert!(status.success());
        std::fs::rename(&beside, programs.join(program)).unwrap();
    };
    upgrade("stead");
    upgrade("stead-hold");
    world.use_programs(&programs);
    start_lines(&world);
    for _ in 0..instants() {
        some_time(20);
        let before = world.steward_pid().unwrap();
        upgrade("stead");
        // The next command notices that the steward's program is not the one on disk.
        assert_eq!(world.session("s").life, 1);
        let after = world.steward_pid().unwrap();
        assert_ne!(before, after, "the old steward still runs");
    }
    upgrade("stead-hold");
    goes_on(&world);
    whole(&world);
}

#[test]
fn connection_frozen() {
    let world = World::new();
    start_lines(&world);
    let client = world.terminal(&["attach", "s"]);
    client.wait_for("line");
    let signal = |signal| {
        let pid = rustix::process::Pid::from_raw(client.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    for _ in 0..instants() {
        signal(rustix::process::Signal::STOP);
        some_time(20);
        goes_on(&world);
        let reached = last_line(&world);
        signal(rustix::process::Signal::CONT);
        client.wait_until("what was printed meanwhile", |model| {
            let text = model.text();
            let mut numbers =
                text.iter().filter_map(|l| l.strip_prefix("line ")?.parse::<u64>().ok());
            numbers.any(|n| n >= reached)
        });
    }
    client.detach();
    whole(&world);
}

#[test]
fn socket_removed() {
    let world = World::new();
    start_lines(&world);
    let socket = world.places().hold_socket(&world.session("s").id);
    for round in 0..instants() {
        some_time(20);
        if round % 5 == 0 {
            // The steward's socket and every folder too.
            std::fs::remove_dir_all(world.places().runtime).unwrap_or_default();
        } else {
            std::fs::remove_file(&socket).unwrap();
        }
        until(&format!("the socket is back in round {round}"), || socket.exists().then_some(()));
        assert_eq!(world.session("s").life, 1);
    }
    goes_on(&world);
    whole(&world);
}

fn index_files(world: &World) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(world.places().data).unwrap().flatten();
    entries
        .map(|e| e.path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("index.sqlite"))
        .filter(|p| !p.to_string_lossy().contains("damaged"))
        .collect()
}

/// What the stewards of this world have said. One that is killed may have noticed before the next one does.
fn steward_log(world: &World) -> String {
    std::fs::read_to_string(world.places().data.join("steward.log")).unwrap()
}

#[test]
fn index_deleted() {
    let world = World::new();
    start_lines(&world);
    for _ in 0..instants() {
        some_time(20);
        for file in index_files(&world) {
            std::fs::remove_file(file).unwrap();
        }
        world.kill_steward();
        assert_eq!(world.session("s").life, 1);
    }
    let said = steward_log(&world);
    assert!(said.contains("the index was missing"), "nobody was told: {said}");
    goes_on(&world);
    whole(&world);
}

#[test]
fn index_corrupted() {
    let world = World::new();
    start_lines(&world);
    for round in 0..instants() {
        some_time(20);
        world.kill_steward();
        for file in index_files(&world) {
            let mut bytes = std::fs::read(&file).unwrap();
            let len = bytes.len();
            if round % 3 == 0 {
                bytes.truncate(len / 2);
            } else {
                for at in (round * 7..len).step_by(97) {
                    bytes[at] ^= 0x55;
                }
            }
            std::fs::write(&file, bytes).unwrap();
        }
        assert_eq!(world.session("s").life, 1);
    }
    let said = steward_log(&world);
    assert!(said.contains("the index was damaged"), "nobody was told: {said}");
    goes_on(&world);
    whole(&world);
}

#[test]
fn clock_stepped() {
    let world = World::new();
    let clock = world.path().join("clock");
    std::fs::write(&clock, "0").unwrap();
    // Programs built for tests add this file's milliseconds to the time of day.
    let mut run = world.stead_command();
    run.env("STEAD_TEST_CLOCK", &clock);
    let said = run.args(["run", "-d", "-n", "s", "--", "perl", "-e", LINES]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    for round in 0..instants() as i64 {
        let step = (round % 7 - 3) * 3_600_000 * 24 * 365;
        let beside = clock.with_extension("next");
        std::fs::write(&beside, step.to_string()).unwrap();
        std::fs::rename(&beside, &clock).unwrap();
        some_time(20);
        assert_eq!(world.session("s").life, 1);
    }
    goes_on(&world);
    whole(&world);
}

#[test]
fn disk_full() {
    let mut world = World::new();
    world.use_small_disk();
    start_lines(&world);
    let fill = world.path().join("data/fill");
    for _ in 0..instants() {
        some_time(20);
        world.within_shell(&format!("cat /dev/zero > {} 2>/dev/null || true", fill.display()));
        until("the warning", || {
            world.stead(&["logs", "s", "--since", "1ms"]);
            world.session("s").warning
        });
        some_time(20);
        goes_on(&world);
        world.within_shell(&format!("rm {}", fill.display()));
        until("the warning is taken back", || {
            world.stead(&["logs", "s", "--since", "1ms"]);
            world.session("s").warning.is_none().then_some(())
        });
    }
    whole(&world);
}

#[test]
fn a_reboot_brings_sessions_back_by_their_policy() {
    let world = World::new();
    let counts = "echo \"life of $STEAD_SESSION\"; exec cat";
    for (name, restart) in
        [("never", "never"), ("resume", "resume"), ("always", "always"), ("killed", "always")]
    {
        world.ok(&["run", "-d", "-n", name, "--restart", restart, "--", "sh", "-c", counts]);
        world.ok(&["wait", name, "--for", "life of", "--timeout", "60s"]);
    }
    world.ok(&["kill", "killed"]);
    world.stead(&["wait", "killed", "--timeout", "60s"]);
    // What was printed in the last second may be lost with the machine, so it is asked to be written.
    world.ok(&["logs", "resume"]);
    world.lose_everything();

    for (name, life) in [("never", 1), ("resume", 2), ("always", 2), ("killed", 1)] {
        until("the steward has seen to it", || {
            let session = world.session(name);
            (session.exit.is_some() == (life == 1)).then_some(())
        });
        assert_eq!(world.session(name).life, life, "{name}");
    }
    world.ok(&["wait", "resume", "--for", "life of resume", "--timeout", "60s"]);
    // The history goes on where it ended.
    let logs = world.ok(&["logs", "resume"]);
    assert_eq!(logs.matches("life of resume").count(), 2, "{logs}");
    assert_eq!(world.session("never").exit.unwrap().by, stead_wire::session::EndedBy::Lost);
    // A session that ended under its own power comes back only if it always does.
    world.ok(&["send", "always", "--key", "ctrl-d"]);
    until("the third life", || (world.session("always").life == 3).then_some(()));
    world.ok(&["send", "resume", "--key", "ctrl-d"]);
    assert_eq!(world.stead(&["wait", "resume", "--timeout", "60s"]).status, 0);
    assert_eq!(world.session("resume").life, 2);
}
