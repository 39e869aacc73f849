//! A session's whole life as a person sees it, with the real programs.

mod common;

use common::{Terminal, World, until};

#[test]
fn a_session_is_left_and_found_again_as_it_was() {
    let world = World::new();
    let terminal = world.terminal(&["run", "-n", "work", "--", "bash", "--norc"]);
    terminal.wait_for("$");
    terminal.line("printf 'a%sb\\n' 1234");
    terminal.wait_until("its output and the next prompt", |model| {
        let text = model.text();
        let said = text.iter().position(|line| line.contains("a1234b"));
        said.is_some_and(|at| text[at + 1..].iter().any(|line| line.contains('$')))
    });
    let before = terminal.text();
    assert_eq!(terminal.detach(), 0);

    let again = world.terminal(&["attach", "work"]);
    again.wait_until("the same screen", |model| model.text() == before);
    again.line("exit 7");
    let mut again = again;
    assert_eq!(again.end(), 7);
    assert_eq!(world.stead(&["wait", "work"]).status, 7);
    assert_eq!(world.session("work").exit.unwrap().code, Some(7));
    assert!(world.ok(&["logs", "work"]).contains("a1234b"));
    assert!(world.ok(&["screen", "work"]).contains("a1234b"));
}

#[test]
fn a_session_is_told_from_outside() {
    let world = World::new();
    assert_eq!(world.ok(&["run", "-d", "-n", "s", "--", "bash", "--norc"]), "s\n");
    world.ok(&["wait", "s", "--for", "$", "--timeout", "30s"]);
    world.ok(&["send", "s", "echo one$((1+1))three", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "one2three", "--timeout", "30s"]);
    assert!(world.ok(&["screen", "s"]).contains("one2three"));
    let found = world.ok(&["search", "one2three"]);
    assert!(found.contains("one2three"), "{found}");
    assert_eq!(world.stead(&["search", "nowhere-to-be-found"]).status, 1);
    world.ok(&["rename", "s", "t"]);
    assert_eq!(world.stead(&["status", "s"]).status, 1);
    assert_eq!(world.session("t").name, "t");
    world.ok(&["kill", "t"]);
    assert_eq!(world.stead(&["wait", "t", "--timeout", "30s"]).status, 128 + 1);
    assert_eq!(world.session("t").exit.unwrap().by, stead_wire::session::EndedBy::Person);
    assert_eq!(world.stead(&["rm", "t"]).status, 2);
    world.ok(&["rm", "--yes", "t"]);
    assert_eq!(world.ok(&["ls", "--json"]), "[]\n");
}

#[test]
fn everything_around_a_session_may_go() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "bash", "--norc"]);
    let mut terminal = world.terminal(&["attach", "s"]);
    terminal.wait_for("$");
    terminal.line("echo before-$((40+2))");
    terminal.wait_for("before-42");
    terminal.kill();
    world.kill_steward();
    let again = world.terminal(&["attach", "s"]);
    again.wait_for("before-42");
    world.kill_steward();
    again.line("echo after-$((40+3))");
    again.wait_for("after-43");
    assert_eq!(again.detach(), 0);
    assert_eq!(world.session("s").life, 1);
}

#[test]
fn two_people_share_a_session_and_its_size_has_one_owner() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "bash", "--norc"]);
    let small = world.terminal_of(80, 24, &["attach", "s"]);
    small.wait_for("$");
    let large = world.terminal_of(120, 40, &["attach", "s"]);
    large.wait_for("$");
    until("the size of the one that came last", || {
        (world.session("s").size.cols == 120).then_some(())
    });
    small.wait_for("session is 120x40");
    large.line("stty size");
    large.wait_for("40 120");
    small.wait_for("40 120");
    small.send(b"\x1ct");
    small.wait_until("the whole terminal", |m| !m.text().iter().any(|l| l.contains("session is")));
    small.line("clear; stty size");
    small.wait_for("24 80");
    large.wait_for("session is 80x24");
    assert_eq!(small.detach(), 0);
    until("the size of the one that is left", || {
        (world.session("s").size.cols == 120).then_some(())
    });
    assert_eq!(large.detach(), 0);
}

#[test]
fn who_only_looks_cannot_type() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "cat"]);
    let looks = world.terminal(&["attach", "-r", "s"]);
    let types = world.terminal(&["attach", "s"]);
    looks.send("from-the-looker\r");
    types.line("from-the-typist");
    types.wait_for("from-the-typist");
    looks.wait_for("from-the-typist");
    world.ok(&["send", "s", "and from outside", "--key", "enter"]);
    looks.wait_for("and from outside");
    assert!(!world.ok(&["logs", "s"]).contains("looker"));
    assert_eq!(looks.detach(), 0);
}

#[test]
fn a_hold_needs_no_steward() {
    let world = World::new();
    let made = world.hold(&["create", "-n", "alone", "bash", "--norc"]);
    assert_eq!(made.status, 0, "{made:?}");
    let mut command = world.program(world.programs().join("stead-hold"));
    command.args(["attach", "alone"]);
    let terminal = Terminal::start(&command, 80, 24);
    terminal.wait_for("$");
    terminal.line("echo no-$((2*21))-steward");
    terminal.wait_for("no-42-steward");
    assert_eq!(terminal.detach(), 0);
    assert!(world.hold(&["ls"]).out.contains("alone"));
    assert!(!world.places().steward_socket().exists());
    // The steward finds it all the same.
    assert_eq!(world.session("alone").life, 1);
}

