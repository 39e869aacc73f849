//! The real Claude Code in a session, with a stand-in for the model.

mod common;

use common::agents::{Agents, Gate, claude_state, same_screen};
use common::{World, until};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use stead_wire::session::EndedBy;
use stead_wire::status::{Source, State};

/// A permission question as a person sees it, once it takes an answer.
const QUESTION: &str = "Do you want to proceed?";
const QUESTION_ENDS: &str = "Esc to cancel · Tab to amend";

fn state(world: &World, name: &str) -> (State, Source) {
    let status = world.session(name).status;
    (status.state, status.source)
}

/// Waits until this source says this.
fn until_state(world: &World, name: &str, wanted: State, source: Source) {
    until(&format!("{name} is {wanted} by {source:?}"), || {
        (state(world, name) == (wanted, source)).then_some(())
    });
}

/// Settings that belong to the person, with a hook that leaves a trace.
struct OwnSettings(Vec<(PathBuf, Vec<u8>)>);

impl OwnSettings {
    fn write(agents: &Agents) -> Self {
        let trace = format!("echo told >> {}", agents.path().join("own-hook").display());
        let hook = json!([{"hooks": [{"type": "command", "command": trace}]}]);
        let own = json!({"hooks": {"Stop": hook}, "includeCoAuthoredBy": false});
        let mut files = Vec::new();
        for (folder, text) in [
            (agents.home(), serde_json::to_string_pretty(&own).unwrap()),
            (agents.project(), "{\"env\": {\"OF_THE_PROJECT\": \"1\"}}\n".into()),
        ] {
            let folder = folder.join(".claude");
            std::fs::create_dir(&folder).unwrap();
            let file = folder.join("settings.json");
            std::fs::write(&file, &text).unwrap();
            files.push((file, text.into_bytes()));
        }
        OwnSettings(files)
    }

    fn assert_untouched(&self) {
        for (file, text) in &self.0 {
            assert_eq!(&std::fs::read(file).unwrap(), text, "{}", file.display());
        }
    }
}

#[test]
fn a_turn_with_a_question_is_answered_from_outside() {
    let agents = Agents::claude();
    let own = OwnSettings::write(&agents);
    let proof = agents.project().join("proof.txt");
    let gate = Gate::new(&agents);
    agents.model.script(&json!([
        {"say": "Let me look.", "run": "echo hi > proof.txt; cat gate"},
        {"say": "The proof is written."},
        {"run": "echo again > second.txt"},
    ]));
    agents.start("claude", "s", &[]);
    // Its title says so before its hook does.
    agents.wait("s", "idle");
    until_state(&agents, "s", State::Idle, Source::Hook);

    agents.prompt("s", "write the proof");
    agents.wait("s", "waiting");
    assert_eq!(state(&agents, "s"), (State::Waiting, Source::Hook));
    agents.wait("s", QUESTION_ENDS);
    let screen = agents.ok(&["screen", "s"]);
    assert!(screen.contains(QUESTION) && screen.contains("echo hi > proof.txt"), "{screen}");
    assert!(!proof.exists());

    agents.ok(&["send", "s", "1"]);
    // The tool is at work until somebody writes into its pipe.
    let mut pipe = until("the tool runs", || gate.reached());
    agents.wait("s", "running");
    assert_ne!(agents.session("s").status.source, Source::Screen);
    assert_eq!(std::fs::read_to_string(&proof).unwrap(), "hi\n");
    pipe.write_all(b"through the gate\n").unwrap();
    drop(pipe);
    agents.wait("s", "idle");
    until_state(&agents, "s", State::Idle, Source::Hook);
    agents.wait("s", "The proof is written.");
    assert_eq!(agents.session("s").report.unwrap().turns, 1);
    let requests = agents.model.requests();
    assert!(requests[1].tool_result().unwrap().contains("through the gate"), "{requests:?}");

    // A question that is dismissed ends the turn, though no hook says so.
    agents.prompt("s", "and again");
    agents.wait("s", QUESTION_ENDS);
    agents.wait("s", "waiting");
    agents.ok(&["send", "s", "--key", "esc"]);
    agents.wait("s", "idle");
    assert!(!agents.project().join("second.txt").exists());

    agents.ok(&["send", "s", "/exit"]);
    agents.wait("s", "Exit the CLI");
    agents.ok(&["send", "s", "--key", "enter"]);
    assert_eq!(agents.stead(&["wait", "s", "--timeout", "60s"]).status, 0);
    assert_eq!(state(&agents, "s"), (State::Exited, Source::Exit));
    let exit = agents.session("s").exit.unwrap();
    assert_eq!((exit.code, exit.by), (Some(0), EndedBy::Itself));
    own.assert_untouched();
    assert!(agents.path().join("own-hook").exists(), "the person's own hook did not run");
}

