//! What may connect: a table of its own, so that other programs' are left alone.

use super::{Act, Desired, quote, words};
use crate::Whole;
use stead_file::declared::{Metadata, Transport};

const PATH: &str = "/etc/nftables.d/stead.nft";
const UNIT: &str = "\
[Unit]
Description=What may connect to this machine
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=local-fs.target nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/nftables.d/stead.nft
ExecReload=/usr/sbin/nft -f /etc/nftables.d/stead.nft
ExecStop=/usr/sbin/nft delete table inet stead

[Install]
WantedBy=sysinit.target
";

/// `inside`: interfaces of what runs within, which may connect too.
pub(super) fn render(whole: &Whole, inside: &[&str], to: &mut Desired) {
    to.package(&["nftables"]);
    let ports = |udp: bool| {
        let of = |port: &Transport| {
            if port.first == port.last {
                port.first.to_string()
            } else {
                format!("{}-{}", port.first, port.last)
            }
        };
        let all: Vec<String> =
            whole.open_ports().iter().filter(|port| port.udp == udp).map(of).collect();
        all.join(", ")
    };
    let mut text = String::from(
        "# All of it takes effect at once or not at all.\n\
         table inet stead\n\
         delete table inet stead\n\n\
         table inet stead {\n    \
         chain input {\n        \
         type filter hook input priority filter; policy drop;\n        \
         ct state established,related accept\n        \
         ct state invalid drop\n        \
         iifname \"lo\" accept\n        \
         # ICMP and ICMPv6, which have a name only where there is /etc/protocols.\n        \
         meta l4proto { 1, 58 } accept\n        \
         udp sport 67 udp dport 68 accept\n        \
         udp sport 547 udp dport 546 accept\n",
    );
    let mut trusted: Vec<String> = Vec::new();
    for interface in whole.trusted().into_iter().chain(inside.iter().copied()) {
        let wild = interface.ends_with('*');
        let mut interface: String = quote::name(interface).chars().take(15).collect();
        if wild {
            interface.push('*');
        }
        if !interface.is_empty() && !trusted.contains(&interface) {
            trusted.push(interface);
        }
    }
    for interface in &trusted {
        text += &format!("        iifname \"{interface}\" accept\n");
    }
    for (protocol, ports) in [("tcp", ports(false)), ("udp", ports(true))] {
        if !ports.is_empty() {
            text += &format!("        {protocol} dport {{ {ports} }} accept\n");
        }
    }
    text += "    }\n\n    # The address at which a cloud gives credentials to whoever asks.\n";
    let (who, few) = match whole.system.firewall.metadata {
        Metadata::Root => (" meta skuid != 0", "Root alone may."),
        Metadata::None => ("", "Nobody may."),
    };
    text += &format!(
        "    # {few} What is passed on for containers and guests has no user, and may not.\n    \
         chain output {{\n        \
         type filter hook output priority filter; policy accept;\n        \
         ip daddr 169.254.169.254{who} reject\n        \
         ip6 daddr fd00:ec2::254{who} reject\n    \
         }}\n    \
         chain forward {{\n        \
         type filter hook forward priority filter; policy accept;\n        \
         ip daddr 169.254.169.254 reject\n        \
         ip6 daddr fd00:ec2::254 reject\n    \
         }}\n}}\n\n\
         # Rules of your own: `add rule inet stead input tcp dport 8080 accept`.\n\
         include \"/etc/nftables.d/stead.d/*.nft\"\n"
    );
    to.file(PATH, text);
    to.unit("stead-firewall.service", UNIT);
    to.started("stead-firewall.service", "sysinit.target", false);
    let rule = to.rule(
        "firewall",
        &[PATH, "/etc/nftables.d/stead.d/"],
        Act::Reload("stead-firewall.service".into()),
    );
    rule.check = words(&["/usr/sbin/nft", "-c", "-f", PATH]);
}
