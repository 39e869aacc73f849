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
