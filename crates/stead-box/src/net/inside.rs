//! The thread that lives in the sandbox's network: it lays the ground there and makes sockets for the other.

use super::{Error, ground, sys};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use rustix::thread::UnshareFlags;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Where everything that leaves arrives. A port that no service wants, on an address that none uses.
const DOOR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 254), 1);

/// Sockets of the sandbox's network that are there from the start.
pub struct Doors {
    /// All connections arrive here.
    pub streams: OwnedFd,
    /// All datagrams arrive here.
    pub datagrams: OwnedFd,
    /// Sends packets from any address.
    pub raw: OwnedFd,
    /// Listeners of the host's ports; a virtual machine's come to the door.
    pub host_ports: Vec<(u16, OwnedFd)>,
}

/// What a namespace is made for.
pub struct For<'a> {
    /// The address of what is inside.
    pub own: Ipv4Addr,
    /// Ports of the host.
    pub host_ports: &'a [u16],
    /// It is a virtual machine.
    pub guest: bool,
}

enum Make {
    Connection(SocketAddrV4),
    Listener(u16),
}

/// Asks the thread inside for sockets.
pub struct Inside {
    requests: Sender<Make>,
    made: Receiver<io::Result<OwnedFd>>,
}

/// The other end of [`Inside`].
pub struct Maker {
    requests: Receiver<Make>,
    made: Sender<io::Result<OwnedFd>>,
}

/// The two ends.
pub fn pair() -> (Inside, Maker) {
    let (requests, asked) = channel();
    let (give, made) = channel();
    (Inside { requests, made }, Maker { requests: asked, made: give })
}

impl Inside {
    /// A connection to a service inside, made or being made; it does not block.
    pub fn connect(&self, to: SocketAddrV4) -> io::Result<OwnedFd> {
        self.ask(Make::Connection(to))
    }

    /// A listener on the sandbox's loopback.
    pub fn listen(&self, port: u16) -> io::Result<OwnedFd> {
        self.ask(Make::Listener(port))
    }

    fn ask(&self, make: Make) -> io::Result<OwnedFd> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.requests.send(make).map_err(|_| gone())?;
        self.made.recv().map_err(|_| gone())?
    }
}

impl Maker {
    /// Makes sockets until nobody asks any more.
    pub fn serve(self) {
        for request in self.requests {
            let made = match request {
                Make::Connection(to) => connect(to).map_err(Into::into),
                Make::Listener(port) => {
                    listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).map_err(Into::into)
                }
            };
            if self.made.send(made).is_err() {
                return;
            }
        }
    }
}

/// Moves the calling thread into a network namespace of its own and makes it the sandbox's. With the tap device of a
/// virtual machine.
pub fn enter(what: &For<'_>) -> Result<(Doors, Option<OwnedFd>), Error> {
    sys::unshare(UnshareFlags::NEWNET).map_err(Error::start("make a network namespace"))?;
    let ready = Error::start("set up the network namespace");
    let (tap, host_ports) = if what.guest {
        (Some(ground::lay_for_guest(what.own, DOOR).map_err(ready)?.device), &[][..])
    } else {
        ground::lay(what.own, DOOR).map_err(ready)?;
        (None, what.host_ports)
    };
    let host_ports = host_ports
        .iter()
        .map(|port| {
            listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port))
                .map(|socket| (*port, socket))
                .map_err(Error::start("listen inside"))
        })
        .collect::<Result<_, _>>()?;
    doors()
        .map(|(streams, datagrams, raw)| (Doors { streams, datagrams, raw, host_ports }, tap))
        .map_err(Error::start("open the door of the network namespace"))
}

fn doors() -> io::Result<(OwnedFd, OwnedFd, OwnedFd)> {
    let streams = socket(SocketType::STREAM)?;
    sys::set_transparent(&streams)?;
    rustix::net::bind(&streams, &SocketAddr::V4(DOOR))?;
    rustix::net::listen(&streams, 4096)?;
    let datagrams = socket(SocketType::DGRAM)?;
    sys::set_transparent(&datagrams)?;
    sys::tell_destination(&datagrams)?;
    rustix::net::bind(&datagrams, &SocketAddr::V4(DOOR))?;
    let raw = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(ipproto::RAW),
    )?;
    Ok((streams, datagrams, raw))
}

fn socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::INET, kind, flags, None)
}

fn listen(at: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let listener = socket(SocketType::STREAM)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &SocketAddr::V4(at))?;
    rustix::net::listen(&listener, 1024)?;
    Ok(listener)
}

fn connect(to: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let connection = socket(SocketType::STREAM)?;
    match rustix::net::connect(&connection, &SocketAddr::V4(to)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(connection),
        Err(error) => Err(error),
    }
}
