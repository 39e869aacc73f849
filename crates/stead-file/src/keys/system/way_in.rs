//! How a system is reached.

use crate::declared::{Firewall, Metadata, Overlay, OverlayKind, Ssh, Transport};
use crate::form::{Flag, Form, List, Name, Whole, Word};
use crate::port::{Protocol, Single};
use crate::table::{Key, Table, rows};
use crate::text::{ADDRESS, INTERFACE, LOGIN, NETWORK, PEER, URL};

pub(crate) static SSH: Table<Ssh> = Table {
    what: "`ssh`",
    header: "[systems.NAME.ssh]",
    doc: "The ssh server: keys only, no root, no X11, and nobody who is not named.",
    keys: rows!(Ssh {
        /// Whether there is one. A machine at AWS can do without: `ssm`.
        enable: Flag, "true", "false",
            elsewhere ["enabled"]
            => |ssh, flag| ssh.enable = flag;
        /// Its port.
        port: Single, "22", "2200" => |ssh, port| ssh.port = port;
        /// Who may come in.
        allow_users: List { of: LOGIN, once: "user", same: String::clone }, "every declared user with a key", "[\"ada\"]",
            elsewhere ["users", "AllowUsers"]
            => |ssh, users| ssh.allow_users = users;
        /// How often a connection may try.
        max_auth_tries: Whole(1, 10), "3", "2",
            elsewhere ["MaxAuthTries", "tries"]
            => |ssh, tries| ssh.max_auth_tries = tries;
        /// Whether addresses that try too often are banned.
        fail2ban: Flag, "true", "false" => |ssh, flag| ssh.fail2ban = flag;
        /// Whether mosh is there. Its ports, 60000 to 61000 of UDP, are open where ssh is.
        mosh: Flag, "false", "true" => |ssh, flag| ssh.mosh = flag;
    }),
};

pub(crate) static FIREWALL: Table<Firewall> = Table {
    what: "`firewall`",
    header: "[systems.NAME.firewall]",
    doc: "What may connect. With an overlay only it is trusted, and once the system joins by a `key`, ssh is open to nobody else.",
    keys: rows!(Firewall {
        /// Ports that are open to everybody.
        open: List { of: Protocol, once: "port", same: Transport::clone }, "`[]`, without an overlay and its key ssh's", "[\"443\", \"60000-61000/udp\"]",
            elsewhere ["ports", "allowed_tcp_ports", "allow"]
            => |firewall, open| firewall.open = open;
        /// Interfaces on which everything may connect, besides the overlay's.
        trust: List { of: INTERFACE, once: "interface", same: String::clone }, "[]", "[\"br0\"]",
            elsewhere ["trusted_interfaces", "interfaces"]
            => |firewall, trust| firewall.trust = trust;
        /// Who may ask the metadata address of a cloud, which gives credentials to whoever asks.
        metadata: Word(&[("root", Metadata::Root), ("none", Metadata::None)]), "\"root\"", "\"none\"",
            elsewhere ["imds"]
            => |firewall, metadata| firewall.metadata = metadata;
    }),
};

pub(crate) static OVERLAY: Table<Overlay> = Table {
    what: "`overlay`",
    header: "[systems.NAME.overlay]",
    doc: "The network between your own devices.",
    keys: rows!(Overlay {
        /// Whose it is. `headscale` is Tailscale's client with a control server of your own.
        kind: Word(&[("none", OverlayKind::None), ("tailscale", OverlayKind::Tailscale), ("headscale", OverlayKind::Headscale),
            ("netbird", OverlayKind::Netbird), ("wireguard", OverlayKind::Wireguard)]), "\"none\"", "\"tailscale\"",
            elsewhere ["type", "provider"]
            => |overlay, kind| overlay.kind = kind;
        /// The secret with the key by which the system joins; for WireGuard its private key.
        key: Name("a secret"), "none: you join by hand, and ssh stays open to all", "\"tailscale-key\"",
            elsewhere ["auth_key", "authkey", "setup_key", "private_key"]
            => |overlay, key| overlay.key = Some(key);
        /// The control server.
        server: URL, "the maker's", "\"https://headscale.example.org\"",
            elsewhere ["login_server", "management_url", "control_url"]
            => |overlay, server| overlay.server = Some(server);
        /// Networks that are reached through this system.
        routes: List { of: NETWORK, once: "network", same: String::clone }, "[]", "[\"10.1.0.0/16\"]",
            elsewhere ["advertise_routes"]
            => |overlay, routes| overlay.routes = routes;
        /// Whether names of the overlay are resolved.
        dns: Flag, "false", "true",
            elsewhere ["magic_dns", "accept_dns"]
            => |overlay, flag| overlay.dns = flag;
        /// Ports of its loopback that the whole internet reaches: Tailscale's Funnel.
        funnel: List { of: Single, once: "port", same: u16::clone }, "[]", "[8080]"
            => |overlay, ports| overlay.funnel = ports;
        /// Its own address: WireGuard.
        address: ADDRESS, "none", "\"10.9.0.1/24\"" => |overlay, address| overlay.address = Some(address);
        /// Devices that may connect, each by its public key and its address: WireGuard.
        peers: List { of: PEER, once: "device", same: String::clone }, "[]",
            "[\"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg= 10.9.0.2/32\"]"
            => |overlay, peers| overlay.peers = peers;
    }),
};
