//! The network namespace of a sandbox: a loopback on which every address is local, and a table that hands all
//! connections to us. No interface leads out of it; one may lead to a virtual machine.

use super::netlink::{CREATE, Messages, Socket};
use super::tap::{self, Tap};
use super::{GATEWAY, table};
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

/// Makes the calling thread's namespace ours: `own` is the address of what is inside, and all that leaves goes to `door`.
pub fn lay(own: Ipv4Addr, door: SocketAddrV4) -> io::Result<()> {
    let socket = Socket::route()?;
    let index = LOOPBACK.to_ne_bytes();
    loopback(&socket)?;
    let mut address = Messages::default();
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
    all_is_local(&socket, own)?;
    table::of_processes(own, door)
}

/// The same for a virtual machine with the address `guest`.
pub fn lay_for_guest(guest: Ipv4Addr, door: SocketAddrV4) -> io::Result<Tap> {
    let tap = tap::make()?;
    // Nothing arrives before there is somebody to judge it.
    table::of_guest(guest, door, tap.index)?;
    let socket = Socket::route()?;
    loopback(&socket)?;
    tap.up(guest)?;
    all_is_local(&socket, GATEWAY)?;
    Ok(tap)
}

fn loopback(socket: &Socket) -> io::Result<()> {
    let mut up = Messages::default();
    // family, type, index, flags and which of them change: IFF_UP
    let mut link = [0u8; 16];
    link[4..8].copy_from_slice(&LOOPBACK.to_ne_bytes());
    link[8..12].copy_from_slice(&1u32.to_ne_bytes());
    link[12..16].copy_from_slice(&1u32.to_ne_bytes());
    up.begin(NEW_LINK, 0, true, &link);
    socket.ask(up, 1)
}

/// What is sent without a chosen source comes from `own`, not from the destination's address.
fn all_is_local(socket: &Socket, own: Ipv4Addr) -> io::Result<()> {
    let mut route = Messages::default();
    route
        .begin(
            NEW_ROUTE,
            CREATE,
            true,
            &[INET, 0, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, SCOPE_HOST, LOCAL, 0, 0, 0, 0],
        )
        .put(4, &LOOPBACK.to_ne_bytes())
        .put(7, &own.octets());
    socket.ask(route, 1)
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
