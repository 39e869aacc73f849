//! The real Claude Code in a guest: its program is a share of the host's, and the model a port of it.

use crate::common::agent_machine::{claude_outlives, put};
use crate::common::agents::{Agents, node_modules};
use crate::common::until;
use crate::common::vms::images;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn a_turn_in_a_light_guest_outlives_the_steward_and_its_conversation_the_machine() {
    outlives("light", "");
}

#[test]
fn a_turn_in_a_full_guest_does_as_well_and_who_has_a_key_logs_in() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agents = outlives("full", &format!("{port}:22"));
    let key = agents.path().join("key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    if !made.is_ok_and(|made| made.success()) {
        println!("skipped: there is no ssh here");
        return;
    }
    let ssh = || {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-p",
            &port.to_string(),
        ]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", agents.path().join("known").display()));
        ssh.arg("-i")
            .arg(&key)
            .args(["root@127.0.0.1", "hostname; cat /project/proof.txt; systemctl is-active ssh"]);
        ssh.output().unwrap()
    };
    // Its port may be open before anybody listens inside.
    until("sshd", || {
        String::from_utf8_lossy(&ssh().stderr).contains("Permission denied").then_some(())
    });
    put(
        &agents,
        ".ssh/authorized_keys",
        &std::fs::read_to_string(key.with_extension("pub")).unwrap(),
    );
    let said = ssh();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "box\nof-box\nactive\n");
}

fn outlives(guest: &str, ports: &str) -> Agents {
    let mut agents = Agents::claude();
    agents.set_variable("STEAD_IMAGES", images().to_str().unwrap());
    let url = agents.model.url();
    let port = url.rsplit(':').next().unwrap();
    let modules = node_modules().canonicalize().unwrap();
    let modules = modules.display();
    let ports = if ports.is_empty() { String::new() } else { format!("\"{ports}\"") };
    agents.apply(&format!(
        "[machines.box]\nengine = \"qemu\"\nimage = \"debian/12\"\nmemory = \"1GiB\"\ncpus = 2\nports = [{ports}]\n\
         shares = [\"{}:/project\", \"{modules}:/opt/node_modules:ro\"]\nhost_ports = [{port}]\negress = \"none\"\n\
         env = {{ PATH = \"/opt/node_modules/.bin:/usr/local/bin:/usr/bin:/bin\" }}\n\
         [machines.box.qemu]\nguest = \"{guest}\"\naccel = \"tcg\"\nallow_sensitive = [\"{modules}\"]\n",
        agents.project().display(),
    ));
    claude_outlives(&agents);
    agents
}
