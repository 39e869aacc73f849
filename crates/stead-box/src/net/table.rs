//! The packet filter of a sandbox's network namespace, which hands all that leaves to one socket.

use super::GATEWAY;
use super::netlink::{CREATE, Messages, Socket};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;
const LOOPBACK: u32 = 1;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const REGISTER: u32 = 1;
const REGISTER_PORT: u32 = 2;
const TABLE: &str = "stead";
const CHAIN: &str = "prerouting";
const SUBSYSTEM: u16 = 10 << 8;
/// Headers, by the kernel's numbers.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// Where the flags are in a TCP header, and two of them.
const TCP_FLAGS: u32 = 13;
const SYN: u8 = 2;
const ACK: u8 = 16;
/// Where the addresses are in an IPv4 header.
const FROM: u32 = 12;
const TO: u32 = 16;

/// `table ip stead { chain prerouting { type filter hook prerouting priority mangle; policy drop; … } }`: what is for the
/// loopback or for the sandbox's `own` address stays, all other TCP and UDP goes to `door`.
pub fn of_processes(own: Ipv4Addr, door: SocketAddrV4) -> io::Result<()> {
    let mut table = Table::new(INET, DROP);
    table.rule(|list| {
        address(list, TO, Ipv4Addr::new(127, 0, 0, 0), 8, EQUAL);
        verdict(list, ACCEPT);
    });
    table.rule(|list| {
        address(list, TO, own, 32, EQUAL);
        verdict(list, ACCEPT);
    });
    table.hand_to(door);
    table.write()
}

/// The same for a virtual machine with the address `guest` behind the interface `tap`. Nothing that it sends gets to a
/// socket here but `door`, from no address but its own.
pub fn of_guest(guest: Ipv4Addr, door: SocketAddrV4, tap: u32) -> io::Result<()> {
    let local = Ipv4Addr::new(127, 0, 0, 0);
    let mut table = Table::new(INET, DROP);
    for (here, prefix) in [(local, 8), (GATEWAY, 32)] {
        table.rule(|list| {
            arrived_by(list, LOOPBACK);
            address(list, TO, here, prefix, EQUAL);
            verdict(list, ACCEPT);
        });
    }
    for (nowhere, prefix) in [(local, 8), (guest, 32)] {
        table.rule(|list| {
            address(list, TO, nowhere, prefix, EQUAL);
            verdict(list, DROP);
        });
    }
    table.rule(|list| {
        arrived_by(list, tap);
        address(list, FROM, guest, 32, NOT_EQUAL);
        verdict(list, DROP);
    });
    table.hand_to(door);
    // What answers a connection of ours to the machine: `tproxy` leaves it alone, since its socket stands for nobody else.
    // The beginning of a connection never comes this far.
    table.rule(|list| {
        arrived_by(list, tap);
        address(list, TO, GATEWAY, 32, EQUAL);
        protocol_is(list, TCP);
        masked(list, TRANSPORT, TCP_FLAGS, &[SYN | ACK], NOT_EQUAL, &[SYN]);
        verdict(list, ACCEPT);
    });
    table.write()?;
    let mut table = Table::new(INET6, ACCEPT);
    table.rule(|list| {
        arrived_by(list, tap);
        verdict(list, DROP);
    });
    match table.write() {
        // A kernel that knows nothing of it receives nothing of it.
        Err(_) if !std::path::Path::new("/proc/sys/net/ipv6").exists() => Ok(()),
        written => written,
    }
}

/// A table with one chain, being written.
struct Table {
    all: Messages,
    family: u8,
    acks: usize,
}

impl Table {
    fn new(family: u8, policy: u32) -> Self {
        let fixed = [family, 0, 0, 0];
        let mut all = Messages::default();
        all.begin(0x10, 0, false, &BATCH);
        all.begin(SUBSYSTEM, CREATE, true, &fixed).text(1, TABLE);
        all.begin(SUBSYSTEM | 3, CREATE, true, &fixed).text(1, TABLE).text(3, CHAIN);
        all.nest(4, |hook| {
            hook.number(1, 0).put(2, &(-150i32).to_be_bytes());
        })
        .number(5, policy)
        .text(7, "filter");
        Table { all, family, acks: 2 }
    }

