//! The machine's network, by the kernel's own messages (rtnetlink): no program for it needs to be in the root.

use crate::failure::{Result, Tried, VmError};
use crate::guest::arrivals::Arrivals;
use crate::guest::config::Net;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::net::Ipv4Addr;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
/// Asks, wants an answer.
const ASKS: u16 = 0x1 | 0x4;
/// Makes it, or changes what is there.
const PUTS: u16 = ASKS | 0x400 | 0x100;
const IPV4: u8 = 2;
const UP: u32 = 1;
/// The next hop is reached directly, whatever the addresses say.
const ON_LINK: u32 = 4;
const LINK: u8 = 253;
const UNIVERSE: u8 = 0;

/// Brings up the loopback interface, and the machine's own.
pub fn put(net: Option<&Net>, arrivals: &Arrivals) -> Result<()> {
    if let Ok(loopback) = index("lo") {
        up(loopback)?;
    }
    let Some(net) = net else { return Ok(()) };
    let name = arrivals.wait_for("the machine's network interface", || find(net))?;
    let link = index(&name)?;
    up(link)?;
    address(net, link, NEW_ADDRESS, PUTS).tried(|| format!("the address {}", net.address))?;
    let Some(gateway) = net.gateway else { return Ok(()) };
    let tried = || format!("the way to {gateway}");
    route(Some((gateway, 32)), None, link).tried(tried)?;
    route(None, Some(gateway), link).tried(tried)
}

/// Gives the machine other addresses than it has.
pub fn change(from: Option<&Net>, to: Option<&Net>, arrivals: &Arrivals) -> Result<()> {
    if let Some(old) = from
        && let Some(name) = find(old)
    {
        let link = index(&name)?;
        if to.is_none_or(|to| to.address != old.address) {
            match address(old, link, DELETE_ADDRESS, ASKS) {
                Ok(()) | Err(Errno::ADDRNOTAVAIL) => {}
                Err(e) => return Err(e).tried(|| format!("the address {}", old.address)),
            }
        }
        // A card keeps the address that it had when memory was kept.
        if let Some(mac) =
            to.and_then(|to| to.mac.as_ref()).filter(|mac| old.mac.as_ref() != Some(*mac))
        {
            hardware(link, mac).tried(|| format!("the hardware address {mac}"))?;
        }
    }
    put(to, arrivals)
}

/// The name of the machine's interface: as it is said, or else the first that is none of the machine's own making.
fn find(net: &Net) -> Option<String> {
    let entries = std::fs::read_dir("/sys/class/net").ok()?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.find(|name| {
        let file = |file: &str| format!("/sys/class/net/{name}/{file}");
        match (&net.mac, &net.interface) {
            (Some(mac), _) => std::fs::read_to_string(file("address"))
                .is_ok_and(|found| found.trim_end().eq_ignore_ascii_case(mac)),
            (None, Some(wanted)) => name == wanted,
            (None, None) => std::fs::exists(file("device")).unwrap_or(false),
        }
    })
}

fn index(name: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{name}/ifindex");
    let text = std::fs::read_to_string(&path).tried(|| &path)?;
    text.trim_end().parse().map_err(|_| VmError::refused(format!("{path} holds no number")))
}

fn up(link: u32) -> Result<()> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&link.to_ne_bytes());
    body.extend_from_slice(&UP.to_ne_bytes());
    body.extend_from_slice(&UP.to_ne_bytes());
    ask(NEW_LINK, ASKS, &body).tried(|| "bringing up the network interface")
}

fn hardware(link: u32, mac: &str) -> rustix::io::Result<()> {
    let bytes: Option<Vec<u8>> =
        mac.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == 6) else { return Err(Errno::INVAL) };
    let mut body = vec![0; 4];
    body.extend_from_slice(&link.to_ne_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&10_u16.to_ne_bytes());
    body.extend_from_slice(&1_u16.to_ne_bytes());
    body.extend_from_slice(&bytes);
    // To a multiple of four.
    body.extend_from_slice(&[0; 2]);
    ask(NEW_LINK, ASKS, &body)
}

fn address(net: &Net, link: u32, what: u16, flags: u16) -> rustix::io::Result<()> {
    let mut body = vec![IPV4, net.prefix.min(32), 0, UNIVERSE];
    body.extend_from_slice(&link.to_ne_bytes());
    attribute(2, net.address.octets(), &mut body);
    attribute(1, net.address.octets(), &mut body);
    ask(what, flags, &body)
}

fn route(to: Option<(Ipv4Addr, u8)>, by: Option<Ipv4Addr>, link: u32) -> rustix::io::Result<()> {
    let (main, boot, unicast) = (254, 3, 1);
    let (scope, flags) = if by.is_some() { (UNIVERSE, ON_LINK) } else { (LINK, 0) };
    let mut body = vec![IPV4, to.map_or(0, |to| to.1), 0, 0, main, boot, scope, unicast];
    body.extend_from_slice(&flags.to_ne_bytes());
    if let Some((to, _)) = to {
        attribute(1, to.octets(), &mut body);
    }
    attribute(4, link.to_ne_bytes(), &mut body);
    if let Some(by) = by {
        attribute(5, by.octets(), &mut body);
    }
    ask(NEW_ROUTE, PUTS, &body)
}

/// All that is said here has four bytes.
fn attribute(kind: u16, value: [u8; 4], body: &mut Vec<u8>) {
    body.extend_from_slice(&8_u16.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(&value);
}

fn ask(what: u16, flags: u16, body: &[u8]) -> rustix::io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut message = (16 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend_from_slice(&what.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(body);
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 4096];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let code = answer[..length].get(16..20).and_then(|code| code.first_chunk::<4>());
    match code.map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(-code)),
        None => Err(Errno::PROTO),
    }
}
