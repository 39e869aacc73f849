//! Whether an expression of nftables holds for a packet.

use super::Packet;
use serde_json::Value;
use std::net::IpAddr;

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Yes,
    No,
    Maybe,
}

impl Is {
    /// Whether both hold.
    pub(super) fn and(self, other: Is) -> Is {
        match (self, other) {
            (Is::No, _) | (_, Is::No) => Is::No,
            (Is::Yes, Is::Yes) => Is::Yes,
            _ => Is::Maybe,
        }
    }

    fn not(self) -> Is {
        match self {
            Is::Yes => Is::No,
            Is::No => Is::Yes,
            Is::Maybe => Is::Maybe,
        }
    }

    /// Whether either holds.
    fn or(self, other: Is) -> Is {
        self.not().and(other.not()).not()
    }
}

impl From<bool> for Is {
    fn from(holds: bool) -> Self {
        if holds { Is::Yes } else { Is::No }
    }
}

/// Elements of a set by its name.
type Sets<'s> = dyn Fn(&str) -> Option<&'s Vec<Value>> + 's;

/// What a packet has in the place of the left side of a comparison.
enum Left {
    Number(u64),
    Text(String),
    Address(IpAddr),
    /// It has none, so that nothing holds: the port of UDP in a packet of TCP.
    Absent,
    Unknown,
}

/// Whether a `match` holds.
pub(super) fn holds(value: &Value, packet: &Packet<'_>, sets: &Sets<'_>) -> Is {
    let left = left(&value["left"], packet);
    if matches!(left, Left::Absent) {
        return Is::No;
    }
    let is = equals(&left, &value["right"], sets);
    match value["op"].as_str() {
        Some("==" | "in") => is,
        Some("!=") => is.not(),
        Some(op) => ordered(&left, op, &value["right"]),
        None => Is::Maybe,
    }
}

/// Whether a `vmap` has something for a packet, and what.
pub(super) fn lookup(value: &Value, packet: &Packet<'_>, sets: &Sets<'_>) -> (Is, Option<Value>) {
    let left = left(&value["key"], packet);
    if matches!(left, Left::Absent) {
        return (Is::No, None);
    }
    let elements = match &value["data"] {
        Value::String(name) => sets(name.trim_start_matches('@')),
        data => data["set"].as_array(),
    };
    let Some(elements) = elements else { return (Is::Maybe, None) };
    let mut unclear = false;
    for element in elements {
        match equals(&left, &element[0], sets) {
            Is::Yes => return (Is::Yes, Some(element[1].clone())),
            Is::Maybe => unclear = true,
            Is::No => {}
        }
    }
    (if unclear { Is::Maybe } else { Is::No }, None)
}

