//! How a system is reached.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The ssh server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ssh {
    /// Whether there is one.
    pub enable: bool,
    /// Its port.
    pub port: u16,
    /// Who may come in. Empty: every declared user with a key.
    pub allow_users: Vec<String>,
    /// Attempts a connection has.
    pub max_auth_tries: u32,
    /// Whether addresses that try too often are banned.
    pub fail2ban: bool,
    /// Whether mosh is there, with its ports.
    pub mosh: bool,
}

impl Default for Ssh {
    fn default() -> Self {
        Ssh {
            enable: true,
            port: 22,
            allow_users: Vec::new(),
            max_auth_tries: 3,
            fail2ban: true,
            mosh: false,
        }
    }
}

/// What may connect to a system. Everything else is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Firewall {
    /// Ports that are open to all.
    pub open: Vec<Transport>,
    /// Interfaces on which everything may connect, besides the overlay's.
    pub trust: Vec<String>,
    /// Who may ask the cloud's metadata address.
    pub metadata: Metadata,
}

/// Who may ask the metadata address of a cloud, which tells credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metadata {
    /// Root alone.
    #[default]
    Root,
    /// Nobody.
    None,
}

/// Ports of a protocol: `443`, `60000-61000/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Transport {
    /// The first port.
    pub first: u16,
    /// The last one; the same for a single port.
    pub last: u16,
    /// UDP rather than TCP.
    pub udp: bool,
}

impl Transport {
    /// One port of TCP.
    pub const fn tcp(port: u16) -> Self {
        Transport { first: port, last: port, udp: false }
    }

    /// One port of UDP.
    pub const fn udp(port: u16) -> Self {
        Transport { first: port, last: port, udp: true }
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, udp) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.split('/').next().unwrap_or_default(), false),
            Some((ports, "udp")) => (ports, true),
            Some((_, other)) => return Err(format!("`{other}` is neither tcp nor udp")),
        };
        let number = |text: &str| {
            let number = text.parse::<u16>().ok().filter(|port| *port > 0);
            number.ok_or_else(|| format!("`{text}` is no port from 1 to 65535"))
        };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(ports)?, number(ports)?),
        };
        if first > last {
            return Err(format!("`{ports}` ends before it begins"));
        }
        Ok(Transport { first, last, udp })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        f.write_str(if self.udp { "/udp" } else { "/tcp" })
    }
}

impl TryFrom<String> for Transport {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Transport> for String {
    fn from(transport: Transport) -> String {
        transport.to_string()
    }
}

/// The network between a person's own devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overlay {
    /// Whose it is.
    pub kind: OverlayKind,
    /// The secret with the key by which the system joins; for WireGuard, its private key.
    pub key: Option<String>,
    /// The control server, if it is not the maker's: needed for Headscale.
    pub server: Option<String>,
    /// Networks that are reached through this system.
    pub routes: Vec<String>,
    /// Whether names of the overlay are resolved (`MagicDNS`).
    pub dns: bool,
    /// Ports of the loopback that the whole internet reaches through the overlay (Tailscale Funnel).
    pub funnel: Vec<u16>,
    /// The system's own address there, with its bits: WireGuard.
    pub address: Option<String>,
    /// Devices that may connect: WireGuard. Each is `PUBLIC-KEY ADDRESS`.
    pub peers: Vec<String>,
}

/// Whose overlay it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlayKind {
    /// There is none.
    #[default]
    None,
    /// Tailscale.
    Tailscale,
    /// Tailscale's client, with a control server of one's own.
    Headscale,
    /// NetBird.
    Netbird,
    /// WireGuard.
    Wireguard,
}

impl OverlayKind {
    /// The interface that everything may connect on.
    pub fn interface(self) -> Option<&'static str> {
        match self {
            OverlayKind::None => None,
            OverlayKind::Tailscale | OverlayKind::Headscale => Some("tailscale0"),
            OverlayKind::Netbird => Some("wt0"),
            OverlayKind::Wireguard => Some("wg0"),
        }
    }

    /// The port on which it is reached directly.
    pub fn port(self) -> Option<Transport> {
        match self {
            OverlayKind::None => None,
            OverlayKind::Tailscale | OverlayKind::Headscale => Some(Transport::udp(41641)),
            OverlayKind::Netbird | OverlayKind::Wireguard => Some(Transport::udp(51820)),
        }
    }
}
