//! The network namespace of a sandbox: a loopback on which every address is local, and a table that hands all
//! connections to us. No interface leads out of it.

use super::netlink::{CREATE, Messages, Socket};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const INET: u8 = 2;
const LOOPBACK: u32 = 1;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;
const SCOPE_HOST: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
/// An address of this host.
const LOCAL: u8 = 2;
const UNICAST: u8 = 1;

/// Makes the calling thread's namespace ours: `own` is its address, and all that leaves goes to `door`.
pub fn lay(own: Ipv4Addr, door: SocketAddrV4) -> io::Result<()> {
    let socket = Socket::route()?;
    let mut up = Messages::default();
    // family, type, index, flags and which of them change: IFF_UP
    let mut link = [0u8; 16];
    link[4..8].copy_from_slice(&LOOPBACK.to_ne_bytes());
    link[8..12].copy_from_slice(&1u32.to_ne_bytes());
    link[12..16].copy_from_slice(&1u32.to_ne_bytes());
    up.begin(NEW_LINK, 0, true, &link);
    socket.ask(up, 1)?;

    let mut address = Messages::default();
    let index = LOOPBACK.to_ne_bytes();
    address
        .begin(
            NEW_ADDRESS,
            CREATE,
            true,
            &[INET, 32, 0, SCOPE_HOST, index[0], index[1], index[2], index[3]],
        )
        .put(2, &own.octets())
        .put(1, &own.octets());
    socket.ask(address, 1)?;

    let mut route = Messages::default();
    route
        .begin(
            NEW_ROUTE,
            CREATE,
            true,
            &[INET, 0, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, SCOPE_HOST, LOCAL, 0, 0, 0, 0],
        )
        .put(4, &index)
        // What is sent without a chosen source comes from the sandbox's own address, not from the destination's.
        .put(7, &own.octets());
    socket.ask(route, 1)?;
    filter(own, door)
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ACCEPT: u32 = 1;
const REGISTER: u32 = 1;
const REGISTER_PORT: u32 = 2;
const TABLE: &str = "stead";
const CHAIN: &str = "prerouting";

/// `table ip stead { chain prerouting { type filter hook prerouting priority mangle; policy drop; … } }`
fn filter(own: Ipv4Addr, door: SocketAddrV4) -> io::Result<()> {
    const SUBSYSTEM: u16 = 10 << 8;
    let fixed = [INET, 0, 0, 0];
    // In the headers of a batch the last two bytes name the subsystem, in network order.
    let batch = [0, 0, 0, 10];
    let mut all = Messages::default();
    all.begin(0x10, 0, false, &batch);
    all.begin(SUBSYSTEM, CREATE, true, &fixed).text(1, TABLE);
    all.begin(SUBSYSTEM | 3, CREATE, true, &fixed).text(1, TABLE).text(3, CHAIN);
    all.nest(4, |hook| {
        hook.number(1, 0).put(2, &(-150i32).to_be_bytes());
    })
    .number(5, 0)
    .text(7, "filter");
    let mut rule = |fill: &dyn Fn(&mut Messages)| {
        // NLM_F_APPEND: after the others.
        all.begin(SUBSYSTEM | 6, CREATE | 0x800, true, &fixed)
            .text(1, TABLE)
            .text(2, CHAIN)
            .nest(4, fill);
    };
    rule(&|list| {
        to_network(list, Ipv4Addr::new(127, 0, 0, 0), 8);
        verdict(list, ACCEPT);
    });
    rule(&|list| {
        to_network(list, own, 32);
        verdict(list, ACCEPT);
    });
    for protocol in [TCP, UDP] {
        rule(&|list| {
            expression(list, "meta", |data| {
                data.number(1, REGISTER).number(2, 16);
            });
            equal(list, &[protocol]);
            load(list, REGISTER, &door.ip().octets());
            load(list, REGISTER_PORT, &door.port().to_be_bytes());
            expression(list, "tproxy", |data| {
                data.number(1, u32::from(INET)).number(2, REGISTER).number(3, REGISTER_PORT);
            });
            verdict(list, ACCEPT);
        });
    }
    all.begin(0x11, 0, false, &batch);
    Socket::filter()?.ask(all, 6)
}

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

fn equal(list: &mut Messages, bytes: &[u8]) {
    expression(list, "cmp", |data| {
        data.number(1, REGISTER).number(2, 0);
        value(data, 3, bytes);
    });
}

fn load(list: &mut Messages, register: u32, bytes: &[u8]) {
    expression(list, "immediate", |data| {
        data.number(1, register);
        value(data, 2, bytes);
    });
}

fn to_network(list: &mut Messages, address: Ipv4Addr, prefix: u32) {
    // Four bytes of the network header, from the sixteenth: the destination.
    expression(list, "payload", |data| {
        data.number(1, REGISTER).number(2, 1).number(3, 16).number(4, 4);
    });
    let mask = u32::MAX << (32 - prefix);
    expression(list, "bitwise", |data| {
        data.number(1, REGISTER).number(2, REGISTER).number(3, 4);
        value(data, 4, &mask.to_be_bytes());
        value(data, 5, &[0; 4]);
    });
    equal(list, &(u32::from(address) & mask).to_be_bytes());
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

/// Knows which addresses are this host's own, by asking the kernel each time.
pub struct Host(Socket);

impl Host {
    /// Of the namespace that the calling thread is in.
    pub fn here() -> io::Result<Self> {
        Socket::route().map(Host)
    }

    /// Whether what is sent to `address` would stay on this host or go to many: its own, broadcast, multicast. An
    /// address without a route is nobody's.
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        let mut question = Messages::default();
        question
            .begin(GET_ROUTE, 0, false, &[INET, 32, 0, 0, TABLE_MAIN, 0, 0, 0, 0, 0, 0, 0])
            .put(1, &address.octets());
        match self.0.question(question) {
            Ok(answer) => answer.get(7).is_none_or(|kind| *kind != UNICAST),
            // No route: connecting fails by itself.
            Err(error) => {
                !matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH))
            }
        }
    }
}
