//! Sockets that connections arrive at, and what each arrival begins.

use super::agent::{self, Place};
use super::flow::{Flow, State};
use super::pump::End;
use super::{Server, Thing};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use stead_file::declared::Port;

/// Where from and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// From the sandbox to anywhere.
    Door,
    /// From the host into the sandbox.
    Port(Port),
    /// From the sandbox's loopback to the host's.
    HostPort(u16),
    /// `net.sock`.
    Control,
}

/// A socket that listens.
pub struct Listener {
    pub kind: Kind,
    pub socket: OwnedFd,
}

impl Listener {
    pub fn door(socket: OwnedFd) -> Self {
        Listener { kind: Kind::Door, socket }
    }

    pub fn control(socket: OwnedFd) -> Self {
        Listener { kind: Kind::Control, socket }
    }

    pub fn port(port: Port, socket: OwnedFd) -> Self {
        Listener { kind: Kind::Port(port), socket }
    }

    pub fn host_port(port: u16, socket: OwnedFd) -> Self {
        Listener { kind: Kind::HostPort(port), socket }
    }
}

impl Server {
    /// Where a service inside may be, the last to be tried first.
    pub(super) fn places(&self, port: u16) -> Vec<Place> {
        let net = &self.setup.net;
        agent::places(net.address, port, net.tap.is_some(), net.agent.is_some())
    }

    /// Takes in all that arrived.
    pub(super) fn accept(&mut self, listener: &Listener) {
        loop {
            if listener.kind != Kind::Control && self.count.flows >= self.most {
                self.full = true;
                return;
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match rustix::net::accept_with(&listener.socket, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    // Somebody must go first; the next end of a flow has us try again.
                    self.full = true;
                    return;
                }
                Err(_) => return,
            };
            match &listener.kind {
                Kind::Control => self.welcome(socket),
                Kind::Door => self.arrived(socket),
                Kind::Port(port) => {
                    let places = self.places(port.inside);
                    self.forward(socket, State::Inward(places));
                }
                Kind::HostPort(port) => self.forward_to_host(socket, *port),
            }
        }
    }

    /// A connection to a port of the host's loopback that the sandbox may use.
    pub(super) fn forward_to_host(&mut self, socket: OwnedFd, port: u16) {
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        self.forward(socket, State::Outward(vec![to]));
    }

    /// A connection by a forwarded port: no rule is asked.
    fn forward(&mut self, socket: OwnedFd, state: State) {
        let key = self.things.reserve();
        let flow = Flow::new(End::new(socket), None, state);
        let kept = self.begin(key, flow).map(Thing::Flow);
        self.settle(key, kept);
    }
}
