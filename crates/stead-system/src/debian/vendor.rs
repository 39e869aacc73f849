//! Package sources of makers whose programs Debian 12 has not, or not in an age that works.

use super::{Desired, Repository};
use crate::Whole;
use stead_file::declared::Arch;

/// Where a maker has packages: key, address, suite, components, packages.
const ALL: &[(&str, [&str; 4], &[&str])] = &[
    (
        "tailscale",
        [
            "https://pkgs.tailscale.com/stable/debian/bookworm.noarmor.gpg",
            "https://pkgs.tailscale.com/stable/debian",
            "bookworm",
            "main",
        ],
        &["tailscale"],
    ),
    (
        "netbird",
        [
            "https://pkgs.netbird.io/debian/public.key",
            "https://pkgs.netbird.io/debian",
            "stable",
            "main",
        ],
        &["netbird"],
    ),
    (
        "docker",
        [
            "https://download.docker.com/linux/debian/gpg",
            "https://download.docker.com/linux/debian",
            "bookworm",
            "stable",
        ],
        &[
            "docker-ce",
            "docker-ce-cli",
            "containerd.io",
            "docker-buildx-plugin",
            "docker-compose-plugin",
        ],
    ),
    (
        "node",
        [
            "https://deb.nodesource.com/gpgkey/nodesource-repo.gpg.key",
            "https://deb.nodesource.com/node_22.x",
            "nodistro",
            "main",
        ],
        &["nodejs"],
    ),
    (
        "alloy",
        ["https://apt.grafana.com/gpg.key", "https://apt.grafana.com", "stable", "main"],
        &["alloy"],
    ),
    (
        "github",
        [
            "https://cli.github.com/packages/githubcli-archive-keyring.gpg",
            "https://cli.github.com/packages",
            "stable",
            "main",
        ],
        &["gh"],
    ),
    (
        "caddy",
        [
            "https://dl.cloudsmith.io/public/caddy/stable/gpg.key",
            "https://dl.cloudsmith.io/public/caddy/stable/deb/debian",
            "any-version",
            "main",
        ],
        &["caddy"],
    ),
    (
        "incus",
        [
            "https://pkgs.zabbly.com/key.asc",
            "https://pkgs.zabbly.com/incus/stable",
            "bookworm",
            "main",
        ],
        &["incus"],
    ),
    (
        "nvidia",
        [
            "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/3bf863cc.pub",
            "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64",
            "/",
            "",
        ],
        &["nvidia-open", "cuda-toolkit"],
    ),
];

/// Adds a maker's source with its packages.
pub(super) fn add(name: &str, whole: &Whole, to: &mut Desired) {
    let Some((name, [key, address, suite, components], packages)) =
        ALL.iter().find(|(known, ..)| *known == name)
    else {
        return;
    };
    let address = match whole.system.arch {
        Arch::Aarch64 if *name == "nvidia" => address.replace("x86_64", "sbsa"),
        _ => (*address).to_owned(),
    };
    to.repository(
        name,
        Repository {
            key: (*key).into(),
            address,
            suite: (*suite).into(),
            components: (*components).into(),
            packages: packages.iter().map(|package| (*package).to_owned()).collect(),
        },
    );
}
