//! Bytes from one socket to another and back.

use crate::failure::{Result, Tried, VmError};
use crate::guest::config::Net;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const PIECE: usize = 64 * 1024;
/// How long a connection inside the machine may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Connects to `port`: on 127.0.0.1, or else on `own`.
pub fn connect(port: u16, own: Option<Ipv4Addr>) -> Result<TcpStream> {
    let mut why = None;
    for address in [Some(Ipv4Addr::LOCALHOST), own].into_iter().flatten() {
        let address = SocketAddr::new(IpAddr::V4(address), port);
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => why = why.or(Some(e)),
        }
    }
    let why = why.map_or_else(String::new, |e| e.to_string());
    Err(VmError::refused(format!("port {port} inside: {why}")))
}

/// [`listen`] for each of these, as far as that goes.
pub fn listen_all<'a>(ports: impl Iterator<Item = &'a u16>, net: Option<&Net>) {
    let Some(gateway) = net.and_then(|net| net.gateway) else { return };
    for port in ports {
        if let Err(e) = listen(*port, gateway) {
            super::say(&e.to_string());
        }
    }
}

/// Has what connects to `port` on 127.0.0.1 reach the same port of `gateway`.
fn listen(port: u16, gateway: Ipv4Addr) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .tried(|| format!("port {port} of the host in the machine"))?;
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let spawned = std::thread::Builder::new().spawn(move || {
                let to = SocketAddr::new(IpAddr::V4(gateway), port);
                if let Ok(server) = TcpStream::connect_timeout(&to, LIMIT) {
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    carry(client.into(), server.into());
                }
            });
            drop(spawned);
        }
    });
    Ok(())
}

/// One way of two.
struct Way {
    held: Vec<u8>,
    open: bool,
}

impl Way {
    fn wants(&self) -> bool {
        self.open && self.held.is_empty()
    }
}

/// Carries both ways until both are at their end, or nobody is there any more to whom anything could be brought.
pub fn carry(one: OwnedFd, other: OwnedFd) {
    let ends = [one, other];
    // What comes from an end goes by the way of its number.
    let mut ways = [Way { held: Vec::new(), open: true }, Way { held: Vec::new(), open: true }];
    let mut gone = [false; 2];
    let mut piece = vec![0; PIECE];
    while ways.iter().any(|way| way.open || !way.held.is_empty()) {
        let wanted = [0, 1].map(|i| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, ways[i].wants());
            flags.set(PollFlags::OUT, !ways[1 - i].held.is_empty());
            flags
        });
        let watched = [0, 1].map(|i| !gone[i] || !wanted[i].is_empty());
        let mut came = [PollFlags::empty(); 2];
        {
            let mut fds = Vec::new();
            for i in [0, 1] {
                if watched[i] {
                    fds.push(PollFd::new(&ends[i], wanted[i]));
                }
            }
            if poll(&mut fds, None).is_err() {
                continue;
            }
            let mut flags = fds.iter().map(PollFd::revents);
            for i in [0, 1] {
                if watched[i] {
                    came[i] = flags.next().unwrap_or(PollFlags::empty());
                }
            }
        }
        for i in [0, 1] {
            if ways[i].wants() && !came[i].is_empty() {
                match recv(&ends[i], &mut piece[..], RecvFlags::DONTWAIT) {
                    Ok((1.., n)) => ways[i].held.extend_from_slice(&piece[..n]),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    _ => ways[i].open = false,
                }
            }
            if came[i].intersects(PollFlags::HUP | PollFlags::ERR) {
                gone[i] = true;
                ways[1 - i].open = false;
                ways[1 - i].held.clear();
            }
        }
        for i in [0, 1] {
            bring(&mut ways[i], &ends[1 - i]);
        }
    }
}

fn bring(way: &mut Way, to: &OwnedFd) {
    while !way.held.is_empty() {
        match send(to, &way.held, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) => drop(way.held.drain(..n)),
            Err(Errno::AGAIN) => return,
            Err(Errno::INTR) => {}
            Err(_) => {
                way.held.clear();
                way.open = false;
            }
        }
    }
    if !way.open {
        let _ = shutdown(to, Shutdown::Write);
    }
}
