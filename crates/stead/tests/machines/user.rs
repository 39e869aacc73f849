//! All of it for a user with few rights.

use crate::common::{World, again_as_an_ordinary_user};
use crate::states::is_kept_and_put_back;

#[test]
fn an_ordinary_user_has_machines_too() {
    let mut world = World::new();
    world.become_nobody();
    if !world.sandboxes_work() {
        return;
    }
    world.apply("[machines.a]\n");
    assert_eq!(world.sh_ok("a", "id -u; hostname"), "0\na\n");
    assert_eq!(world.sh("a", "exit 7").status, 7);
    let terminal = world.terminal(&[
        "run",
        "-m",
        "a",
        "-n",
        "s",
        "--restart",
        "resume",
        "--",
        "bash",
        "--norc",
    ]);
    terminal.wait_for("#");
    terminal.line("echo a$((1+2))b");
    terminal.wait_for("a3b");
    terminal.wait_until("the next prompt", |model| {
        model.text().iter().filter(|line| line.starts_with("bash")).count() == 2
    });
    let before = terminal.text();
    assert_eq!(terminal.detach(), 0);
    world.kill_steward();
    let again = world.terminal(&["attach", "s"]);
    again.wait_until("the same screen", |model| model.text() == before);
    assert_eq!(again.detach(), 0);
    let shared = world.shared_folder("shared");
    world.apply("[machines.a]\nshares = [\"shared:/shared\"]\n");
    world.sh_ok("a", "echo made > /shared/file");
    assert_eq!(std::fs::read_to_string(shared.join("file")).unwrap(), "made\n");
    is_kept_and_put_back(&world);
    world.ok(&["destroy", "--yes", "a"]);
}

/// The agents lie where only their owner may go.
#[test]
fn everything_again_as_an_ordinary_user() {
    again_as_an_ordinary_user(&["agents::", "user::"]);
}
