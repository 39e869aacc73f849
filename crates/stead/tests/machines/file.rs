//! The stead file, what is planned of it, and what is made.

use crate::common::World;
use serde_json::Value;

#[test]
fn a_stead_file_from_init_to_destroy() {
    let world = World::new();
    let path = world.home().join("stead.toml");
    assert_eq!(world.ok(&["init"]), format!("{}\n", path.display()));
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 3, "{planned:?}");
    assert!(planned.out.contains("+ box  create"), "{planned:?}");
    assert!(planned.out.contains("1 to create"), "{planned:?}");
    let planned = world.stead(&["plan", "--json"]);
    assert_eq!(planned.status, 3);
    let plan: Value = serde_json::from_str(&planned.out).unwrap();
    assert_eq!(plan["counts"]["create"], 1);
    assert_eq!(plan["machines"][0]["action"], "create");
    // A plan changes nothing.
    let machines: Value = serde_json::from_str(&world.ok(&["ls", "--machines", "--json"])).unwrap();
    assert_eq!(machines.as_array().unwrap().len(), 1, "{machines}");

    world.ok(&["apply"]);
    assert_eq!(world.machine("box")["phase"], "running");
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    assert!(planned.out.contains("nothing to do"), "{planned:?}");
    assert_eq!(world.stead(&["plan", "--json"]).status, 0);
    // Its home is shared at the same place.
    std::fs::write(world.home().join("hello"), "from the host").unwrap();
    let said =
        world.stead(&["exec", "box", "--", "cat", &format!("{}/hello", world.home().display())]);
    assert_eq!((said.status, said.out.as_str()), (0, "from the host"), "{said:?}");

    // Applied again, nothing happens to it.
    let id = world.machine("box")["id"].clone();
    let since = world.machine("box")["since"].clone();
    world.ok(&["apply"]);
    assert_eq!((&world.machine("box")["id"], &world.machine("box")["since"]), (&id, &since));

    world.ok(&["down", "box"]);
    world.ok(&["snapshot", "create", "box", "kept"]);
    world.ok(&["up", "box"]);
    world.ok(&["run", "-m", "box", "-d", "-n", "s", "--", "cat"]);
    let refused = world.stead(&["destroy", "box"]);
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(refused.err.contains("destroy box?") && refused.err.contains("--yes"), "{refused:?}");
    assert_eq!(world.machine("box")["phase"], "running");
    let terminal = world.terminal(&["destroy", "box"]);
    terminal.wait_for("destroy box? [y/N]");
    let text = terminal.text().join("\n");
    let goes = ["machine box on sandbox", "state box", "1 snapshot (kept)", "session s"];
    for goes in goes {
        assert!(text.contains(&format!("box: {goes}")), "it does not name {goes}: {text}");
    }
    terminal.line("n");
    terminal.wait_for("nothing was done");
    assert_eq!(world.machine("box")["phase"], "running");
    let told = world.ok(&["destroy", "--yes", "box"]);
    for goes in goes {
        assert!(told.contains(&format!("box: {goes}\n")), "it does not name {goes}: {told}");
    }
    assert!(!told.contains("destroy box?"), "{told}");
    assert_eq!(world.stead(&["exec", "box", "--", "true"]).status, 1);
    // What the session printed is still there, and it is told that its machine is not.
    assert!(world.session("s").exit.is_some());
    assert_eq!(world.stead(&["plan"]).status, 3);
}

#[test]
fn a_machine_that_is_declared_no_more_is_destroyed_only_when_told() {
    let world = World::new();
    world.apply("[machines.a]\n[machines.b]\n");
    world.declare("[machines.a]\n");
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 3);
    assert!(planned.out.contains("- b"), "{planned:?}");
    let refused = world.stead(&["apply"]);
    assert_eq!(refused.status, 2, "{refused:?}");
    assert_eq!(world.machine("b")["phase"], "running");
    // Only what is asked for.
    assert_eq!(world.stead(&["plan", "a"]).status, 0);
    world.ok(&["apply", "--yes"]);
    let machines = world.ok(&["ls", "--machines", "--json"]);
    assert!(
        machines.contains("\"name\":\"a\"") && !machines.contains("\"name\":\"b\""),
        "{machines}"
    );
}

