//! The real Claude Code in a guest: its program is a share of the host's, and the model a port of it.

use crate::common::agent_machine::claude_outlives;
use crate::common::agents::{Agents, node_modules};
use crate::common::vms::images;

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
    claude_outlives(&agents);
}