#[test]
fn a_turn_goes_on_while_nobody_looks() {
    let agents = Agents::claude();
    agents.model.script(&json!([
        {"lines": 40},
        {"hold": "The first half.\n\n", "then": "And the second half.", "run": "echo $((6*7)) | tr 4 f"},
        {"say": "All is said."},
    ]));
    agents.start("claude", "s", &[]);
    let stays = agents.terminal(&["attach", "s"]);
    agents.wait("s", "idle");
    agents.prompt("s", "many lines");
    stays.wait_for("line 40 of 40");
    agents.wait("s", "idle");

    let leaves = agents.terminal(&["attach", "s"]);
    same_screen(&stays, &leaves, "line 40 of 40");
    agents.prompt("s", "two halves");
    agents.model.wait_held();
    leaves.wait_for("The first half.");
    assert_eq!(leaves.detach(), 0);
    agents.kill_steward();
    // Whatever runs starts the steward again; the session has noticed nothing.
    let again = agents.terminal(&["attach", "s"]);
    same_screen(&stays, &again, "The first half.");
    assert_eq!(agents.session("s").life, 1);
    assert_eq!(agents.session("s").status.state, State::Running);
    agents.kill_steward();
    agents.model.release();
    for terminal in [&stays, &again] {
        terminal.wait_for("And the second half.");
        terminal.wait_for("All is said.");
    }
    agents.wait("s", "idle");
    same_screen(&stays, &again, "All is said.");
    let late = agents.terminal(&["attach", "s"]);
    same_screen(&stays, &late, "All is said.");
    // The steward that has never seen this session alive knows all of it.
    let session = agents.session("s");
    assert_eq!((session.life, session.status.source), (1, Source::Hook));
    assert_eq!(session.report.unwrap().turns, 2);
    assert!(agents.model.requests().last().unwrap().tool_result().unwrap().contains("f2"));
    let logs = agents.ok(&["logs", "s"]);
    for i in 1..=40 {
        assert!(logs.contains(&format!("line {i} of 40")), "{i}: {logs}");
    }
}

