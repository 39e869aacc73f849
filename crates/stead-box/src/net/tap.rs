//! The interface of a virtual machine, in the network namespace of its sandbox.
//!
//! The settings of a new namespace are those that the host has now, so all that matter are said, for this interface and,
//! as far as this process may, for all. What the packet filter ([`super::table`]) drops does not depend on them.

use super::netlink::{CREATE, Messages, Socket};
use super::{GATEWAY, GATEWAY_MAC, sys};
use rustix::fs::{Mode, OFlags, open};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

const NAME: &str = "vm0";
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const INET: u8 = 2;
const INET6: u16 = 10;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;

/// Settings of the interface by the kernel's numbers: nothing is forwarded, no address but the guest's may come from
/// there, and only the gateway's is answered for.
const SETTINGS: [(u16, u32); 14] = [
    (1, 0),  // forwarding
    (3, 0),  // proxy_arp
    (4, 0),  // accept_redirects
    (5, 0),  // secure_redirects
    (6, 0),  // send_redirects
    (8, 1),  // rp_filter
    (9, 0),  // accept_source_route
    (10, 0), // bootp_relay
    (18, 2), // arp_announce: as the gateway, whoever the packet is from
    (19, 1), // arp_ignore: every address is local, so all would be answered
    (21, 0), // arp_accept
    (23, 0), // accept_local
    (25, 0), // proxy_arp_pvlan
    (26, 0), // route_localnet
];

/// The same for all interfaces, where that counts besides.
const FOR_ALL: [(&str, &str); 5] = [
    ("ipv4/conf/all/forwarding", "0"),
    ("ipv4/conf/all/accept_local", "0"),
    ("ipv4/conf/all/route_localnet", "0"),
    ("ipv4/conf/all/proxy_arp", "0"),
    ("ipv4/conf/all/accept_source_route", "0"),
];

/// The device, and the interface that it is.
pub struct Tap {
    /// Frames, for whoever plays the machine.
    pub device: OwnedFd,
    /// Its number here.
    pub index: u32,
}

/// Makes the interface in the calling thread's namespace; it is down.
pub fn make() -> io::Result<Tap> {
    let said =
        |what: &'static str| move |e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = open("/dev/net/tun", flags, Mode::empty())
        .map_err(io::Error::from)
        .map_err(said("/dev/net/tun (whoever starts virtual machines must be able to open it)"))?;
    let index = sys::make_tap(&device, NAME).map_err(said("a tap device"))?;
    for (file, value) in FOR_ALL {
        let _ = std::fs::write(format!("/proc/sys/net/{file}"), value);
    }
    let socket = Socket::route()?;
    let mut link = Messages::default();
    link.begin(NEW_LINK, 0, true, &header(index, false)).put(1, &GATEWAY_MAC).nest(
        26,
        |families| {
            families.nest(u16::from(INET), |inet| {
                inet.nest(1, |settings| {
                    for (number, value) in SETTINGS {
                        settings.put(number, &value.to_ne_bytes());
                    }
                });
            });
        },
    );
    socket.ask(link, 1).map_err(said("its settings"))?;
    // No address of its own of the other kind: refused where the kernel has only one kind.
    let mut six = Messages::default();
    six.begin(NEW_LINK, 0, true, &header(index, false)).nest(26, |families| {
        families.nest(INET6, |inet6| {
            inet6.put(8, &[1]);
        });
    });
    let _ = socket.ask(six, 1);
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{NAME}/disable_ipv6"), "1");
    Ok(Tap { device, index })
}

/// family, type, index, flags and which of them change: `IFF_UP`
fn header(index: u32, up: bool) -> [u8; 16] {
    let mut link = [0u8; 16];
    link[4..8].copy_from_slice(&index.to_ne_bytes());
    link[8..12].copy_from_slice(&u32::from(up).to_ne_bytes());
    link[12..16].copy_from_slice(&u32::from(up).to_ne_bytes());
    link
}

impl Tap {
    /// Brings it up: the gateway is here, and `guest` behind it, although every other address is local.
    pub fn up(&self, guest: Ipv4Addr) -> io::Result<()> {
        let socket = Socket::route()?;
        let mut up = Messages::default();
        up.begin(NEW_LINK, 0, true, &header(self.index, true));
        socket.ask(up, 1)?;
        let index = self.index.to_ne_bytes();
        let mut address = Messages::default();
        address
            .begin(
                NEW_ADDRESS,
                CREATE,
                true,
                &[INET, 32, 0, 0, index[0], index[1], index[2], index[3]],
            )
            .put(2, &GATEWAY.octets())
            .put(1, &GATEWAY.octets());
        socket.ask(address, 1)?;
        let mut route = Messages::default();
        // In the table that is asked first, where it is longer than the one for all addresses.
        let fixed = [INET, 32, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, SCOPE_LINK, UNICAST, 0, 0, 0, 0];
        route
            .begin(NEW_ROUTE, CREATE, true, &fixed)
            .put(1, &guest.octets())
            .put(4, &index)
            .put(7, &GATEWAY.octets());
        socket.ask(route, 1)
    }
}
