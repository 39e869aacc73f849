//! Declared systems by `stead plan` and `stead apply`.

mod common;

use common::{World, kill_and_wait, said};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

/// A system that a copy of this host can be brought to without a network.
const SYSTEM: &str = r#"
[systems.dev]
timezone = "Europe/Berlin"
updates = "off"
audit_log = false
ssh = { enable = false }
disk = { grow = false }

[systems.dev.users.ada]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"]

[systems.dev.services.tick]
command = ["/bin/true"]
calendar = "daily"
"#;

/// That what fails in a machine fails there: nobody can be added to it.
const NOBODY_COMES_IN: &str = "printf '#!/bin/sh\necho no room >&2\nexit 1\n' >/usr/local/sbin/useradd && chmod 755 /usr/local/sbin/useradd";

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: machines with everything are root's");
    }
    root
}

/// A stead file with these machines' tables.
fn file(machines: &str) -> String {
    format!("{machines}{SYSTEM}")
}

const BOX: &str = "[machines.box]\nsystem = \"dev\"\negress = \"none\"\n";

/// What the plan says of a machine's system.
fn planned(world: &World, machine: &str) -> Value {
    let said = world.stead(&["plan", "--json"]);
    let plan: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let all = plan["machines"].as_array().unwrap();
    all.iter().find(|entry| entry["name"] == machine).unwrap()["system"].clone()
}

