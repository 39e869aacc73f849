//! Names of units that a system has of its own, or has with a package or a role: a service of that name would take
//! the unit's place.

/// Without the ending, in order.
const UNITS: [&str; 78] = [
    "alert",
    "alloy",
    "amazon-ssm-agent",
    "anacron",
    "apache2",
    "apparmor",
    "apt-daily",
    "apt-daily-upgrade",
    "atd",
    "audit",
    "auditd",
    "avahi-daemon",
    "bluetooth",
    "caddy",
    "chrony",
    "cloud-config",
    "cloud-final",
    "cloud-init",
    "cloud-init-local",
    "code-server",
    "console-getty",
    "containerd",
    "cron",
    "crond",
    "cups",
    "dbus",
    "dbus-broker",
    "dhcpcd",
    "display-manager",
    "dnsmasq",
    "docker",
    "emergency",
    "etc-nixos",
    "fail2ban",
    "firewall",
    "fstrim",
    "getty",
    "grow-root",
    "incus",
    "incus-startup",
    "k3s",
    "kmod",
    "libvirtd",
    "lightdm",
    "logrotate",
    "lxcfs",
    "netbird",
    "networking",
    "nftables",
    "nginx",
    "nix-daemon",
    "nix-gc",
    "nixos-upgrade",
    "nscd",
    "oauth2-proxy",
    "ollama",
    "podman",
    "polkit",
    "postgresql",
    "qemu-guest-agent",
    "redis",
    "rescue",
    "resolvconf",
    "rsyslog",
    "sddm",
    "ssh",
    "sshd",
    "sudo",
    "tailscale-funnel",
    "tailscaled",
    "udev",
    "udisks2",
    "unattended-upgrades",
    "user",
    "vllm",
    "wg-quick",
    "xrdp",
    "xrdp-sesman",
];

/// Beginnings of names that only such units have.
const FAMILIES: [&str; 8] =
    ["getty-", "incus-", "netbird-", "podman-", "stead-", "systemd-", "tailscaled-", "user-"];

/// Whether a service of this name, without its ending, would take the place of a unit of the system's own.
#[must_use]
pub fn reserved_unit(name: &str) -> bool {
    // An instance of `getty@` is a getty.
    let name = name.split('@').next().unwrap_or_default();
    UNITS.binary_search(&name).is_ok() || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_takes_nobodys_own_names() {
        assert!(UNITS.is_sorted());
        for name in [
            "ssh",
            "docker",
            "fail2ban",
            "stead-firewall",
            "systemd-networkd",
            "alert@",
            "getty@tty1",
        ] {
            assert!(reserved_unit(name), "{name}");
        }
        for name in ["backup", "sshfs", "remote", "docker-prune", "work", "mail"] {
            assert!(!reserved_unit(name), "{name}");
        }
    }
}
