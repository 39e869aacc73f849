//! Where a sandbox may connect to. Decisions only: nothing here knows a socket.

use super::name::HostName;
use crate::spec::Net;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use stead_file::declared::Egress;

/// The addresses that sandboxes have.
pub const MACHINES: Block = Block { address: Ipv4Addr::new(10, 90, 0, 0), prefix: 16 };

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    address: Ipv4Addr,
    prefix: u8,
}

impl Block {
    const fn new(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Block { address: Ipv4Addr::new(a, b, c, d), prefix }
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// Whether `address` is in it.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        (u32::from(self.address) ^ u32::from(address)) & self.mask() == 0
    }

    fn is_within(self, other: Block) -> bool {
        self.prefix >= other.prefix && other.holds(self.address)
    }
}

/// What is closed unless an entry of `allow` lies within it.
const CLOSED: &[(Block, Refusal)] = &[
    (Block::new(127, 0, 0, 0, 8), Refusal::ThisHost),
    (Block::new(0, 0, 0, 0, 8), Refusal::ThisHost),
    (Block::new(169, 254, 0, 0, 16), Refusal::Metadata),
    (Block::new(100, 100, 100, 200, 32), Refusal::Metadata),
    (Block::new(168, 63, 129, 16, 32), Refusal::Metadata),
    (Block::new(192, 0, 0, 192, 32), Refusal::Metadata),
    (MACHINES, Refusal::Machine),
    (Block::new(224, 0, 0, 0, 4), Refusal::Many),
    (Block::new(240, 0, 0, 0, 4), Refusal::Many),
];

/// What is not the public internet.
const PRIVATE: &[Block] = &[
    Block::new(10, 0, 0, 0, 8),
    Block::new(172, 16, 0, 0, 12),
    Block::new(192, 168, 0, 0, 16),
    Block::new(100, 64, 0, 0, 10),
    Block::new(192, 0, 0, 0, 24),
    Block::new(198, 18, 0, 0, 15),
];

/// Why something was refused. Its text is what a person reads in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `egress = "none"`.
    Nowhere,
    /// An address of this host.
    ThisHost,
    /// Another machine that is no peer.
    Machine,
    /// A cloud's metadata service, or an address of one link.
    Metadata,
    /// Multicast, broadcast.
    Many,
    /// Not an address of the internet.
    Private,
    /// Another port than the web's.
    Port,
    /// QUIC, which hides names.
    Quic,
    /// Not on the list.
    NotListed,
    /// A name was needed and none was said.
    Nameless,
    /// An encrypted hello.
    Hidden,
    /// What came is not what belongs on that port.
    Garbage(&'static str),
    /// Nothing came in time.
    Slow,
    /// The peer does not let this machine in, or is not there.
    Peer,
    /// Datagrams do not go between machines.
    PeerDatagram,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Nowhere => "egress is none",
            Refusal::ThisHost => "this is the host itself; share a port with host_ports",
            Refusal::Machine => "this is another machine; put both on a network with peers",
            Refusal::Metadata => "link-local and metadata addresses are closed",
            Refusal::Many => "multicast and broadcast are closed",
            Refusal::Private => "a private address; list it in allow as an address",
            Refusal::Port => "web-only: TCP ports 80 and 443",
            Refusal::Quic => "QUIC hides names; TCP works",
            Refusal::NotListed => "not in allow",
            Refusal::Nameless => "no name was given, only an address",
            Refusal::Hidden => {
                "an encrypted hello (ECH) hides the name; browsers must have it switched off"
            }
            Refusal::Garbage(what) => what,
            Refusal::Slow => "no name was said in time",
            Refusal::Peer => "the machine does not run, or does not have this one among its peers",
            Refusal::PeerDatagram => "only TCP goes between machines",
        })
    }
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On to the address.
    Direct,
    /// Ours to answer.
    Dns,
    /// To the peer with this index.
    Peer(usize),
    /// Its TLS hello must say a name first.
    Tls,
    /// Its HTTP head must say a name first.
    Http,
    /// On to the address if a name that DNS answered with it is listed.
    Answered,
    /// Nowhere.
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Name(HostName),
    Below(HostName),
    Block(Block),
    /// Nothing inside has such an address.
    Six,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    target: Target,
    port: Option<u16>,
}

impl Entry {
    fn read(text: &str) -> Option<Entry> {
        let text = text.trim();
        if let Some(target) = block(text) {
            return Some(Entry { target, port: None });
        }
        let (target, port) = match text.rsplit_once(':') {
            Some((target, port)) => (target, Some(port.parse().ok().filter(|port| *port != 0)?)),
            None => (text, None),
        };
        let bare = target.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(target);
        let target = if let Some(found) = block(bare) {
            found
        } else if let Some(parent) = target.strip_prefix("*.") {
            Target::Below(HostName::parse(parent)?)
        } else {
            Target::Name(HostName::parse(target)?)
        };
        Some(Entry { target, port })
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.map_or(matches!(port, 80 | 443), |own| own == port)
    }