fn as_declared(world: &World) {
    let said = world.stead(&["plan"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.starts_with("nothing to do; "), "{said:?}");
    assert_eq!(planned(world, "box")["action"], "nothing");
}

/// `stead apply`, which goes on while the test does.
fn apply(world: &World, more: &[&str]) -> Child {
    let mut command = world.stead_command();
    command.args(["apply", "--yes"]).args(more).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_system_is_planned_and_applied_and_then_there_is_nothing_to_do() {
    if !root() {
        return;
    }
    let world = World::new();
    world.declare(&file(BOX));
    let plan = world.stead(&["plan"]);
    assert_eq!(plan.status, 3, "{plan:?}");
    assert!(plan.out.contains("+ box  create "), "{plan:?}");
    assert!(plan.out.contains("then switch system dev: it was never brought\n"), "{plan:?}");
    assert!(plan.out.ends_with("1 to create, 1 system to switch\n"), "{plan:?}");
    let said = world.stead(&["apply", "--yes"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.err.contains("box: system dev: ") && said.err.contains(" changed"), "{said:?}");
    world.sh_ok("box", "id ada && test -e /etc/systemd/system/tick.service");
    as_declared(&world);

    // Another declaration is another system.
    world.declare(&file(BOX).replace("Europe/Berlin", "Europe/Paris"));
    let plan = world.stead(&["plan"]);
    assert_eq!(plan.status, 3, "{plan:?}");
    assert!(
        plan.out.starts_with("~ box  switch   system dev: otherwise than brought: "),
        "{plan:?}"
    );
    assert_eq!(planned(&world, "box")["action"], "switch");
    let said = world.ok(&["apply", "--yes", "--json"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_system = |line: &&Value| line["machine"] == "box" && line["system"] == "dev";
    let summary = lines.iter().filter(of_system).find(|line| line["summary"].is_object());
    assert_eq!(summary.unwrap()["summary"]["failed"], 0, "{said}");
    assert_eq!(lines.last().unwrap(), &serde_json::json!({ "done": null }));
    assert!(world.sh_ok("box", "readlink /etc/localtime").ends_with("Europe/Paris\n"));
    as_declared(&world);

    // A restart leaves it; another state is brought to it again, and has it already.
    world.ok(&["snapshot", "create", "box", "then"]);
    world.ok(&["restart", "-m", "box"]);
    as_declared(&world);
    world.ok(&["snapshot", "restore", "box", "then"]);
    assert_eq!(planned(&world, "box")["why"], "it was never brought");
    let said = world.stead(&["apply", "--yes"]);
    assert!(said.status == 0 && said.err.contains("box: system dev: as declared\n"), "{said:?}");
    as_declared(&world);
}

#[test]
fn a_machine_that_is_declared_stopped_is_not_started_for_it_and_this_host_is_left_alone() {
    if !root() {
        return;
    }
    let world = World::new();
    let host = "[machines.host]\nengine = \"host\"\nsystem = \"dev\"\n";
    world.apply(&file(&format!("{BOX}running = false\n{host}")));
    assert_eq!(world.machine("box")["phase"], "stopped");
    let plan = world.stead(&["plan"]);
    assert_eq!(plan.status, 0, "{plan:?}");
    assert!(plan.out.contains("system dev waits until the machine runs"), "{plan:?}");
    assert!(plan.out.contains("waits for `stead system switch`: it is this computer"), "{plan:?}");
    assert!(!std::path::Path::new("/etc/systemd/system/tick.service").exists());
    world.apply(&file(BOX));
    world.sh_ok("box", "id ada");
    as_declared(&world);
}

#[test]
fn a_switch_that_fails_is_told_and_the_others_go_on() {
    if !root() {
        return;
    }
    let world = World::new();
    let machines = "[machines.bad]\negress = \"none\"\n[machines.box]\negress = \"none\"\n";
    world.apply(machines);
    world.sh_ok("bad", NOBODY_COMES_IN);
    let sessions = "[sessions.lost]\nmachine = \"bad\"\ncommand = [\"sleep\", \"1000\"]\n\
                    [sessions.found]\nmachine = \"box\"\ncommand = [\"sleep\", \"1000\"]\n";
    let with_systems = machines.replace("egress", "system = \"dev\"\negress");
    world.declare(&file(&format!("{with_systems}{sessions}")));
    let said = world.stead(&["apply", "--yes"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("bad: failed: ") && said.err.contains("no room"), "{said:?}");
    assert!(said.err.contains("bad: system dev: ") && said.err.contains(" failed"), "{said:?}");
    assert_eq!(world.machine("bad")["phase"], "running");
    world.sh_ok("box", "id ada");
    let listed = world.ok(&["ls"]);
    assert!(listed.contains("found") && !listed.contains("lost"), "{listed}");
    let plan = world.stead(&["plan"]);
    assert_eq!(plan.status, 3, "{plan:?}");
    assert!(plan.out.contains("bad  switch   system dev: the last switch failed"), "{plan:?}");
    assert!(plan.out.contains("1 as declared"), "{plan:?}");
    // Once what was in the way is gone, the rest is done.
    world.sh_ok("bad", "rm /usr/local/sbin/useradd");
    world.ok(&["apply", "--yes"]);
    world.sh_ok("bad", "id ada");
    assert!(world.ok(&["ls"]).contains("lost"));
    as_declared(&world);
}

/// Machine `box`, where adding a user says so and then waits until the test says that it may.
fn with_a_slow_machine(world: &World) -> [std::path::PathBuf; 2] {
    let folder = world.shared_folder("told");
    let pipes = ["at", "go"].map(|name| folder.join(name));
    for pipe in &pipes {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
    }
    let machine = format!("{BOX}shares = [\"told:/told\"]\n");
    world.apply(&machine.replace("system = \"dev\"\n", ""));
    world.sh_ok(
        "box",
        "printf '#!/bin/sh\necho here >/told/at\ncat /told/go >/dev/null\nexec /usr/sbin/useradd \"$@\"\n' \
         >/usr/local/sbin/useradd && chmod 755 /usr/local/sbin/useradd",
    );
    world.declare(&file(&machine));
    pipes
}

fn wait_at(pipe: &std::path::Path) {
    let mut said = String::new();
    std::fs::File::open(pipe).unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "here\n");
}

#[test]
fn a_command_that_is_killed_in_a_switch_is_asked_again() {
    if !root() {
        return;
    }
    let world = World::new();
    let [at, go] = with_a_slow_machine(&world);
    let mut first = apply(&world, &[]);
    wait_at(&at);
    kill_and_wait(i32::try_from(first.id()).unwrap(), 9);
    first.wait().unwrap();
    assert_eq!(planned(&world, "box")["why"], "the last switch failed or was cut short");
    // What was begun inside goes on; the second waits for it, and says so.
    let mut second = apply(&world, &[]);
    let mut told = BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("another switch of this machine goes on") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0);
    }
    std::fs::OpenOptions::new().write(true).open(&go).unwrap().write_all(b"\n").unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(second.wait().unwrap().success(), "{rest}");
    world.sh_ok("box", "id ada");
    as_declared(&world);
}

#[test]
fn a_steward_that_is_killed_in_a_switch_leaves_it_to_its_end() {
    if !root() {
        return;
    }
    let world = World::new();
    let [at, go] = with_a_slow_machine(&world);
    let child = apply(&world, &[]);
    wait_at(&at);
    world.kill_steward();
    std::fs::OpenOptions::new().write(true).open(&go).unwrap().write_all(b"\n").unwrap();
    let said = said(&child.wait_with_output().unwrap());
    assert_eq!(said.status, 0, "{said:?}");
    as_declared(&world);
}

/// Killed at the first line that it says, at the second, and so on until it says no more. Whenever the plan says that all
/// is as declared, it is; and what is asked for again is done.
#[test]
fn an_apply_that_is_killed_at_any_line_is_done_by_the_next() {
    if !root() {
        return;
    }
    let world = World::new();
    let with = file(BOX);
    let without = with.replace("Berlin", "Paris");
    let without = without.split("\n[systems.dev.services.tick]").next().unwrap();
    let mut lines = 1;
    loop {
        world.declare(if lines % 2 == 0 { without } else { &with });
        let mut child = apply(&world, &["--json"]);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = said.by_ref().take(lines).last().unwrap().unwrap();
        if last == r#"{"done":null}"# {
            assert!(child.wait().unwrap().success());
            break;
        }
        kill_and_wait(i32::try_from(child.id()).unwrap(), 9);
        child.wait().unwrap();
        if world.stead(&["plan"]).status == 0 {
            let said = world.stead(&["system", "switch", "box", "--check"]);
            assert_eq!(said.status, 0, "after {lines} lines: {said:?}");
        }
        world.ok(&["apply", "--yes"]);
        as_declared(&world);
        assert_eq!(world.ok(&["system", "switch", "box"]), "box: as declared\n");
        lines += 1;
    }
    assert!(lines > 3, "it said only {lines} lines");
    as_declared(&world);
}
