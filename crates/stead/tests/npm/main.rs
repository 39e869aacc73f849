//! An agent that a system declares is installed for real, by npm, from a stand-in of its registry.

#[path = "../common/mod.rs"]
mod common;
mod registry;

use common::World;
use registry::Registry;
use std::path::PathBuf;

/// A machine that reaches the registry and nothing else.
fn file(port: u16, agents: &str) -> String {
    format!(
        "[machines.box]\nsystem = \"dev\"\negress = \"none\"\nhost_ports = [{port}]\n\n\
         [systems.dev]\nupdates = \"off\"\naudit_log = false\nssh = {{ enable = false }}\ndisk = {{ grow = false }}\n\
         users.ada = {{}}\n{agents}"
    )
}

/// Where npm puts agents, and where people find them.
const THERE: &str = "test -e /opt/stead/agents/bin/claude -a -e /usr/local/bin/claude";

#[test]
fn an_agent_comes_in_its_version_and_goes() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: machines with everything are root's");
        return;
    }
    let Some(modules) = std::env::var_os("STEAD_NODE_MODULES").map(PathBuf::from) else {
        println!("SKIPPED: STEAD_NODE_MODULES does not say where agents are");
        return;
    };
    if cfg!(not(target_arch = "x86_64")) {
        println!("SKIPPED: the agent that is installed here is for another processor");
        return;
    }
    let registry = Registry::of(&modules);
    let pinned = |version: &str| {
        let agents = format!(
            "agents = {{ install = [\"claude\"], versions = {{ claude = \"{version}\" }} }}\n"
        );
        file(registry.port, &agents)
    };
    let world = World::new();
    // The machine first: npm there has to know its registry before a system is brought.
    let declared = pinned(&registry.version);
    world.apply(&declared.replace("system = \"dev\"\n", ""));
    world.declare(&declared);
    // Its own configuration: root's may be this host's.
    let npmrc = format!("registry=http://127.0.0.1:{}/", registry.port);
    world.sh_ok("box", &format!("umask 022; mkdir -p /opt/stead/agents/etc; rm -f /root/.npmrc; echo {npmrc} >/opt/stead/agents/etc/npmrc"));

    let said = world.stead(&["system", "switch", "box"]);
    // Node is there; the source that it would come from is out of reach.
    let failed: Vec<&str> = said.err.lines().filter(|line| line.contains("failed ")).collect();
    assert!(failed.iter().all(|line| line.contains("package source node")), "{said:?}");
    assert!(said.out.contains("agent claude"), "{said:?}");
    let asked = registry.asked();
    assert!(
        asked.iter().any(|line| line.ends_with(&format!("/claude-code-{}.tgz", registry.version))),
        "{asked:?}"
    );
    assert!(asked.iter().all(|line| line.starts_with("GET /")), "{asked:?}");
    world.sh_ok("box", THERE);
    let version = world.sh_ok("box", "su -l ada -c 'claude --version'");
    assert!(version.starts_with(&registry.version), "{version}");

    // What is there is not fetched again.
    world.stead(&["system", "switch", "box"]);
    assert_eq!(registry.asked(), [""; 0]);

    // A version that there is not leaves the one that is there.
    world.declare(&pinned("0.0.1"));
    let said = world.stead(&["system", "switch", "box"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("agent claude") && said.err.contains("0.0.1"), "{said:?}");
    assert_eq!(world.sh_ok("box", "su -l ada -c 'claude --version'"), version);

    world.declare(&file(registry.port, ""));
    let said = world.stead(&["system", "switch", "box"]);
    let left = world.sh_ok("box", "find /opt/stead/agents /usr/local/bin -name 'claude*'");
    assert_eq!(left, "", "{said:?}");
}
