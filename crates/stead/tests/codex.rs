//! The real Codex in a session, with a stand-in for the model.

mod common;

use common::agents::{Agents, CODEX_ASKS, Gate, same_screen};
use common::until;
use serde_json::{Value, json};
use std::io::Write;
use stead_wire::status::{Source, State};

fn config(agents: &Agents) -> String {
    std::fs::read_to_string(agents.path().join("codex/config.toml")).unwrap()
}

#[test]
fn a_turn_with_a_question_is_answered_from_outside_and_taken_up_after_a_loss() {
    let agents = Agents::codex();
    let own = config(&agents);
    let gate = Gate::new(&agents);
    agents.model.script(&json!([
        {"run": "echo hi > proof.txt; cat gate", "ask": "May I write the proof?"},
        {"say": "The proof says 4711."},
        {"say": "It said 4711."},
    ]));
    agents.start("codex", "s", &[]);
    agents.wait("s", "idle");
    agents.prompt("s", "write the proof");
    agents.wait("s", "waiting");
    agents.wait("s", CODEX_ASKS);
    let screen = agents.ok(&["screen", "s"]);
    assert!(screen.contains("May I write the proof?"), "{screen}");
    assert!(!agents.project().join("proof.txt").exists());

    let mut pipe = agents.confirm_codex("s", || gate.reached());
    agents.wait("s", "running");
    assert_eq!(std::fs::read_to_string(agents.project().join("proof.txt")).unwrap(), "hi\n");
    pipe.write_all(b"through the gate\n").unwrap();
    drop(pipe);
    agents.wait("s", "The proof says 4711.");
    agents.wait("s", "idle");
    let requests = agents.model.requests();
    assert!(requests[1].tool_result().unwrap().contains("through the gate"), "{requests:?}");
    let known = agents.session("s").conversation.expect("the conversation is known");
    assert_eq!(known.source, "hook");
    // Codex itself adds notes of its own; nothing of ours is among them.
    let now = config(&agents);
    assert!(now.starts_with(&own) && !now.contains("hook") && !now.contains("stead-hold"), "{now}");

    agents.ok(&["logs", "s"]);
    agents.lose_everything();
    agents.ok(&["ls"]);
    until("the second life", || (agents.session("s").life == 2).then_some(()));
    let session = agents.session("s");
    let resumed = ["resume".to_owned(), known.id.clone()];
    assert!(session.command.windows(2).any(|pair| pair == resumed), "{:?}", session.command);
    assert_eq!(session.cwd, agents.project());
    agents.wait("s", "The proof says 4711.");
    agents.wait("s", "idle");
    agents.prompt("s", "what did it say");
    agents.wait("s", "It said 4711.");
    agents.wait("s", "idle");
    let requests = agents.model.requests();
    let last = requests.last().unwrap();
    assert!(last.has("user", "write the proof"), "{last:?}");
    assert!(last.has("assistant", "The proof says 4711."), "{last:?}");
    assert_eq!(agents.session("s").conversation.unwrap().id, known.id);
}

#[test]
fn a_turn_goes_on_while_nobody_looks() {
    let agents = Agents::codex();
    agents.model.script(&json!([
        {"hold": "The first half.\n\n", "then": "And the second half."},
    ]));
    agents.start("codex", "s", &[]);
    let stays = agents.terminal(&["attach", "s"]);
    agents.wait("s", "idle");
    let leaves = agents.terminal(&["attach", "s"]);
    agents.prompt("s", "two halves");
    agents.model.wait_held();
    leaves.wait_for("The first half.");
    assert_eq!(leaves.detach(), 0);
    agents.kill_steward();
    let again = agents.terminal(&["attach", "s"]);
    same_screen(&stays, &again, "The first half.");
    assert_eq!(agents.session("s").status.state, State::Running);
    agents.kill_steward();
    agents.model.release();
    stays.wait_for("And the second half.");
    agents.wait("s", "idle");
    same_screen(&stays, &again, "And the second half.");
    assert_eq!(agents.session("s").life, 1);
    agents.ok(&["send", "s", "/quit"]);
    agents.wait("s", "exit Codex");
    agents.ok(&["send", "s", "--key", "enter"]);
    assert_eq!(agents.stead(&["wait", "s", "--timeout", "60s"]).status, 0);
    assert_eq!(agents.session("s").status.source, Source::Exit);
}

#[test]
fn a_headless_run_tells_turns_and_result() {
    let agents = Agents::codex();
    agents.model.script(&json!([
        {"run": "echo from the tool"},
        {"say": "The tool has spoken."},
    ]));
    let project = agents.project();
    let said = agents.stead(&[
        "run",
        "--wait",
        "-n",
        "s",
        "-a",
        "codex",
        "-C",
        project.to_str().unwrap(),
        "--",
        "exec",
        "--json",
        "--skip-git-repo-check",
        // Its own sandbox is not what is tested, and not every machine allows it one.
        "--sandbox",
        "danger-full-access",
        "run the tool",
    ]);
    assert_eq!((said.status, said.out.as_str()), (0, "The tool has spoken.\n"), "{said:?}");
    let status: Value = serde_json::from_str(&agents.ok(&["status", "s", "--json"])).unwrap();
    let report = &status["report"];
    assert_eq!(report["turns"], 1, "{report}");
    assert_eq!(report["result"], "The tool has spoken.", "{report}");
    assert!(report["tokens"]["output"].as_u64().unwrap() > 0, "{report}");
    assert!(status["conversation"]["id"].is_string(), "{status}");
    let requests = agents.model.requests();
    assert!(requests[1].tool_result().unwrap().contains("from the tool"), "{requests:?}");
}
