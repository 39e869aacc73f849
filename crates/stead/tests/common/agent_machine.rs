//! An agent in the machine `box`, whatever that runs on: its turn outlives the steward, and its conversation the machine.

use super::agents::{Agents, KEY, claude_state};
use super::{Terminal, until};
use serde_json::json;
use std::path::Path;
use stead_wire::session::Session;
use stead_wire::status::{Source, State};

/// Writes a file into the home there.
pub fn put(agents: &Agents, file: &str, text: &str) {
    let script = format!("mkdir -p $(dirname /root/{file}) && cat > /root/{file}");
    let written =
        agents.stead_with_input(&["exec", "box", "--", "sh", "-c", &script], text.as_bytes());
    assert_eq!(written.status, 0, "{written:?}");
}

/// Starts the agent in the machine, in the background.
pub fn start(agents: &Agents, agent: &str, variables: &[&str]) {
    let mut command = agents.stead_command();
    command.args(["run", "-m", "box", "-d", "-n", "s", "-a", agent, "-C", "/project"]);
    for variable in variables {
        command.args(["-e", variable]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Asks for the proof, and kills the steward while half of the answer is on the screen of whoever is attached.
pub fn steward_killed_in_a_turn(agents: &Agents) -> Terminal {
    agents.wait("s", "idle");
    let terminal = agents.terminal(&["attach", "s"]);
    agents.prompt("s", "prove it");
    agents.model.wait_held();
    terminal.wait_for("The first half.");
    agents.kill_steward();
    agents.model.release();
    terminal
}

/// The machine goes down and comes up: the conversation is taken up by its id.
pub fn taken_up(agents: &Agents, session: Session, option: &str) {
    let known = session.conversation.expect("the id of its conversation");
    agents.ok(&["restart", "-m", "box"]);
    let session = until("its next life", || {
        let session = agents.session("s");
        (session.life >= 2 && session.exit.is_none()).then_some(session)
    });
    let resumed = [option.to_owned(), known.id];
    assert!(session.command.windows(2).any(|pair| pair == resumed), "{:?}", session.command);
    agents.wait("s", "All is said.");
    agents.wait("s", "idle");
    agents.prompt("s", "and once more");
}

/// A turn of Claude Code in the machine, which is there: the steward is killed in it, and the machine restarted after it.
pub fn claude_outlives(agents: &Agents) {
    let state = claude_state(Path::new("/project")).to_string();
    put(agents, ".claude.json", &state);
    agents.sh_ok("box", "claude --version");
    agents.model.script(&json!([
        {"hold": "The first half.\n\n", "then": "And a tool.", "run": "echo of-$(hostname) > proof.txt; cat proof.txt"},
        {"say": "All is said."},
        {"run": "echo again"},
    ]));
    let (url, key) = (agents.model.url(), KEY);
    let variables = [
        &format!("ANTHROPIC_BASE_URL={url}"),
        &format!("ANTHROPIC_API_KEY={key}"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        "DISABLE_AUTOUPDATER=1",
        "IS_SANDBOX=1",
    ];
    start(agents, "claude", &variables);
    let _attached = steward_killed_in_a_turn(agents);
    // The steward that comes after hears what the hooks said: whether it asks or is done.
    agents.wait("s", "waiting");
    assert_eq!(agents.session("s").status.source, Source::Hook);
    agents.wait("s", "Esc to cancel");
    agents.ok(&["send", "s", "1"]);
    agents.wait("s", "All is said.");
    agents.wait("s", "idle");
    let session = until("the end of the turn by its hook", || {
        let session = agents.session("s");
        (session.status.source == Source::Hook).then_some(session)
    });
    assert_eq!((session.status.state, session.life), (State::Idle, 1));
    assert_eq!(std::fs::read_to_string(agents.project().join("proof.txt")).unwrap(), "of-box\n");
    assert!(agents.model.requests()[1].tool_result().unwrap().contains("of-box"));

    taken_up(agents, session, "--resume");
    agents.model.wait_replies(3);
    let request = agents.model.requests().pop().unwrap();
    assert!(request.has("user", "prove it") && request.has("user", "and once more"), "{request:?}");
    // Nothing of it is in the home of the host.
    assert!(!agents.home().join(".claude/projects").exists());
}
