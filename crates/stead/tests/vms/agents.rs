//! The real Claude Code in a guest: its program is a share of the host's, and the model a port of it.

use crate::common::agents::{Agents, KEY, claude_state, node_modules};
use crate::common::until;
use crate::common::vms::images;
use serde_json::json;
use std::path::Path;
use stead_wire::status::{Source, State};

#[test]
fn a_turn_in_a_guest_outlives_the_steward_and_its_conversation_the_machine() {
    let mut agents = Agents::claude();
    agents.set_variable("STEAD_IMAGES", images().to_str().unwrap());
    let url = agents.model.url();
    let port = url.rsplit(':').next().unwrap();
    let modules = node_modules().canonicalize().unwrap();
    let modules = modules.display();
    agents.apply(&format!(
        "[machines.box]\nengine = \"qemu\"\nimage = \"debian/12\"\nmemory = \"1GiB\"\ncpus = 2\nports = []\n\
         shares = [\"{}:/project\", \"{modules}:/opt/node_modules:ro\"]\nhost_ports = [{port}]\negress = \"none\"\n\
         env = {{ PATH = \"/opt/node_modules/.bin:/usr/local/bin:/usr/bin:/bin\" }}\n\
         [machines.box.qemu]\nguest = \"light\"\naccel = \"tcg\"\nallow_sensitive = [\"{modules}\"]\n",
        agents.project().display(),
    ));
    let state = claude_state(Path::new("/project")).to_string();
    let put = "cat > /root/.claude.json";
    let written =
        agents.stead_with_input(&["exec", "box", "--", "sh", "-c", put], state.as_bytes());
    assert_eq!(written.status, 0, "{written:?}");
    agents.sh_ok("box", "claude --version");
    agents.model.script(&json!([
        {"hold": "The first half.\n\n", "then": "And a tool.", "run": "echo of-$(hostname) > proof.txt; cat proof.txt"},
        {"say": "All is said."},
        {"run": "echo again"},
    ]));
    let mut command = agents.stead_command();
    command.args(["run", "-m", "box", "-d", "-n", "s", "-a", "claude", "-C", "/project"]);
    for variable in [
        &format!("ANTHROPIC_BASE_URL={url}"),
        &format!("ANTHROPIC_API_KEY={KEY}"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        "DISABLE_AUTOUPDATER=1",
        "IS_SANDBOX=1",
    ] {
        command.args(["-e", variable]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");

    agents.wait("s", "idle");
    let terminal = agents.terminal(&["attach", "s"]);
    agents.prompt("s", "prove it");
    agents.model.wait_held();
    terminal.wait_for("The first half.");
    agents.kill_steward();
    agents.model.release();
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

    let known = session.conversation.expect("the id of its conversation");
    agents.ok(&["restart", "-m", "box"]);
    let session = until("its next life", || {
        let session = agents.session("s");
        (session.life >= 2 && session.exit.is_none()).then_some(session)
    });
    let resumed = ["--resume".to_owned(), known.id];
    assert!(session.command.windows(2).any(|pair| pair == resumed), "{:?}", session.command);
    agents.wait("s", "All is said.");
    agents.wait("s", "idle");
    agents.prompt("s", "and once more");
    agents.model.wait_replies(3);
    let request = agents.model.requests().pop().unwrap();
    assert!(request.has("user", "prove it") && request.has("user", "and once more"), "{request:?}");
    // Nothing of it is in the home of the host.
    assert!(!agents.home().join(".claude/projects").exists());
}
