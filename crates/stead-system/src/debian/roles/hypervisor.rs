//! Virtual machines, on a bridge that is handed on.

use super::super::{Act, Desired, words};
use crate::Whole;

/// As on NixOS: they reach the world and no network that is private, of the host what gives them an address and names,
/// and nobody reaches them but the host.
const GUESTS: &str = "\
add rule inet stead input iifname \"vmbr0\" udp dport { 53, 67 } accept
add rule inet stead forward ct state established,related accept
add rule inet stead forward iifname \"vmbr0\" ip daddr { 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 } drop
add rule inet stead forward iifname \"vmbr0\" ip6 daddr { fc00::/7, fe80::/10 } drop
add rule inet stead forward oifname \"vmbr0\" drop
";

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    to.package(&[
        "qemu-system-x86",
        "qemu-utils",
        "qemu-system-data",
        "ovmf",
        "seabios",
        "bridge-utils",
        "dnsmasq-base",
        "iproute2",
    ]);
    to.file("/etc/systemd/network/20-stead-br0.netdev", "[NetDev]\nName=vmbr0\nKind=bridge\n");
    to.file(
        "/etc/systemd/network/20-stead-br0.network",
        "[Match]\nName=vmbr0\n\n[Network]\nAddress=10.91.0.1/24\nDHCPServer=yes\nIPMasquerade=ipv4\n\
         ConfigureWithoutCarrier=yes\n\n[DHCPServer]\nEmitDNS=yes\n",
    );
    // Guests see the bridge, not each other.
    to.file(
        "/etc/systemd/network/21-stead-taps.network",
        "[Match]\nName=vmtap*\n\n[Network]\nBridge=vmbr0\n\n[Bridge]\nIsolated=yes\n",
    );
    to.file("/etc/sysctl.d/61-stead-guests.conf", "net.ipv4.ip_forward = 1\n");
    to.file("/etc/modules-load.d/stead-guests.conf", "kvm\ntun\nbridge\nvhost_net\n");
    to.packaged("systemd-networkd.service");
    to.rule("bridge", &["/etc/systemd/network/"], Act::Run(words(&["networkctl", "reload"])));
    if !whole.outside {
        to.file("/etc/nftables.d/stead.d/50-guests.nft", GUESTS);
    }
    &[]
}
