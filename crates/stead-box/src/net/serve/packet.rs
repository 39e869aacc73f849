//! Packets that are sent into the sandbox as if they came from elsewhere.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU16, Ordering};

/// What the interface of a virtual machine takes.
const MTU: usize = 1500;

const UDP: u8 = 17;
const ICMP: u8 = 1;

/// A datagram `from` an address of anybody.
pub fn datagram(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let mut all = header(UDP, from, to, 28 + data.len());
    all.extend(ports(from, to, data.len()));
    all.extend(data);
    all
}

/// Tells whoever sent a datagram `from` there that nobody takes it at `to`, so that it need not wait.
pub fn unreachable(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    let mut all = header(ICMP, to, from, 56);
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    // What is answered begins like this; its length and sums are nobody's concern.
    message.extend(header(UDP, from, to, 28));
    message.extend(ports(from, to, 0));
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    all.extend(message);
    all
}

/// The packet, or what it is cut into so that each part fits an interface that takes no more than [`MTU`] bytes.
pub fn parts(packet: Vec<u8>) -> Vec<Vec<u8>> {
    static NUMBER: AtomicU16 = AtomicU16::new(1);
    if packet.len() <= MTU {
        return vec![packet];
    }
    // Zero would have the kernel choose, for each part another.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).max(1);
    let (header, body) = packet.split_at(20);
    let most = (MTU - 20) / 8 * 8;
    let count = body.len().div_ceil(most);
    let part = |(index, bytes): (usize, &[u8])| {
        let mut all = [header, bytes].concat();
        let len = all.len() as u16;
        let more = if index + 1 < count { 0x2000 } else { 0 };
        let place = (index * most / 8) as u16 | more;
        all[2..4].copy_from_slice(&len.to_be_bytes());
        all[4..6].copy_from_slice(&number.to_be_bytes());
        all[6..8].copy_from_slice(&place.to_be_bytes());
        all
    };
    body.chunks(most).enumerate().map(part).collect()
}

/// An IPv4 header; the kernel fills in its sum.
fn header(protocol: u8, from: SocketAddrV4, to: SocketAddrV4, len: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(len);
    all.extend([0x45, 0]);
    all.extend((len as u16).to_be_bytes());
    all.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    all.extend(from.ip().octets());
    all.extend(to.ip().octets());
    all
}

/// A UDP header without a sum, which nobody needs within one computer.
fn ports(from: SocketAddrV4, to: SocketAddrV4, len: usize) -> [u8; 8] {
    let (from, to, len) =
        (from.port().to_be_bytes(), to.port().to_be_bytes(), (len as u16 + 8).to_be_bytes());
    [from[0], from[1], to[0], to[1], len[0], len[1], 0, 0]
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
