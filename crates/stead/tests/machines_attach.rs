//! A terminal at a session in a machine, when what lies between them goes away.

mod common;

use common::{Terminal, World, kill_and_wait};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixListener;

/// Whether a sandbox can be made here; says why not.
fn can(world: &World) -> bool {
    let said = world.stead(&["run", "-m", "scratch", "-d", "-n", "probe", "--", "true"]);
    if said.status != 0 {
        eprintln!("skipped: no sandbox here: {}", said.err);
    }
    said.status == 0
}

/// A session on a machine, and somebody who sits at it.
fn at_a_session(world: &World) -> Terminal {
    world.ok(&["run", "-m", "scratch", "-d", "-n", "s", "--", "sh", "-c", "echo begun; exec cat"]);
    let terminal = world.terminal(&["attach", "s"]);
    terminal.wait_for("begun");
    terminal
}

fn sees_it_again(terminal: &Terminal) {
    terminal.wait_until("the session again", |model| {
        let text = model.text().join("\n");
        text.contains("begun") && !text.contains("lost sight")
    });
}

#[test]
fn a_terminal_stays_at_its_session_when_the_steward_is_killed() {
    let world = World::new();
    if !can(&world) {
        return;
    }
    let terminal = at_a_session(&world);
    for round in 0..3 {
        world.kill_steward();
        // The kill is told, and the picture that comes after it wipes that away.
        terminal.wait_for_bytes(&format!("the loss number {}", round + 1), |raw| {
            String::from_utf8_lossy(raw).matches("[lost sight of s").count() > round
        });
        sees_it_again(&terminal);
        terminal.line(&format!("round {round}"));
        terminal.wait_for(&format!("round {round}"));
    }
    assert_eq!(terminal.detach(), 0);
    world.ok(&["kill", "s"]);
    world.ok(&["destroy", "--yes", "scratch"]);
}

/// A steward that is dying still takes connections, and answers none of them.
#[test]
fn a_terminal_asks_again_when_the_steward_it_asks_goes_away() {
    let world = World::new();
    if !can(&world) {
        return;
    }
    let terminal = at_a_session(&world);
    let steward = world.steward_pid().unwrap();
    // So that it does not put its socket back.
    kill_process(Pid::from_raw(steward).unwrap(), Signal::STOP).unwrap();
    let socket = world.places().steward_socket();
    std::fs::remove_file(&socket).unwrap();
    let dying = UnixListener::bind(&socket).unwrap();
    kill_and_wait(steward, 9);
    std::thread::spawn(move || {
        for _ in 0..2 {
            drop(dying.accept().unwrap());
        }
        std::fs::remove_file(&socket).unwrap();
    });
    terminal.wait_for_bytes("three losses", |raw| {
        String::from_utf8_lossy(raw).matches("[lost sight of s").count() >= 3
    });
    sees_it_again(&terminal);
    terminal.line("still here");
    terminal.wait_for("still here");
    assert_eq!(terminal.detach(), 0);
    world.ok(&["kill", "s"]);
    world.ok(&["destroy", "--yes", "scratch"]);
}