    fn has_name(&self, name: &HostName) -> bool {
        match &self.target {
            Target::Name(own) => own == name,
            Target::Below(parent) => name.is_below(parent),
            Target::Block(_) | Target::Six => false,
        }
    }
}

fn block(text: &str) -> Option<Target> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        let prefix = prefix.unwrap_or(32);
        return (prefix <= 32).then_some(Target::Block(Block { address, prefix }));
    }
    address
        .parse::<Ipv6Addr>()
        .ok()
        .filter(|_| prefix.is_none_or(|p| p <= 128))
        .map(|_| Target::Six)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Open,
    Web,
    Allow(Vec<Entry>),
    None,
}

/// What to say to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This address.
    Address(Ipv4Addr),
    /// There is no such name.
    NoName,
    /// It may not be asked for; told as [`Answer::NoName`].
    Refused(Refusal),
    /// There is nothing of that kind.
    Nothing,
    /// Ask the name servers.
    Ask,
}

/// Kinds of records that decisions are made on.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// How to reach a service, with keys that would hide names.
    pub const SVCB: u16 = 64;
    /// The same for the web.
    pub const HTTPS: u16 = 65;
    /// From here on kinds are not of records but of questions: transfers, anything.
    pub const FIRST_OF_QUESTIONS: u16 = 128;
}

/// The rules of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    mode: Mode,
    own: (HostName, Ipv4Addr),
    peers: Vec<(HostName, Ipv4Addr)>,
}

