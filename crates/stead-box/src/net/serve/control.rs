//! Requests on `net.sock`: a connection into the sandbox, how much went through, other rules.

use super::super::client::{LONGEST, Reply, Request, Stats, give};
use super::super::dns::servers::Servers;
use super::super::outside;
use super::super::rules::Rules;
use super::agent::{self, Answer, Place};
use super::listen::{Kind, Listener};
use super::slab::Key;
use super::{Event, Server, Thing};
use crate::spec::Net;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a visit may take.
const LONG: Duration = Duration::from_secs(20);

/// Who a user is that a user namespace does not know.
const UNKNOWN: u32 = 65534;

/// Somebody who asks.
pub struct Visit {
    socket: OwnedFd,
    line: Vec<u8>,
    due: Instant,
    /// A connection being made.
    connecting: Option<Connecting>,
}

/// A connection being made into the sandbox.
struct Connecting {
    socket: OwnedFd,
    port: u16,
    /// Where else to try, the last first.
    others: Vec<Place>,
    /// It is the agent's to answer.
    asking: bool,
    /// When another place is tried, if there is one.
    due: Instant,
}

type Kept = Option<Box<Visit>>;

impl Server {
    /// Lets in whoever is the same user as we.
    pub(super) fn welcome(&mut self, socket: OwnedFd) {
        let own = rustix::process::geteuid();
        match sockopt::socket_peercred(&socket) {
            Ok(peer) if peer.uid == own || peer.uid.is_root() => {}
            // Seen from a user namespace the host's root is nobody, as are all others; the socket's mode lets in only
            // root of those.
            Ok(peer) if self.setup.rootless && peer.uid.as_raw() == UNKNOWN => {}
            _ => return,
        }
        let key = self.things.reserve();
        if self.watch(&socket, key, 0) {
            self.remind(key, Instant::now() + LONG);
            let due = Instant::now() + LONG;
            let visit = Visit { socket, line: Vec::new(), connecting: None, due };
            self.things.put(key, Thing::Visit(Box::new(visit)));
        } else {
            self.things.free(key);
        }
    }

    /// Something happened to a visit.
    pub(super) fn visit(&mut self, key: Key, mut visit: Box<Visit>, event: Event) -> Kept {
        if event.is_late() {
            return match visit.connecting.take() {
                Some(slow) if !slow.others.is_empty() && slow.due <= Instant::now() => {
                    drop(slow.socket);
                    self.visit_connect(key, visit, slow.port, slow.others)
                }
                Some(slow) if visit.due > Instant::now() => {
                    visit.connecting = Some(slow);
                    Some(visit)
                }
                _ => None,
            };
        }
        if visit.connecting.is_some() {
            return self.visit_connected(key, visit, event);
        }
        loop {
            match rustix::net::recv(&visit.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((len, _)) if len > 0 && visit.line.len() < LONGEST => {
                    visit.line.extend(&self.buffer[..len]);
                }
                Err(Errno::AGAIN) => return Some(visit),
                Err(Errno::INTR) => continue,
                _ => return None,
            }
            if visit.line.ends_with(b"\n") {
                break;
            }
        }
        let request: Request = match serde_json::from_slice(&visit.line) {
            Ok(request) => request,
            Err(error) => {
                return say(&visit, &Reply { error: Some(error.to_string()), ..Reply::default() });
            }
        };
        if let Some(peer) = &request.peer {
            let known = self.setup.net.peers.keys().any(|name| name.eq_ignore_ascii_case(peer));
            if !known || request.rules.is_some() {
                let error =
                    Some(format!("{} does not have {peer} among its peers", self.setup.name));
                return say(&visit, &Reply { error, denied: true, ..Reply::default() });
            }
        }
        if let Some(net) = request.rules {
            return say(&visit, &Reply { error: self.change(net).err(), ..Reply::default() });
        }
        if let Some(port) = request.connect {
            let places = self.places(port);
            return self.visit_connect(key, visit, port, places);
        }
        let stats = Stats {
            connections: self.count.flows,
            datagrams: self.count.datagrams,
            up: self.count.up,
            down: self.count.down,
            refused: self.count.refused,
        };
        say(&visit, &Reply { stats: Some(stats), ..Reply::default() })
    }

