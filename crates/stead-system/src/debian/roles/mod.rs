//! Roles: what a machine is for, each in a file of its own.

mod agent_host;
mod code_server;
mod container_host;
mod desktop;
mod hypervisor;
mod incus_host;
mod k3s;
mod llm;
mod reverse_proxy;

use super::Desired;
use crate::Whole;

/// Adds what a role is, and says from which interfaces what runs within may connect.
type Role = fn(&Whole, &mut Desired) -> &'static [&'static str];

const ALL: [(&str, Role); 9] = [
    ("agent-host", agent_host::render),
    ("code-server", code_server::render),
    ("container-host", container_host::render),
    ("desktop", desktop::render),
    ("hypervisor", hypervisor::render),
    ("incus-host", incus_host::render),
    ("k3s", k3s::render),
    ("llm", llm::render),
    ("reverse-proxy", reverse_proxy::render),
];

/// All roles of a system; the interfaces of what runs within.
pub(super) fn render(whole: &Whole, to: &mut Desired) -> Vec<&'static str> {
    let own = ALL.iter().filter(|(name, _)| whole.has(name));
    own.flat_map(|(_, role)| role(whole, to).iter().copied()).collect()
}
