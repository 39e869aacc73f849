//! Package sources of makers whose programs Debian 12 has not, or not in an age that works.

use super::{Desired, Repository};
use crate::Whole;
use stead_file::declared::Arch;

/// A maker: name, then key, address, suite and components, then fingerprints that the key may have, then packages.
type Maker = (&'static str, [&'static str; 4], &'static [&'static str], &'static [&'static str]);

/// Makers. GitHub has two keys: what it signs with, and what follows that.
const ALL: &[Maker] = &[
    (
        "tailscale",
        [
            "https://pkgs.tailscale.com/stable/debian/bookworm.noarmor.gpg",
            "https://pkgs.tailscale.com/stable/debian",
            "bookworm",
            "main",
        ],
        &["2596A99EAAB33821893C0A79458CA832957F5868"],
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
        &["EFE37DF047DF7CCDF1FC54FA83F79AD029778355"],
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
        &["9DC858229FC7DD38854AE2D88D81803C0EBFCD88"],
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
        &["6F71F525282841EEDAF851B42F59B5F99B1BE0B4"],
        &["nodejs"],
    ),
    (
        "alloy",
        ["https://apt.grafana.com/gpg.key", "https://apt.grafana.com", "stable", "main"],
        &["B53AE77BADB630A683046005963FA27710458545"],
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
        &["2C6106201985B60E6C7AC87323F3D4EA75716059", "7F38BBB59D064DBCB3D84D725612B36462313325"],
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
        &["65760C51EDEA2017CEA2CA15155B6D79CA56EA34"],
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
        &["4EFC590696CB15B87C73A3AD82CC8797C838DCFD"],
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
        &["EB693B3035CD5710E231E123A4B469963BF863CC"],
        &["nvidia-open", "cuda-toolkit"],
    ),
];

/// Adds a maker's source with its packages.
pub(super) fn add(name: &str, whole: &Whole, to: &mut Desired) {
    let Some((name, [key, address, suite, components], fingerprints, packages)) =
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
            fingerprints: fingerprints.iter().map(|one| (*one).to_owned()).collect(),
            address,
            suite: (*suite).into(),
            components: (*components).into(),
            packages: packages.iter().map(|package| (*package).to_owned()).collect(),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_maker_has_a_key_that_is_known_and_an_address_of_its_own() {
        for (name, [key, address, ..], fingerprints, packages) in ALL {
            assert!(key.starts_with("https://") && address.starts_with("https://"), "{name}");
            assert!(!fingerprints.is_empty() && !packages.is_empty(), "{name}");
            for one in *fingerprints {
                let plain = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
                assert!(one.len() == 40 && one.chars().all(plain), "{name}: {one}");
            }
        }
    }
}