#[test]
fn logs_are_followed_to_the_end() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "sh", "-c", "echo first; read x; echo \"last $x\""]);
    world.ok(&["wait", "s", "--for", "first", "--timeout", "30s"]);
    let follow = world
        .stead_command()
        .args(["logs", "-f", "s"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    world.ok(&["send", "s", "word", "--key", "enter"]);
    let output = follow.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("first") && text.contains("last word"), "{text}");
}

#[test]
fn an_export_is_what_was_printed() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "printf", "\\033[31mred\\033[0m\\n"]);
    assert_eq!(world.stead(&["wait", "s", "--timeout", "30s"]).status, 0);
    assert_eq!(world.ok(&["export", "s", "--format", "raw"]), "\x1b[31mred\x1b[0m\r\n");
    assert_eq!(world.ok(&["export", "s", "--format", "text"]), "red\n");
    let cast = world.ok(&["export", "s"]);
    let mut lines = cast.lines();
    let head: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&head["version"], &head["width"]), (&2.into(), &80.into()));
    assert!(cast.contains("\\u001b[31mred"), "{cast}");
    let replayed = world.ok(&["replay", "s", "--speed", "100"]);
    assert!(replayed.contains("\x1b[31mred"), "{replayed}");
}

#[test]
fn text_carries_no_commands_for_the_terminal() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "printf", "a\\302\\23331mb\\033]52;c;eA==\\007c\\n"]);
    assert_eq!(world.stead(&["wait", "s", "--timeout", "30s"]).status, 0);
    assert_eq!(world.ok(&["logs", "s"]), "a31mbc\n");
    assert_eq!(world.ok(&["export", "s", "--format", "text"]), "a31mbc\n");
    let found = world.ok(&["search", "31mb"]);
    assert!(found.ends_with("a31mbc\n"), "{found:?}");
}

#[test]
fn the_exit_status_is_handed_on() {
    let world = World::new();
    let said = world.stead(&["run", "--wait", "-n", "s", "--", "sh", "-c", "exit 3"]);
    assert_eq!(said.status, 3, "{said:?}");
    let said = world.stead(&["run", "--wait", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(said.status, 137, "{said:?}");
    assert_eq!(world.stead(&["wait", "s", "--for", "idle"]).status, 1);
}

#[test]
fn waiting_gives_up_in_time() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "sleep", "1000"]);
    let said = world.stead(&["wait", "s", "--for", "never", "--timeout", "50ms"]);
    assert_eq!(said.status, 124, "{said:?}");
}

#[test]
fn what_others_print_after_the_end_keeps_nobody() {
    let world = World::new();
    // The loop survives its shell and holds on to the terminal.
    let script = "(trap '' HUP; while echo noise; do :; done) & exit 5";
    world.ok(&["run", "-d", "-n", "s", "--", "bash", "--norc", "-c", script]);
    assert_eq!(world.stead(&["wait", "s", "--timeout", "30s"]).status, 5);
    let hold = world.folder("s").run().unwrap().unwrap();
    until("the hold is gone", || (!stead_hold::launch::alive(&hold)).then_some(()));
}

#[test]
fn a_frozen_client_does_not_keep_an_ended_session() {
    let world = World::new();
    let flood = "read x; yes | head -c 3000000; exit 4";
    world.ok(&["run", "-d", "-n", "s", "--", "sh", "-c", flood]);
    let client = world.terminal(&["attach", "s"]);
    until("the client is there", || (world.session("s").attached == 1).then_some(()));
    let pid = rustix::process::Pid::from_raw(client.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let hold = world.folder("s").run().unwrap().unwrap();
    world.ok(&["send", "s", "--key", "enter"]);
    assert_eq!(world.stead(&["wait", "s", "--timeout", "30s"]).status, 4);
    until("the hold is gone", || (!stead_hold::launch::alive(&hold)).then_some(()));
    world.ok(&["restart", "s"]);
    assert_eq!(world.session("s").life, 2);
}

#[test]
fn a_signal_that_was_survived_is_no_end_by_a_person() {
    let world = World::new();
    let script = "trap 'echo survived' TERM; echo ready; while :; do read x && exit 6; done";
    world.ok(&["run", "-d", "-n", "s", "--restart", "never", "--", "bash", "-c", script]);
    world.ok(&["wait", "s", "--for", "ready", "--timeout", "30s"]);
    world.ok(&["kill", "-s", "TERM", "s"]);
    world.ok(&["wait", "s", "--for", "survived", "--timeout", "30s"]);
    assert!(world.session("s").exit.is_none());
}

#[test]
fn a_session_is_held_once() {
    let world = World::new();
    world.ok(&["run", "-d", "-n", "s", "--", "cat"]);
    let folder = world.folder("s");
    let other = world.path().join("run/other.sock");
    let said = world.hold(&["run", folder.path().to_str().unwrap(), other.to_str().unwrap()]);
    assert!(said.out.contains("another hold has this session already"), "{said:?}");
    assert!(!other.exists());
    assert_eq!(world.session("s").life, 1);
}

#[test]
fn many_commands_at_once_start_one_steward() {
    let world = World::new();
    let children: Vec<_> = (0..12)
        .map(|_| {
            world.stead_command().arg("ls").stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}