/// Hands a hook to the session as an agent would.
fn hook(agents: &Agents, name: &str, payload: &str) {
    let socket = agents.places().hold_socket(&agents.session(name).id);
    let mut command = agents.program(agents.programs().join("stead-hold"));
    command.arg("hook").env("STEAD_HOLD_SOCKET", socket).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    // Never in the agent's way.
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn a_conversation_is_taken_up_again_after_everything_is_lost() {
    let agents = Agents::claude();
    let own = OwnSettings::write(&agents);
    agents.model.script(&json!([
        {"say": "I shall remember the number 4711."},
        {"say": "It was 4711."},
    ]));
    agents.start("claude", "s", &[]);
    agents.start("claude", "killed", &[]);
    agents.wait("s", "idle");
    agents.prompt("s", "remember this number");
    agents.wait("s", "I shall remember");
    agents.wait("s", "idle");
    agents.wait("killed", "idle");
    agents.ok(&["kill", "killed"]);
    agents.stead(&["wait", "killed", "--timeout", "60s"]);

    let known = agents.session("s").conversation.unwrap();
    assert_eq!(known.source, "hook");
    for payload in [
        "no JSON at all",
        "",
        "{\"hook_event_name\": \"Stop\"}",
        "{\"hook_event_name\": \"Stop\", \"session_id\": null}",
        "{\"hook_event_name\": \"Stop\", \"session_id\": \"\"}",
        "{\"hook_event_name\": \"Stop\", \"session_id\": \"--dangerously-skip-permissions\"}",
        "{\"session_id\": \"an-id-without-an-event\"}",
    ] {
        hook(&agents, "s", payload);
    }
    assert_eq!(agents.session("s").conversation.as_ref(), Some(&known));
    assert_eq!(agents.folder("s").conversation().unwrap().unwrap().id, known.id);

    // Claude Code writes its conversation down a moment after the turn.
    until("the conversation is written down", || {
        let projects = agents.home().join(".claude/projects");
        let mut files = std::fs::read_dir(projects).ok()?.flatten().map(|project| {
            std::fs::read_to_string(project.path().join(format!("{}.jsonl", known.id)))
        });
        files.any(|text| text.is_ok_and(|text| text.contains("4711"))).then_some(())
    });
    // What was printed in the last second may go with the machine, so it is asked to be written.
    agents.ok(&["logs", "s"]);
    agents.lose_everything();
    agents.ok(&["ls"]);
    until("the second life", || (agents.session("s").life == 2).then_some(()));
    agents.wait("s", "idle");
    let session = agents.session("s");
    assert_eq!(session.conversation.as_ref().map(|c| &c.id), Some(&known.id));
    assert_eq!(session.cwd, agents.project());
    let resumed = ["--resume".to_owned(), known.id.clone()];
    assert!(session.command.windows(2).any(|pair| pair == resumed), "{:?}", session.command);
    assert!(!session.command.contains(&"--session-id".to_owned()), "{:?}", session.command);
    agents.wait("s", "I shall remember the number 4711.");
    until_state(&agents, "s", State::Idle, Source::Hook);

    agents.prompt("s", "which number was it");
    agents.wait("s", "It was 4711.");
    agents.wait("s", "idle");
    let requests = agents.model.requests();
    let last = requests.last().unwrap();
    assert!(last.has("user", "remember this number"), "{last:?}");
    assert!(last.has("assistant", "I shall remember the number 4711."), "{last:?}");
    assert!(last.has("user", "which number was it"), "{last:?}");
    assert_eq!(agents.session("s").conversation.unwrap().id, known.id);
    // The history is one.
    let logs = agents.ok(&["logs", "s"]);
    assert!(logs.contains("remember this number") && logs.contains("It was 4711."), "{logs}");

    let killed = agents.session("killed");
    assert_eq!((killed.life, killed.exit.unwrap().by), (1, EndedBy::Person));
    own.assert_untouched();
}

#[test]
fn screens_before_the_first_prompt_wait_for_a_person() {
    let mut agents = Agents::claude();
    let state_of = |agents: &Agents, forget: &str| {
        let home = agents.path().join(forget);
        std::fs::create_dir(&home).unwrap();
        let mut state = claude_state(&agents.project());
        state.as_object_mut().unwrap().remove(forget);
        std::fs::write(home.join(".claude.json"), state.to_string()).unwrap();
        home.display().to_string()
    };
    for (forget, asks) in [
        ("projects", "Yes, I trust this folder"),
        ("customApiKeyResponses", "Do you want to use this API key?"),
    ] {
        let home = state_of(&agents, forget);
        agents.start_with("claude", forget, &[], &[("HOME", &home)]);
        agents.wait(forget, "waiting");
        agents.wait(forget, asks);
        let (state, source) = state(&agents, forget);
        assert_eq!(state, State::Waiting);
        assert!(matches!(source, Source::Screen | Source::Process), "{source:?}");
        agents.ok(&["kill", forget]);
    }
    agents.set_variable("ANTHROPIC_API_KEY", "");
    agents.start("claude", "login", &[]);
    agents.wait("login", "idle");
    agents.prompt("login", "/login");
    agents.wait("login", "Select login method");
    agents.wait("login", "waiting");
    agents.ok(&["send", "login", "--key", "esc"]);
    agents.wait("login", "idle");
}

#[test]
fn a_headless_run_tells_turns_cost_and_result() {
    let agents = Agents::claude();
    agents.model.script(&json!([
        {"run": "echo hi > proof.txt"},
        {"say": "The proof is written."},
        {"error": 400},
    ]));
    let project = agents.project();
    let headless = |name: &str, prompt: &str| {
        agents.stead(&[
            "run",
            "--wait",
            "-n",
            name,
            "-a",
            "claude",
            "-C",
            project.to_str().unwrap(),
            "--",
            "-p",
            prompt,
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
        ])
    };
    let said = headless("good", "write the proof");
    assert_eq!((said.status, said.out.as_str()), (0, "The proof is written.\n"), "{said:?}");
    assert!(project.join("proof.txt").exists());
    let status: Value = serde_json::from_str(&agents.ok(&["status", "good", "--json"])).unwrap();
    let report = &status["report"];
    assert_eq!(report["turns"], 2, "{report}");
    assert_eq!(report["result"], "The proof is written.", "{report}");
    assert_eq!(report["is_error"], false, "{report}");
    assert!(report["cost_usd"].as_f64().unwrap() > 0.0, "{report}");
    assert!(report["tokens"]["output"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(status["status"]["source"], "exit", "{status}");
    assert!(status["conversation"]["id"].is_string(), "{status}");

    let said = headless("bad", "fail");
    assert_ne!(said.status, 0, "{said:?}");
    let session = agents.session("bad");
    assert_eq!(session.exit.unwrap().code, Some(said.status));
    let report = session.report.unwrap();
    assert_eq!(report.is_error, Some(true), "{report:?}");
}