impl Rules {
    /// Reads what was declared for the sandbox `name`.
    ///
    /// # Errors
    /// An entry of `allow`, or the name of a machine, that cannot be read: the sentence.
    pub fn read(name: &str, net: &Net) -> Result<Self, String> {
        let machine = |name: &str| {
            HostName::parse(name)
                .ok_or_else(|| format!("`{name}` is no name for a machine on a network"))
        };
        let mode = match &net.egress {
            Egress::Open => Mode::Open,
            Egress::WebOnly => Mode::Web,
            Egress::None => Mode::None,
            Egress::Allow(list) => Mode::Allow(
                list.iter()
                    .map(|text| {
                        Entry::read(text).ok_or_else(|| {
                            format!(
                                "egress: `{text}` is not a name, *.name, address or block, with or without :port"
                            )
                        })
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        let peers = net
            .peers
            .iter()
            .map(|(name, peer)| Ok((machine(name)?, peer.address)))
            .collect::<Result<_, String>>()?;
        Ok(Rules { mode, own: (machine(name)?, net.address), peers })
    }

    /// Whether names are checked, so that nothing may hide them.
    pub fn checks_names(&self) -> bool {
        !matches!(self.mode, Mode::Open)
    }

    /// What is to become of a TCP connection.
    pub fn tcp(&self, to: SocketAddrV4) -> Way {
        if let Some(peer) = self.peers.iter().position(|(_, address)| address == to.ip()) {
            return Way::Peer(peer);
        }
        if to.port() == 53 {
            return Way::Dns;
        }
        if let Err(refusal) = self.address(to) {
            return Way::Refused(refusal);
        }
        match (&self.mode, to.port()) {
            (Mode::Open, _) => Way::Direct,
            (Mode::Web, 80) => Way::Http,
            (Mode::Web, 443) => Way::Tls,
            (Mode::Web, _) => Way::Refused(Refusal::Port),
            (Mode::Allow(_), _) if self.lists(to) => Way::Direct,
            (Mode::Allow(_), 80) => Way::Http,
            (Mode::Allow(_), 443) => Way::Tls,
            (Mode::Allow(list), port) if list.iter().any(|e| e.port == Some(port)) => Way::Answered,
            (Mode::Allow(_), _) => Way::Refused(Refusal::NotListed),
            (Mode::None, _) => Way::Refused(Refusal::Nowhere),
        }
    }

    /// What is to become of datagrams: [`Way::Direct`], [`Way::Dns`], [`Way::Answered`] or nothing.
    pub fn udp(&self, to: SocketAddrV4) -> Way {
        if to.port() == 53 {
            return Way::Dns;
        }
        if self.peers.iter().any(|(_, address)| address == to.ip()) {
            return Way::Refused(Refusal::PeerDatagram);
        }
        match self.tcp(to) {
            Way::Direct if to.port() != 443 && to.port() != 80 => Way::Direct,
            Way::Direct if matches!(self.mode, Mode::Open) || self.lists_exactly(to) => Way::Direct,
            Way::Answered => Way::Answered,
            Way::Tls | Way::Http | Way::Direct => Way::Refused(Refusal::Quic),
            other => other,
        }
    }

    /// Whether connections to `name` on this port are allowed.
    pub fn name(&self, name: &HostName, port: u16) -> Result<(), Refusal> {
        match &self.mode {
            Mode::Open => Ok(()),
            Mode::Web if matches!(port, 80 | 443) => Ok(()),
            Mode::Web => Err(Refusal::Port),
            Mode::Allow(list) if list.iter().any(|e| e.has_name(name) && e.has_port(port)) => {
                Ok(())
            }
            Mode::Allow(_) => Err(Refusal::NotListed),
            Mode::None => Err(Refusal::Nowhere),
        }
    }

    /// Whether a hello may be encrypted: only where the name does not decide.
    pub fn may_hide(&self) -> bool {
        !matches!(self.mode, Mode::Allow(_))
    }

    /// Whether the address of a name decides where to connect, instead of the one that the client chose.
    pub fn resolves(&self) -> bool {
        matches!(self.mode, Mode::Allow(_))
    }

    /// Whether an address as such is open: neither closed nor private where that matters. Not enough by itself.
    pub fn address(&self, to: SocketAddrV4) -> Result<(), Refusal> {
        if let Some((closed, refusal)) = CLOSED.iter().find(|(block, _)| block.holds(*to.ip())) {
            let opened = self.entries(to).any(|own| own.is_within(*closed));
            return if opened { Ok(()) } else { Err(*refusal) };
        }
        let private = PRIVATE.iter().any(|block| block.holds(*to.ip()));
        match self.mode {
            Mode::Web if private => Err(Refusal::Private),
            _ => Ok(()),
        }
    }

    /// The same for an address that a name led to: it is not private unless it is listed itself.
    pub fn address_of_name(&self, to: SocketAddrV4) -> Result<(), Refusal> {
        self.address(to)?;
        let private = PRIVATE.iter().any(|block| block.holds(*to.ip()));
        if private && !matches!(self.mode, Mode::Open) && !self.lists(to) {
            return Err(Refusal::Private);
        }
        Ok(())
    }

    /// Whether one of this host's own addresses may be reached: only if the list has exactly this one.
    pub fn opens_host(&self, to: SocketAddrV4) -> bool {
        self.entries(to).any(|block| block.prefix == 32)
    }

    fn entries(&self, to: SocketAddrV4) -> impl Iterator<Item = Block> {
        let list = if let Mode::Allow(list) = &self.mode { &list[..] } else { &[] };
        list.iter().filter(move |entry| entry.has_port(to.port())).filter_map(move |entry| {
            match entry.target {
                Target::Block(block) if block.holds(*to.ip()) => Some(block),
                _ => None,
            }
        })
    }

    fn lists(&self, to: SocketAddrV4) -> bool {
        self.entries(to).next().is_some()
    }

    fn lists_exactly(&self, to: SocketAddrV4) -> bool {
        let Mode::Allow(list) = &self.mode else { return false };
        list.iter().any(|entry| {
            entry.port == Some(to.port())
                && matches!(entry.target, Target::Block(block) if block.holds(*to.ip()))
        })
    }

    /// What to say to a question for `name`.
    pub fn dns(&self, name: &HostName, kind: u16) -> Answer {
        let address = |address| match kind {
            kind::A => Answer::Address(address),
            _ => Answer::Nothing,
        };
        let text = name.as_str();
        if text == "localhost" || text.ends_with(".localhost") {
            return address(Ipv4Addr::LOCALHOST);
        }
        let short = text.strip_suffix(".stead").unwrap_or(text);
        let machines = std::iter::once(&self.own).chain(&self.peers);
        for (machine, found) in machines {
            if machine.as_str() == short {
                return address(*found);
            }
        }
        if short.len() < text.len() || text == "stead" {
            return Answer::NoName;
        }
        let allowed = match &self.mode {
            Mode::Open | Mode::Web => Ok(()),
            Mode::None => Err(Refusal::Nowhere),
            Mode::Allow(list) if list.iter().any(|entry| entry.has_name(name)) => Ok(()),
            Mode::Allow(_) => Err(Refusal::NotListed),
        };
        match (allowed, kind) {
            (Err(refusal), _) => Answer::Refused(refusal),
            // Inside there is only IPv4: an empty answer saves everybody a try.
            (Ok(()), kind::AAAA | kind::FIRST_OF_QUESTIONS..256) => Answer::Nothing,
            (Ok(()), kind::SVCB | kind::HTTPS) if self.checks_names() => Answer::Nothing,
            (Ok(()), _) => Answer::Ask,
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