    fn visit_connect(
        &mut self,
        key: Key,
        mut visit: Box<Visit>,
        port: u16,
        mut others: Vec<Place>,
    ) -> Kept {
        while let Some(place) = others.pop() {
            if let Ok(socket) = self.reach(place)
                && self.watch(&socket, key, 1)
            {
                let due = Instant::now() + agent::PATIENCE;
                if !others.is_empty() {
                    self.remind(key, due);
                }
                let asking = !matches!(place, Place::Address(_));
                visit.connecting = Some(Connecting { socket, port, others, asking, due });
                return Some(visit);
            }
        }
        let error = Some(format!("nothing listens on port {port} in {}", self.setup.name));
        say(&visit, &Reply { error, ..Reply::default() })
    }

    fn visit_connected(&mut self, key: Key, mut visit: Box<Visit>, event: Event) -> Kept {
        if event.side != 1 {
            return if event.broken { None } else { Some(visit) };
        }
        let connecting = visit.connecting.take()?;
        let state = match sockopt::socket_error(&connecting.socket) {
            _ if connecting.asking => agent::answer(&connecting.socket),
            Ok(Ok(())) if event.write && !event.broken => Answer::Connected,
            Ok(Ok(())) if !event.broken => Answer::Waits,
            _ => Answer::Refused,
        };
        match state {
            Answer::Connected => {
                // It goes on elsewhere: its events are no more ours.
                self.unwatch(&connecting.socket);
                let _ = give(&visit.socket, &Reply::default(), Some(&connecting.socket));
                None
            }
            Answer::Waits => {
                visit.connecting = Some(connecting);
                Some(visit)
            }
            Answer::Refused => {
                drop(connecting.socket);
                self.visit_connect(key, visit, connecting.port, connecting.others)
            }
        }
    }

    /// Puts other rules in the place of these. Nothing changes unless all can.
    fn change(&mut self, mut net: Net) -> Result<(), String> {
        if net.address != self.setup.net.address {
            return Err("the address of a sandbox that runs cannot change".into());
        }
        let was = &self.setup.net;
        if net.tap.is_some() && was.tap.is_none() {
            return Err("whether a sandbox that runs is a virtual machine cannot change".into());
        }
        if was.tap.is_some() {
            // What leads into a virtual machine is settled at its start.
            net = Net {
                tap: was.tap.clone(),
                agent: was.agent.clone(),
                screen: was.screen.clone(),
                ports: was.ports.clone(),
                ..net
            };
        }
        let rules = Rules::read(&self.setup.name, &net)?;
        let mut added = Vec::new();
        for port in net.ports.iter().filter(|port| !self.setup.net.ports.contains(port)) {
            let socket = outside::listen(port).map_err(|error| error.to_string())?;
            added.push(Listener::port(port.clone(), socket));
        }
        // A virtual machine's come to the door.
        let listened = if net.tap.is_some() { &[][..] } else { &net.host_ports };
        for port in listened.iter().filter(|port| !self.setup.net.host_ports.contains(port)) {
            let socket = self.inside.listen(*port).map_err(|error| {
                format!("host_ports: port {port} cannot be taken inside: {error}; a service inside may have it")
            })?;
            added.push(Listener::host_port(*port, socket));
        }
        let gone: Vec<Key> = self
            .things
            .iter()
            .filter(|(_, thing)| match thing {
                Thing::Listener(Listener { kind: Kind::Port(port), .. }) => {
                    !net.ports.contains(port)
                }
                Thing::Listener(Listener { kind: Kind::HostPort(port), .. }) => {
                    !net.host_ports.contains(port)
                }
                _ => false,
            })
            .map(|(key, _)| key)
            .collect();
        for key in gone {
            self.things.free(key);
        }
        for listener in added {
            let key = self.things.reserve();
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(key.word(0));
            epoll::add(&self.epoll, &listener.socket, data, flags)
                .map_err(|error| error.to_string())?;
            self.things.put(key, Thing::Listener(listener));
        }
        self.servers = Servers::new(&net.dns);
        self.rules = rules;
        self.setup.net = net;
        self.judge_again();
        self.judge_datagrams_again();
        Ok(())
    }
}

fn say(visit: &Visit, reply: &Reply) -> Kept {
    let _ = give(&visit.socket, reply, None);
    None
}
