//! Machines go down and come up, by command and by accident, and their sessions with them.

use crate::common::{World, kill_and_wait, until};
use stead_wire::session::{EndedBy, Session};

/// Waits until this session is in its so manieth life and lives.
fn lives(world: &World, name: &str, life: u32) -> Session {
    until(&format!("life {life} of {name}"), || {
        let session = world.session(name);
        (session.life == life && session.exit.is_none()).then_some(session)
    })
}

fn with_sessions() -> World {
    let world = World::new();
    world.apply("[machines.a]\n");
    world.sh_ok("a", "echo first > /etc/mark");
    for restart in ["never", "resume", "always"] {
        let script = format!("echo $(cat /etc/mark):{restart}; exec cat");
        let run = [
            "run",
            "-m",
            "a",
            "-d",
            "-n",
            restart,
            "--restart",
            restart,
            "--",
            "sh",
            "-c",
            &script,
        ];
        world.ok(&run);
        world.ok(&["wait", restart, "--for", &format!(":{restart}"), "--timeout", "30s"]);
    }
    world.sh_ok("a", "echo second > /etc/mark");
    world
}

fn came_back(world: &World) {
    for name in ["resume", "always"] {
        lives(world, name, 2);
        world.ok(&["wait", name, "--for", &format!("second:{name}"), "--timeout", "30s"]);
    }
    let never = world.session("never");
    assert_eq!((never.life, never.exit.unwrap().by), (1, EndedBy::Lost));
}

#[test]
fn sessions_come_back_by_policy_after_down_and_up() {
    let world = with_sessions();
    world.ok(&["down", "a"]);
    for name in ["never", "resume", "always"] {
        assert!(world.session(name).exit.is_some(), "{name}");
        assert!(world.ok(&["logs", name]).contains(&format!("first:{name}")));
    }
    assert_eq!(world.sh("a", "true").status, 1);
    world.ok(&["up", "a"]);
    came_back(&world);
}

#[test]
fn sessions_come_back_by_policy_after_a_restart() {
    let world = with_sessions();
    world.ok(&["restart", "a"]);
    came_back(&world);
}

#[test]
fn a_restart_that_takes_its_time_starts_sessions_once() {
    let world = World::new();
    world.apply("[machines.a]\n");
    // It takes a while to say good-bye, so that the loss of the stream is noticed before the machine is up again.
    let script = "trap 'sleep 1; exit' TERM HUP; echo begun; while :; do sleep 0.1; done";
    world.ok(&["run", "-m", "a", "-d", "-n", "s", "--", "sh", "-c", script]);
    world.ok(&["wait", "s", "--for", "begun", "--timeout", "30s"]);
    for life in 2..5 {
        world.ok(&["restart", "-m", "a"]);
        lives(&world, "s", life);
        world.ok(&["wait", "s", "--for", "begun", "--timeout", "30s"]);
    }
}

#[test]
fn a_restore_that_is_refused_loses_no_session() {
    let world = World::new();
    world.apply("[machines.a]\n");
    world.ok(&["run", "-m", "a", "-d", "-n", "s", "--restart", "always", "--", "cat"]);
    let before = world.session("s");
    assert_ne!(world.stead(&["snapshot", "restore", "a", "no-such"]).status, 0);
    world.ok(&["send", "s", "still-here", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "still-here", "--timeout", "30s"]);
    let after = world.session("s");
    assert_eq!((after.life, after.pid), (1, before.pid));
}

#[test]
fn a_sandbox_that_is_killed_is_told_and_comes_up_again() {
    let world = with_sessions();
    // Whoever reads it has it written down.
    assert!(world.ok(&["logs", "resume"]).contains("first:resume"));
    kill_and_wait(world.sandbox("a")["init"].as_i64().unwrap() as i32, 9);
    until("the loss is told", || {
        let exit = world.session("never").exit?;
        (exit.by == EndedBy::Lost).then_some(())
    });
    assert_eq!(world.machine("a")["phase"], "stopped");
    assert_eq!(world.stead(&["plan"]).status, 3);
    world.ok(&["up", "a"]);
    came_back(&world);
    // What was printed before lay inside, and is there again.
    assert!(world.ok(&["logs", "resume"]).contains("first:resume"));
}

#[test]
fn a_steward_that_comes_back_finds_machines_and_sessions() {
    let world = with_sessions();
    world.kill_steward();
    std::fs::remove_file(world.places().data.join("index.sqlite")).unwrap();
    for name in ["never", "resume", "always"] {
        let session = lives(&world, name, 1);
        assert_eq!(session.machine, "a");
    }
    assert_eq!(world.machine("a")["phase"], "running");
    assert_eq!(world.stead(&["plan"]).status, 0);
    world.ok(&["send", "resume", "typed-after", "--key", "enter"]);
    world.ok(&["wait", "resume", "--for", "typed-after", "--timeout", "30s"]);
    // A host that goes down takes all with it, and the next steward brings up what was up.
    world.lose_everything();
    until("the machine is up again", || (world.machine("a")["phase"] == "running").then_some(()));
    came_back(&world);
}

#[test]
fn a_steward_with_another_runtime_folder_finds_machines_and_sessions() {
    let mut world = World::new();
    world.apply("[machines.a]\n");
    world.ok(&["run", "-m", "a", "-d", "-n", "s", "--", "cat"]);
    let init = world.sandbox("a")["init"].clone();
    world.kill_steward();
    let other = world.path().join("other");
    std::fs::create_dir(&other).unwrap();
    world.give(&other);
    world.set_variable("XDG_RUNTIME_DIR", other.to_str().unwrap());
    world.ok(&["up", "a"]);
    assert_eq!(world.sandbox("a")["init"], init);
    assert!(!other.join("stead/machines/a").exists(), "no second one");
    assert_eq!(lives(&world, "s", 1).machine, "a");
    world.ok(&["send", "s", "typed-there", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "typed-there", "--timeout", "30s"]);
    world.sh_ok("a", "true");
    // Stopped and started it lies there, and this one finds it, too.
    world.ok(&["restart", "-m", "a"]);
    lives(&world, "s", 2);
    assert!(other.join("stead/machines/a/run.json").exists());
    world.ok(&["steward", "stop"]);
    world.set_variable("XDG_RUNTIME_DIR", world.path().join("run").to_str().unwrap());
    assert_eq!(world.machine("a")["phase"], "running");
    lives(&world, "s", 2);
    world.ok(&["down", "a"]);
    assert!(!other.join("stead/machines/a").exists());
}

#[test]
fn the_sessions_of_a_destroyed_machine_do_not_return_to_another_of_its_name() {
    let world = World::new();
    let file = "[machines.a]\n";
    world.apply(file);
    for round in 1..=2 {
        let name = format!("old{round}");
        world.ok(&["run", "-m", "a", "-d", "-n", &name, "--restart", "always", "--", "cat"]);
        lives(&world, &name, 1);
        // By name, and by a file that declares it no more.
        if round == 1 {
            world.ok(&["destroy", "--yes", "a"]);
        } else {
            world.apply("");
        }
        assert_eq!(world.session(&name).exit.unwrap().by, EndedBy::Person);
        world.apply(file);
        // Once this one is told of, the others have been decided about.
        let other = format!("new{round}");
        world.ok(&["run", "-m", "a", "-d", "-n", &other, "--", "cat"]);
        world.kill_steward();
        lives(&world, &other, 1);
        let old = world.session(&name);
        assert_eq!((old.life, old.exit.map(|exit| exit.by)), (1, Some(EndedBy::Person)));
    }
}
