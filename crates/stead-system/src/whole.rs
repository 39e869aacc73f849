//! A declared system as one machine has it, and what follows from the declaration.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use stead_file::declared::{OverlayKind, ServiceKind, Sudo, System, Transport};

/// The ports of mosh.
const MOSH: Transport = Transport { first: 60_000, last: 61_000, udp: true };

/// A declared system on a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// The machine's name.
    pub machine: String,
    /// The system's name.
    pub name: String,
    /// What is declared.
    pub system: System,
    /// What may connect to the machine is decided around it: it has no firewall of its own.
    #[serde(default)]
    pub outside: bool,
}

impl Whole {
    /// What the machine calls itself. Names of machines may have `_`, those of hosts not.
    pub fn hostname(&self) -> String {
        let own = || self.machine.replace('_', "-").trim_matches('-').to_owned();
        self.system.hostname.clone().unwrap_or_else(own)
    }

    /// Whether it has a role.
    pub fn has(&self, role: &str) -> bool {
        self.system.roles.iter().any(|name| name == role)
    }

    /// Who may come in by ssh: those named, or else every user with a key.
    pub fn ssh_users(&self) -> Vec<&str> {
        let named = &self.system.ssh.allow_users;
        if !named.is_empty() {
            return named.iter().map(String::as_str).collect();
        }
        self.system
            .users
            .iter()
            .filter(|(_, user)| !user.keys.is_empty())
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Interfaces on which everything may connect.
    pub fn trusted(&self) -> Vec<&str> {
        let overlay = self.system.overlay.kind.interface();
        overlay.into_iter().chain(self.system.firewall.trust.iter().map(String::as_str)).collect()
    }

    /// Whether it joins its overlay by itself, so that whoever may is sure to come in there.
    pub fn joins(&self) -> bool {
        self.system.overlay.kind != OverlayKind::None && self.system.overlay.key.is_some()
    }

    /// Where models of the role `llm` wait. On an overlay everything is trusted, and nobody else gets by the firewall.
    pub fn models_at(&self) -> Ipv4Addr {
        let filtered = !self.outside && self.system.overlay.kind != OverlayKind::None;
        if filtered { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST }
    }

    /// The ports of ssh, and of mosh where that is.
    pub(crate) fn ssh_ports(&self) -> impl Iterator<Item = Transport> {
        let ssh = &self.system.ssh;
        [Transport::tcp(ssh.port)].into_iter().chain(ssh.mosh.then_some(MOSH))
    }

    /// Ports that are open to everybody, in order. Ssh is not, where the system joins an overlay: on that, everything is
    /// open.
    pub fn open_ports(&self) -> Vec<Transport> {
        let system = &self.system;
        let mut open: BTreeSet<Transport> = system.firewall.open.iter().copied().collect();
        open.extend(system.overlay.kind.port());
        if system.ssh.enable && !self.joins() {
            open.extend(self.ssh_ports());
        }
        if self.has("reverse-proxy") {
            open.extend([Transport::tcp(80), Transport::tcp(443)]);
        }
        open.into_iter().collect()
    }

    /// Names of all secrets that anything of it reads, in order.
    pub fn secrets(&self) -> Vec<&str> {
        let system = &self.system;
        let proxy = &system.reverse_proxy;
        let mut all: BTreeSet<&str> = system.secrets.iter().map(String::as_str).collect();
        all.extend(system.overlay.key.as_deref());
        all.extend(system.alerts.token.as_deref());
        for service in system.services.values() {
            all.extend(service.secrets.iter().map(String::as_str));
        }
        if self.has("reverse-proxy") {
            all.extend(proxy.client_secret.as_deref());
            all.extend(proxy.cookie_secret.as_deref());
        }
        all.into_iter().collect()
    }

    /// Whether a service is steered from elsewhere.
    pub fn remote_control(&self) -> bool {
        self.system.services.values().any(|service| service.kind == ServiceKind::RemoteControl)
    }

    /// The first user who becomes root without a question, or else the first user.
    pub fn first_user(&self) -> Option<&str> {
        let users = &self.system.users;
        let root = users.iter().find(|(_, user)| user.sudo == Sudo::Passwordless);
        root.or_else(|| users.iter().next()).map(|(name, _)| name.as_str())
    }
}

/// Where a secret is on a machine.
pub fn secret_path(name: &str) -> String {
    format!("/run/secrets/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_file::declared::{Overlay, OverlayKind, User};

    fn whole(system: System) -> Whole {
        Whole { machine: "my_box".into(), name: "dev".into(), system, outside: false }
    }

    #[test]
    fn without_a_word_only_ssh_is_open() {
        let whole = whole(System::default());
        assert_eq!(whole.open_ports(), [Transport::tcp(22)]);
        assert!(whole.trusted().is_empty() && whole.secrets().is_empty());
        assert_eq!(whole.hostname(), "my-box");
    }

    #[test]
    fn with_an_overlay_ssh_is_open_only_there() {
        let overlay =
            Overlay { kind: OverlayKind::Tailscale, key: Some("ts".into()), ..Overlay::default() };
        let whole = whole(System { overlay, ..System::default() });
        assert_eq!(whole.open_ports(), [Transport::udp(41641)]);
        assert_eq!((whole.trusted(), whole.secrets()), (vec!["tailscale0"], vec!["ts"]));
    }

    #[test]
    fn those_with_keys_come_in_unless_some_are_named() {
        let user = |keys: &[&str]| User {
            keys: keys.iter().map(|key| (*key).into()).collect(),
            ..User::default()
        };
        let users = [("ada", user(&["k"])), ("bob", user(&[]))].map(|(n, u)| (n.into(), u)).into();
        let mut whole = whole(System { users, ..System::default() });
        assert_eq!(whole.ssh_users(), ["ada"]);
        whole.system.ssh.allow_users = vec!["bob".into()];
        assert_eq!(whole.ssh_users(), ["bob"]);
    }
}