    fn rule(&mut self, fill: impl FnOnce(&mut Messages)) {
        // NLM_F_APPEND: after the others.
        self.all
            .begin(SUBSYSTEM | 6, CREATE | 0x800, true, &[self.family, 0, 0, 0])
            .text(1, TABLE)
            .text(2, CHAIN)
            .nest(4, fill);
        self.acks += 1;
    }

    fn hand_to(&mut self, door: SocketAddrV4) {
        for protocol in [TCP, UDP] {
            self.rule(|list| {
                protocol_is(list, protocol);
                load(list, REGISTER, &door.ip().octets());
                load(list, REGISTER_PORT, &door.port().to_be_bytes());
                expression(list, "tproxy", |data| {
                    data.number(1, u32::from(INET)).number(2, REGISTER).number(3, REGISTER_PORT);
                });
                verdict(list, ACCEPT);
            });
        }
    }

    fn write(mut self) -> io::Result<()> {
        self.all.begin(0x11, 0, false, &BATCH);
        Socket::filter()?.ask(self.all, self.acks)
    }
}

/// In the headers of a batch the last two bytes name the subsystem, in network order.
const BATCH: [u8; 4] = [0, 0, 0, 10];

fn expression(list: &mut Messages, name: &str, data: impl FnOnce(&mut Messages)) {
    list.nest(1, |element| {
        element.text(1, name).nest(2, data);
    });
}

fn value(data: &mut Messages, kind: u16, bytes: &[u8]) {
    data.nest(kind, |value| {
        value.put(1, bytes);
    });
}

fn compare(list: &mut Messages, how: u32, bytes: &[u8]) {
    expression(list, "cmp", |data| {
        data.number(1, REGISTER).number(2, how);
        value(data, 3, bytes);
    });
}

fn load(list: &mut Messages, register: u32, bytes: &[u8]) {
    expression(list, "immediate", |data| {
        data.number(1, register);
        value(data, 2, bytes);
    });
}

fn arrived_by(list: &mut Messages, interface: u32) {
    expression(list, "meta", |data| {
        data.number(1, REGISTER).number(2, 4);
    });
    compare(list, EQUAL, &interface.to_ne_bytes());
}

/// Compares an address of the packet, at `offset` in its network header.
fn address(list: &mut Messages, offset: u32, with: Ipv4Addr, prefix: u32, how: u32) {
    let mask = u32::MAX << (32 - prefix);
    masked(
        list,
        NETWORK,
        offset,
        &mask.to_be_bytes(),
        how,
        &(u32::from(with) & mask).to_be_bytes(),
    );
}

/// Compares the bits of `mask` of what is at `offset` in a header.
fn masked(list: &mut Messages, header: u32, offset: u32, mask: &[u8], how: u32, with: &[u8]) {
    let len = mask.len() as u32;
    expression(list, "payload", |data| {
        data.number(1, REGISTER).number(2, header).number(3, offset).number(4, len);
    });
    expression(list, "bitwise", |data| {
        data.number(1, REGISTER).number(2, REGISTER).number(3, len);
        value(data, 4, mask);
        value(data, 5, &[0; 4][..mask.len()]);
    });
    compare(list, how, with);
}

fn protocol_is(list: &mut Messages, protocol: u8) {
    expression(list, "meta", |data| {
        data.number(1, REGISTER).number(2, 16);
    });
    compare(list, EQUAL, &[protocol]);
}

fn verdict(list: &mut Messages, code: u32) {
    expression(list, "immediate", |data| {
        data.number(1, 0).nest(2, |value| {
            value.nest(2, |verdict| {
                verdict.number(1, code);
            });
        });
    });
}