#[test]
fn drift_is_shown_and_put_right_only_when_told() {
    let world = World::new();
    world.apply("[machines.a]\n");
    world.ok(&["down", "a"]);
    assert_eq!(world.machine("a")["phase"], "stopped");
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 3, "{planned:?}");
    assert!(planned.out.contains("start"), "{planned:?}");
    assert_eq!(world.machine("a")["phase"], "stopped");
    world.ok(&["apply"]);
    assert_eq!(world.machine("a")["phase"], "running");
    world.declare("[machines.a]\nrunning = false\n");
    let planned = world.stead(&["plan"]);
    assert!(planned.status == 3 && planned.out.contains("stop"), "{planned:?}");
    world.ok(&["apply"]);
    assert_eq!(world.machine("a")["phase"], "stopped");
    assert_eq!(world.stead(&["plan"]).status, 0);
}

#[test]
fn a_memory_limit_that_is_changed_holds_after_the_restart_that_is_planned() {
    let world = World::new();
    if !world.is_root() {
        println!("SKIPPED: only root may limit memory here");
        return;
    }
    world.apply("[machines.a]\nmemory = \"512MiB\"\n");
    let eat = "import sys; x = b'x' * (int(sys.argv[1]) << 20); print(len(x) >> 20)";
    let take = |mib: &str| world.stead(&["exec", "a", "--", "python3", "-c", eat, mib]);
    assert_eq!(take("200").out, "200\n");
    world.sh_ok("a", "echo kept > /etc/kept");

    world.declare("[machines.a]\nmemory = \"64MiB\"\n");
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 3, "{planned:?}");
    assert!(planned.out.contains("memory") && planned.out.contains("restart"), "{planned:?}");
    // Not yet: a plan changes nothing.
    assert_eq!(take("200").out, "200\n");
    world.ok(&["apply"]);
    assert_eq!(world.stead(&["plan"]).status, 0);
    let limits: Vec<u64> = world
        .cgroups("a")
        .iter()
        .flat_map(|group| ["memory.max", "memory.limit_in_bytes"].map(|file| group.join(file)))
        .filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
        .collect();
    assert_eq!(limits, [64 << 20]);
    assert_eq!(take("16").out, "16\n");
    let refused = take("200");
    assert_ne!(refused.status, 0, "{refused:?}");
    assert_eq!(refused.out, "");
    assert_eq!(world.sh_ok("a", "cat /etc/kept"), "kept\n");
}

#[test]
fn declared_sessions_are_there_once_their_machine_is() {
    let world = World::new();
    world.apply(
        "[machines.a]\n[sessions.work]\nmachine = \"a\"\ncommand = \"sh -c 'echo $WORD; cat'\"\n\
         cwd = \"/var\"\nenv = { WORD = \"declared\" }\n",
    );
    world.ok(&["wait", "work", "--for", "declared", "--timeout", "30s"]);
    assert_eq!(world.session("work").machine, "a");
    // It is not started twice.
    world.ok(&["apply"]);
    let sessions: Value = serde_json::from_str(&world.ok(&["ls", "--json"])).unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
}

#[test]
fn what_goes_is_not_told_where_a_program_reads_events() {
    let world = World::new();
    world.apply("[machines.a]\n[machines.b]\n");
    let told = world.ok(&["destroy", "--yes", "--json", "a", "b"]);
    for line in told.lines() {
        serde_json::from_str::<Value>(line).expect(line);
    }
}

#[test]
fn a_declared_session_that_is_not_there_is_planned() {
    let world = World::new();
    let file = "[machines.a]\n[sessions.work]\nmachine = \"a\"\ncommand = \"cat\"\n";
    world.declare(file);
    let planned = || {
        let said = world.stead(&["plan"]);
        (said.status, said.out.contains("work"))
    };
    assert_eq!(planned(), (3, true));
    world.ok(&["apply"]);
    assert_eq!(planned(), (0, false));
    let first = world.session("work");
    // One that has ended is there: it is its policy's affair.
    world.ok(&["kill", "work"]);
    assert_eq!(planned(), (0, false));
    world.ok(&["rm", "--yes", "work"]);
    assert_eq!(planned(), (3, true));
    // Not on a machine that does not run.
    world.declare(&file.replace("[sessions", "running = false\n[sessions"));
    world.ok(&["apply"]);
    assert_eq!(planned(), (0, false));
    world.declare(file);
    world.ok(&["apply"]);
    let second = world.session("work");
    assert_ne!(first.id, second.id);
    assert_eq!(planned(), (0, false));
    // What is left of one on a machine that was destroyed is in nobody's way.
    world.ok(&["destroy", "--yes", "a"]);
    assert_eq!(planned(), (3, true));
    world.ok(&["apply"]);
    assert_eq!(planned(), (0, false));
    assert_ne!(world.session("work").id, second.id);
    assert_eq!(world.session("work").exit, None);
}
