//! Messages to the kernel's network configuration: how they are laid out, sent and answered.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use std::io;
use std::os::fd::OwnedFd;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
/// Make it.
pub const CREATE: u16 = 0x400;
const ERROR: u16 = 2;
const NESTED: u16 = 0x8000;

/// Messages in one buffer, each with its header and attributes.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    start: usize,
}

impl Messages {
    /// Begins a message; `fixed` is what comes before the attributes. Answered by an acknowledgement if `ack`.
    pub fn begin(&mut self, kind: u16, flags: u16, ack: bool, fixed: &[u8]) -> &mut Self {
        self.end();
        self.start = self.bytes.len();
        let flags = REQUEST | flags | if ack { ACK } else { 0 };
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend(fixed);
        self
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text that ends with a zero.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.put(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds a number in network order, as `nf_tables` wants it.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds an attribute of attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend((kind | NESTED).to_ne_bytes());
        fill(self);
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    fn end(&mut self) {
        if self.bytes.len() > self.start {
            let len = (self.bytes.len() - self.start) as u32;
            self.bytes[self.start..self.start + 4].copy_from_slice(&len.to_ne_bytes());
        }
    }
}

/// A netlink socket, in the network namespace of the thread that made it.
pub struct Socket(OwnedFd);

impl Socket {
    /// Addresses, routes.
    pub fn route() -> io::Result<Self> {
        // Its number is zero, which is how "none" is said.
        Self::open(None)
    }

    /// Packet filters.
    pub fn filter() -> io::Result<Self> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<rustix::net::Protocol>) -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
        Ok(Socket(socket))
    }

    /// Sends `messages` and waits for `acks` acknowledgements.
    pub fn ask(&self, mut messages: Messages, mut acks: usize) -> io::Result<()> {
        messages.end();
        rustix::net::send(&self.0, &messages.bytes, SendFlags::empty())?;
        let mut buffer = [0u8; 8192];
        while acks > 0 {
            let (len, _) = rustix::net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for (kind, body) in parts(&buffer[..len]) {
                if kind == ERROR {
                    refused(body)?;
                    acks -= 1;
                }
            }
        }
        Ok(())
    }

    /// Sends one question and returns its answer without the header.
    pub fn question(&self, mut message: Messages) -> io::Result<Vec<u8>> {
        message.end();
        rustix::net::send(&self.0, &message.bytes, SendFlags::empty())?;
        let mut buffer = [0u8; 1024];
        let (len, _) = rustix::net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
        for (kind, body) in parts(&buffer[..len]) {
            if kind == ERROR {
                refused(body)?;
            } else {
                return Ok(body.to_vec());
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn refused(body: &[u8]) -> io::Result<()> {
    match body.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The messages in what the kernel sent: kind and body.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
        if len < 16 || len > bytes.len() {
            return None;
        }
        let (message, rest) = bytes.split_at(len);
        bytes = rest.get(len.next_multiple_of(4) - len..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([message[4], message[5]]), &message[16..]))
    })
}
