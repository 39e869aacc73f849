//! The real Claude Code and the real Codex in a machine: the model is reached over a port of the host, their programs are
//! shown from the host, their home is the machine's own.

use crate::common::agent_machine::{
    claude_outlives, put, start, steward_killed_in_a_turn, taken_up,
};
use crate::common::agents::{Agents, CODEX_ASKS, codex_config, node_modules};
use serde_json::json;
use std::path::Path;
use stead_wire::status::State;

/// The machine `box` for an agent.
fn with_machine(agents: &Agents) {
    let url = agents.model.url();
    let port = url.rsplit(':').next().unwrap();
    let modules = node_modules().canonicalize().unwrap();
    agents.apply(&format!(
        "[machines.box]\nshares = [\"{}:/project\", \"{}:/opt/node_modules:ro\"]\nhost_ports = [{port}]\negress = \"none\"\n\
         env = {{ PATH = \"/opt/node_modules/.bin:/usr/local/bin:/usr/bin:/bin\" }}\n",
        agents.project().display(),
        modules.display(),
    ));
}

#[test]
fn a_turn_in_a_machine_outlives_the_steward_and_its_conversation_the_machine() {
    let agents = Agents::claude();
    with_machine(&agents);
    claude_outlives(&agents);
}

#[test]
fn a_turn_of_codex_in_a_machine_outlives_the_steward_and_its_conversation_the_machine() {
    let agents = Agents::codex();
    let own = codex_config(&agents.model.url(), Path::new("/project"));
    with_machine(&agents);
    put(&agents, ".codex/config.toml", &own);
    agents.sh_ok("box", "codex --version");
    agents.model.script(&json!([
        {"hold": "The first half.\n\n", "then": "And a tool.", "run": "echo of-$(hostname) > proof.txt; cat proof.txt",
         "ask": "May I write the proof?"},
        {"say": "All is said."},
        {"say": "Once more, then."},
    ]));
    start(&agents, "codex", &["STANDIN_KEY=x"]);
    let _attached = steward_killed_in_a_turn(&agents);
    agents.wait("s", "waiting");
    agents.wait("s", CODEX_ASKS);
    assert!(!agents.project().join("proof.txt").exists());
    agents.confirm_codex("s", || agents.project().join("proof.txt").exists().then_some(()));
    agents.wait("s", "All is said.");
    agents.wait("s", "idle");
    let session = agents.session("s");
    assert_eq!((session.status.state, session.life), (State::Idle, 1));
    assert_eq!(session.conversation.as_ref().unwrap().source, "hook");
    assert_eq!(std::fs::read_to_string(agents.project().join("proof.txt")).unwrap(), "of-box\n");
    assert!(agents.model.requests()[1].tool_result().unwrap().contains("of-box"));
    taken_up(&agents, session, "resume");
    agents.wait("s", "Once more, then.");
    let request = agents.model.requests().pop().unwrap();
    assert!(request.has("user", "prove it") && request.has("user", "and once more"), "{request:?}");
    assert!(request.has("assistant", "All is said."), "{request:?}");
    // Nothing of it is in the home of the host.
    assert!(!agents.path().join("codex/sessions").exists());
}
