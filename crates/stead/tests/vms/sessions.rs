//! A session in a guest is as one on the host.

use crate::common::vms::light;
use crate::common::{World, until};

#[test]
fn a_session_in_a_guest_outlives_the_steward_and_comes_back_with_its_machine() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    let terminal = world.terminal(&[
        "run",
        "-m",
        "a",
        "-n",
        "work",
        "--restart",
        "always",
        "--",
        "bash",
        "--norc",
    ]);
    terminal.wait_for("#");
    terminal.line("printf '\\e[1;31mred\\e[0m\\n\\e[4mlines\\e[0m a%sb on %s\\n' 1234 $HOSTNAME");
    terminal.wait_for("a1234b on a");
    terminal.wait_until("the next prompt", |model| {
        model.text().iter().filter(|line| line.starts_with("bash")).count() == 2
    });
    let before = terminal.look(|model| (model.cells(), model.text()));
    assert_eq!(terminal.detach(), 0);
    world.ok(&["run", "-m", "a", "-d", "-n", "once", "--restart", "never", "--", "sleep", "1000"]);

    world.kill_steward();
    let again = world.terminal(&["attach", "work"]);
    again.wait_until("the same text", |model| model.text() == before.1);
    assert_eq!(again.look(stead_hold::term::Terminal::cells), before.0);
    // Killed while somebody is attached, too: what was typed meanwhile is there once.
    world.kill_steward();
    let mut last = world.terminal(&["attach", "work"]);
    last.line("echo still-$((40+2))");
    last.wait_for("still-42");
    assert_eq!(world.session("work").life, 1);
    assert_eq!(last.detach(), 0);
    drop(again);

    world.ok(&["restart", "-m", "a"]);
    let session = until("its next life", || {
        let session = world.session("work");
        (session.life == 2 && session.exit.is_none()).then_some(session)
    });
    assert_eq!(session.life, 2);
    assert!(world.session("once").exit.is_some());
    // What it printed in its first life is in its history.
    assert!(world.ok(&["logs", "work"]).contains("still-42"));
    last = world.terminal(&["attach", "work"]);
    last.line("exit 7");
    until("its third life", || (world.session("work").life == 3).then_some(()));
    world.ok(&["kill", "work"]);
}

/// A shell that counts the lines it is given.
const COUNTS: &str = "i=0; while read -r word; do i=$((i+1)); echo count-$i-of-$word; done";

#[test]
fn a_session_goes_on_from_where_its_machine_was_put_back_to_and_that_is_told() {
    let world = World::of_vms();
    world.apply(&light("a", ""));
    let start = |name: &str, restart: &str| {
        let begin = ["run", "-m", "a", "-d", "-n", name, "--restart", restart, "--"];
        world.ok(&[&begin[..], &["sh", "-c", COUNTS]].concat());
    };
    let say = |name: &str, word: &str, seen: &str| {
        world.ok(&["send", name, word, "--key", "enter"]);
        world.ok(&["wait", name, "--for", seen, "--timeout", "60s"]);
    };
    start("counts", "always");
    start("stays", "never");
    say("counts", "before", "count-1-of-before");
    say("stays", "before", "count-1-of-before");
    world.ok(&["snapshot", "create", "a", "then", "--memory"]);
    // What comes now will not have been.
    say("counts", "lost", "count-2-of-lost");
    start("later", "always");
    say("later", "lost", "count-1-of-lost");
    let lost = world.ok(&["logs", "counts"]);
    assert!(lost.ends_with("count-2-of-lost\n"), "{lost}");
    let goes_on = |name: &str| {
        until("that it goes on", || {
            let session = world.session(name);
            let sees = ["waiting", "running"].map(|state| format!("\"{state}\""));
            let state = serde_json::to_value(&session.status).unwrap()["state"].to_string();
            (session.exit.is_none() && sees.contains(&state)).then_some(session)
        })
    };
    let told = |name: &str| {
        let said = world.stead(&["logs", name]);
        assert_eq!(said.status, 0, "{said:?}");
        (said.out, said.err)
    };

    // Once it was stopped before, and once it runs, with somebody who looks.
    for running in [false, true] {
        let mut looks = running.then(|| world.terminal(&["attach", "counts"]));
        if let Some(looks) = &looks {
            looks.wait_for("count-2-of-after");
            looks.line("again");
            looks.wait_for("count-3-of-again");
        } else {
            world.ok(&["down", "a"]);
            assert!(world.session("counts").exit.is_some());
        }
        world.ok(&["snapshot", "restore", "a", "then"]);
        if !running {
            world.ok(&["up", "a"]);
        }
        for name in ["counts", "stays"] {
            assert_eq!(goes_on(name).life, 1);
            let screen = world.ok(&["screen", name]);
            assert_eq!(screen.trim_end(), "before\ncount-1-of-before", "{name}");
        }
        if let Some(looks) = &mut looks {
            // It ends with what it looked at, and does not show one for the other.
            let status = looks.end();
            assert_ne!(status, 0);
        }
        let terminal = world.terminal(&["attach", "counts"]);
        terminal.wait_for("count-1-of-before");
        terminal.line("after");
        terminal.wait_for("count-2-of-after");
        terminal.look(|model| {
            assert!(!model.text().join("\n").contains("lost"), "{:?}", model.text());
        });
        assert_eq!(terminal.detach(), 0);
        let (out, err) = told("counts");
        assert_eq!(out, "before\ncount-1-of-before\nafter\ncount-2-of-after\n");
        assert!(err.contains("here its machine was put back to an earlier state"), "{err}");
        let folder = world.folder("counts");
        let backs = folder.went_back().unwrap();
        let back = backs.last().unwrap();
        let kept = stead_hold::history::Reader::open(&folder.earlier().join(back.at.to_string()));
        assert_eq!(kept.unwrap().end().unwrap(), back.to);
        // Nothing else of it was lost.
        assert_eq!(told("stays"), ("before\ncount-1-of-before\n".into(), String::new()));
    }
    // What there was not at that time begins anew.
    goes_on("later");
    say("later", "after", "count-1-of-after");
    let (out, err) = told("later");
    assert_eq!(out, "after\ncount-1-of-after\n");
    assert!(err.contains("put back to an earlier state"), "{err}");
}
