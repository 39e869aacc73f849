//! A session in a machine is as one on the host.

use crate::common::{World, until};
use std::io::Read;
use std::process::Stdio;
use stead_wire::session::EndedBy;

#[test]
fn a_session_in_a_machine_is_left_and_found_again_as_it_was() {
    let world = World::new();
    let terminal = world.terminal(&["run", "-m", "scratch", "-n", "work", "--", "bash", "--norc"]);
    terminal.wait_for("#");
    terminal.line("printf '\\e[1;31mred\\e[0m\\n\\e[4mlines\\e[0m a%sb on %s\\n' 1234 $HOSTNAME");
    terminal.wait_for("a1234b on scratch");
    terminal.wait_until("the next prompt", |model| {
        model.text().iter().filter(|line| line.starts_with("bash")).count() == 2
    });
    let before = terminal.look(|model| (model.cells(), model.text()));
    assert_eq!(terminal.detach(), 0);

    world.kill_steward();
    let again = world.terminal(&["attach", "work"]);
    again.wait_until("the same text", |model| model.text() == before.1);
    assert_eq!(again.look(stead_hold::term::Terminal::cells), before.0);
    // While it is attached, too.
    again.line("echo still-$((40+2))");
    again.wait_for("still-42");
    assert_eq!(world.session("work").life, 1);
    assert_eq!(again.detach(), 0);
    let mut last = world.terminal(&["attach", "work"]);
    last.line("exit 7");
    assert_eq!(last.end(), 7);
    assert_eq!(world.stead(&["wait", "work"]).status, 7);
}

#[test]
fn a_session_in_a_machine_is_told_from_outside() {
    let world = World::new();
    assert_eq!(world.ok(&["run", "-m", "scratch", "-d", "-n", "s", "--", "bash", "--norc"]), "s\n");
    world.ok(&["wait", "s", "--for", "idle", "--timeout", "30s"]);
    world.ok(&["send", "s", "echo one$((1+1))three", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "one2three", "--timeout", "30s"]);
    assert!(world.ok(&["screen", "s"]).contains("one2three"));
    assert!(world.ok(&["logs", "s"]).contains("one2three"));
    assert!(world.ok(&["search", "one2three"]).contains("one2three"));
    let status = world.ok(&["status", "s", "--explain"]);
    assert!(status.contains("scratch"), "{status}");
    let cast = world.ok(&["export", "s"]);
    assert!(cast.lines().next().unwrap().contains("\"version\":2"), "{cast}");
    assert!(cast.contains("one2three"), "{cast}");

    let mut follow =
        world.stead_command().args(["logs", "-f", "s"]).stdout(Stdio::piped()).spawn().unwrap();
    world.ok(&["send", "s", "echo last-$((6*7)); exit 3", "--key", "enter"]);
    let mut text = String::new();
    follow.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(follow.wait().unwrap().success());
    assert!(text.contains("one2three") && text.contains("last-42"), "{text}");
    assert_eq!(world.stead(&["wait", "s", "--timeout", "30s"]).status, 3);
    world.ok(&["rename", "s", "t"]);
    assert_eq!(world.session("t").exit.unwrap().code, Some(3));
    assert!(world.ok(&["search", "last-42"]).contains("last-42"));
    world.ok(&["rm", "--yes", "t"]);
    assert_eq!(world.ok(&["ls", "--json"]), "[]\n");
    assert_eq!(world.sh_ok("scratch", "ls /var/lib/stead/sessions"), "");
}

#[test]
fn a_session_in_a_machine_is_killed() {
    let world = World::new();
    world.ok(&[
        "run",
        "-m",
        "scratch",
        "-d",
        "-n",
        "s",
        "--restart",
        "always",
        "--",
        "head",
        "-n1",
    ]);
    world.ok(&["send", "s", "--key", "enter"]);
    until("its second life", || (world.session("s").life == 2).then_some(()));
    world.ok(&["kill", "s"]);
    let exit = until("its end", || world.session("s").exit);
    assert_eq!(exit.by, EndedBy::Person);
    // Whoever was killed by a person does not come back with the machine.
    world.ok(&["restart", "-m", "scratch"]);
    assert!(world.session("s").exit.is_some());
    world.ok(&["restart", "s"]);
    assert!(world.session("s").exit.is_none());
}

#[test]
fn the_folder_of_a_share_is_the_folder_inside() {
    let world = World::new();
    world.shared_folder("code/deep");
    world.apply("[machines.a]\nshares = [\"code:/src\"]\n");
    let mut command = world.stead_command();
    command.current_dir(world.home().join("code/deep"));
    command.args(["run", "-m", "a", "--wait", "-n", "s", "--", "sh", "-c", "pwd; touch made"]);
    assert!(command.output().unwrap().status.success());
    assert!(world.ok(&["logs", "s"]).contains("/src/deep"));
    assert!(world.home().join("code/deep/made").exists());
}

#[test]
fn nothing_of_this_environment_goes_in_but_what_is_named() {
    let mut world = World::new();
    world.set_variable("SECRET_OF_THE_HOST", "open-sesame");
    world.declare("[machines.a]\nenv = { OF_THE_MACHINE = \"yes\" }\n");
    let run = ["run", "-m", "a", "--wait", "-n", "s", "-e", "GIVEN=yes", "--", "env"];
    world.ok(&run);
    let logs = world.ok(&["logs", "s"]);
    assert!(logs.contains("GIVEN=yes") && logs.contains("OF_THE_MACHINE=yes"), "{logs}");
    assert!(!logs.contains("open-sesame"), "{logs}");
    let exec = world.sh_ok("a", "env; cat /proc/*/environ 2>/dev/null || true");
    assert!(exec.contains("OF_THE_MACHINE=yes") && !exec.contains("open-sesame"), "{exec}");
}