fn left(value: &Value, packet: &Packet<'_>) -> Left {
    let protocol = if packet.udp { "udp" } else { "tcp" };
    let family = if packet.to.is_ipv4() { "ip" } else { "ip6" };
    if let Some(key) = value["meta"]["key"].as_str() {
        let (incoming, outgoing) = (packet.sender.is_none(), packet.sender.is_some());
        return match key {
            "iifname" | "iif" if incoming => Left::Text(packet.interface.into()),
            "oifname" | "oif" if outgoing => Left::Text(packet.interface.into()),
            "iifname" | "oifname" | "iif" | "oif" => Left::Text(String::new()),
            "l4proto" => Left::Text(protocol.into()),
            "nfproto" => Left::Text(if family == "ip" { "ipv4" } else { "ipv6" }.into()),
            "protocol" => Left::Text(family.into()),
            "skuid" => packet.sender.map_or(Left::Absent, |uid| Left::Number(uid.into())),
            "skgid" if incoming => Left::Absent,
            "pkttype" => Left::Text("host".into()),
            _ => Left::Unknown,
        };
    }
    if let (Some(of), Some(field)) =
        (value["payload"]["protocol"].as_str(), value["payload"]["field"].as_str())
    {
        return match (of, field) {
            ("tcp" | "udp" | "th", "dport") if of == protocol || of == "th" => {
                Left::Number(packet.port.into())
            }
            ("tcp" | "udp", _) if of != protocol => Left::Absent,
            ("icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "esp" | "ah", _) => Left::Absent,
            ("ip", "protocol") if family == "ip" => Left::Text(protocol.into()),
            ("ip6", "nexthdr") if family == "ip6" => Left::Text(protocol.into()),
            ("ip" | "ip6", _) if of != family => Left::Absent,
            ("ip" | "ip6", "saddr") => Left::Address(packet.from),
            ("ip" | "ip6", "daddr") => Left::Address(packet.to),
            _ => Left::Unknown,
        };
    }
    match value["ct"]["key"].as_str() {
        Some("state") => Left::Text("new".into()),
        Some("status") => Left::Text(String::new()),
        _ => Left::Unknown,
    }
}

/// Whether the left side is the right one, or in it.
fn equals(left: &Left, right: &Value, sets: &Sets<'_>) -> Is {
    let any = |all: &[Value]| all.iter().fold(Is::No, |is, one| is.or(equals(left, one, sets)));
    match right {
        Value::Array(all) => any(all),
        Value::String(name) if name.starts_with('@') => match sets(&name[1..]) {
            Some(all) => any(all),
            None => Is::Maybe,
        },
        Value::Object(object) => {
            let Some((kind, value)) = object.iter().next() else { return Is::Maybe };
            match kind.as_str() {
                "set" => value.as_array().map_or(Is::Maybe, |all| any(all)),
                // An element with a time or a counter of its own.
                "elem" => equals(left, &value["val"], sets),
                "range" => range(left, &value[0], &value[1]),
                "prefix" => prefix(left, value),
                _ => Is::Maybe,
            }
        }
        _ => same(left, right),
    }
}

/// Whether it is this one value.
fn same(left: &Left, right: &Value) -> Is {
    match (left, right) {
        (Left::Number(left), Value::Number(right)) => (right.as_u64() == Some(*left)).into(),
        // A login name, or that of a service, in the place of a number.
        (Left::Number(uid), Value::String(right)) if right == "root" => (*uid == 0).into(),
        (Left::Number(port), Value::String(right)) if right == "ssh" => (*port == 22).into(),
        (Left::Text(left), Value::String(right)) => match right.strip_suffix('*') {
            Some(begin) => left.starts_with(begin).into(),
            None => (left == right).into(),
        },
        (Left::Text(left), Value::Number(right)) => match (left.as_str(), right.as_u64()) {
            ("tcp", Some(number)) => (number == 6).into(),
            ("udp", Some(number)) => (number == 17).into(),
            _ => Is::Maybe,
        },
        (Left::Address(left), Value::String(right)) => {
            right.parse::<IpAddr>().map_or(Is::Maybe, |right| (right == *left).into())
        }
        _ => Is::Maybe,
    }
}

fn range(left: &Left, first: &Value, last: &Value) -> Is {
    match left {
        Left::Number(number) => match (first.as_u64(), last.as_u64()) {
            (Some(first), Some(last)) => (first..=last).contains(number).into(),
            _ => Is::Maybe,
        },
        Left::Address(address) => {
            let end = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
            match (end(first), end(last)) {
                (Some(first), Some(last)) => (first..=last).contains(address).into(),
                _ => Is::Maybe,
            }
        }
        _ => Is::Maybe,
    }
}

fn prefix(left: &Left, value: &Value) -> Is {
    let network = value["addr"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let bits = value["len"].as_u64().and_then(|bits| u32::try_from(bits).ok());
    match (left, network, bits) {
        (Left::Address(IpAddr::V4(address)), Some(IpAddr::V4(network)), Some(bits)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            (address.to_bits() & mask == network.to_bits() & mask).into()
        }
        (Left::Address(IpAddr::V6(address)), Some(IpAddr::V6(network)), Some(bits)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            (address.to_bits() & mask == network.to_bits() & mask).into()
        }
        _ => Is::Maybe,
    }
}

fn ordered(left: &Left, op: &str, right: &Value) -> Is {
    let (Left::Number(left), Some(right)) = (left, right.as_u64()) else { return Is::Maybe };
    match op {
        "<" => (*left < right).into(),
        "<=" => (*left <= right).into(),
        ">" => (*left > right).into(),
        ">=" => (*left >= right).into(),
        _ => Is::Maybe,
    }
}
