//! Texts that are the same on every host.

use std::collections::BTreeSet;

macro_rules! parts {
    ($($path:literal),* $(,)?) => {
        const PARTS: &[(&str, &str)] = &[$(($path, include_str!(concat!("parts/", $path)))),*];
    };
}

parts![
    "home/atuin.nix",
    "home/awscli.nix",
    "home/bash.nix",
    "home/fish.nix",
    "home/git-tools.nix",
    "home/granted.nix",
    "home/linux.nix",
    "home/starship.nix",
    "home/tmux.nix",
    "home/zellij.nix",
    "home/zsh.nix",
    "modules/agents.nix",
    "modules/alerts.nix",
    "modules/audit-log.nix",
    "modules/base.nix",
    "modules/fail2ban.nix",
    "modules/firewall.nix",
    "modules/grow.nix",
    "modules/hardened.nix",
    "modules/hardening.nix",
    "modules/hardware.nix",
    "modules/home.nix",
    "modules/logs.nix",
    "modules/metadata-none.nix",
    "modules/metadata-root.nix",
    "modules/mosh.nix",
    "modules/netbird.nix",
    "modules/rebuild.nix",
    "modules/secrets.nix",
    "modules/ssh.nix",
    "modules/tailscale.nix",
    "modules/updates-all.nix",
    "modules/updates-security.nix",
    "roles/agent-host.nix",
    "roles/code-server.nix",
    "roles/cuda.nix",
    "roles/desktop-plasma.nix",
    "roles/desktop-xfce.nix",
    "roles/docker.nix",
    "roles/hypervisor.nix",
    "roles/incus-host.nix",
    "roles/k3s.nix",
    "roles/ollama.nix",
    "roles/podman.nix",
    "roles/reverse-proxy.nix",
    "roles/vllm.nix",
];

/// The text of a part.
pub(super) fn text(path: &str) -> &'static str {
    let found = PARTS.binary_search_by_key(&path, |(path, _)| path);
    PARTS[found.expect("a part is named as it is kept")].1
}

/// These parts and those that they import.
pub(super) fn whole(wanted: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    let mut all = wanted.clone();
    if all.contains("modules/alerts.nix") || all.contains("roles/vllm.nix") {
        all.insert("modules/hardened.nix");
    }
    if all.contains("modules/home.nix") {
        all.insert("home/linux.nix");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found() {
        for (path, kept) in PARTS {
            assert_eq!(text(path), *kept);
        }
    }

    #[test]
    fn what_a_part_imports_comes_with_it() {
        for (path, kept) in PARTS {
            let all = whole(&BTreeSet::from([*path]));
            for (other, _) in PARTS.iter().filter(|(other, _)| other != path) {
                let name = format!("/{}", other.rsplit('/').next().unwrap());
                let code = kept.lines().filter(|line| !line.trim_start().starts_with('#'));
                if code.into_iter().any(|line| line.contains(&name)) {
                    assert!(all.contains(other), "{path} imports {other}");
                }
            }
        }
    }
}
