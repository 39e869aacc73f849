//! One TCP connection: from its arrival, through the decision, to its end.

use super::super::name::HostName;
use super::super::rules::{Refusal, Way};
use super::super::{GATEWAY, client, hello, http};
use super::agent::{self, Answer, Place};
use super::pump::{End, Pumped, pump};
use super::questions::Asker;
use super::slab::Key;
use super::{AGAIN, Event, Server, Thing};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a client may take to say whom it wants.
const HEAD: Duration = Duration::from_secs(30);
/// How long a server may take to be there.
const CONNECT: Duration = Duration::from_mins(1);

/// Longer heads than this are kept only as long as there are few.
const LONG_HEAD: usize = 8 * 1024;
/// So many bytes of heads are few.
const ALL_HEADS: usize = 8 * 1024 * 1024;

/// What a flow waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The head that says a name.
    Head(Way),
    /// The addresses of the name.
    Naming,
    /// To be connected to the first of these addresses outside that answers; the last is tried first.
    Outward(Vec<SocketAddrV4>),
    /// The same inside.
    Inward(Vec<Place>),
    /// The answer of a virtual machine's agent.
    Asking,
    /// The peer's answer.
    Calling(usize),
    /// Bytes.
    Relay,
}

/// A connection.
pub struct Flow {
    client: End,
    server: Option<End>,
    /// Where the sandbox wanted to go; `None` for forwarded ports.
    to: Option<SocketAddrV4>,
    name: Option<HostName>,
    /// Connected to an address that the name has, whichever the client chose.
    resolved: bool,
    state: State,
    /// What goes to the server first.
    head: Vec<u8>,
    /// So much is worth reading a head again.
    enough: usize,
    /// What is left of the one request.
    body: Option<http::Body>,
    due: Option<Instant>,
    /// It waits for another turn already.
    queued: bool,
}

impl Flow {
    pub fn new(client: End, to: Option<SocketAddrV4>, state: State) -> Self {
        Flow {
            client,
            server: None,
            to,
            name: None,
            resolved: false,
            state,
            head: Vec::new(),
            enough: 0,
            body: None,
            due: None,
            queued: false,
        }
    }
}

/// Ends a connection so that the other end sees it was refused.
fn reset(socket: OwnedFd) {
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

type Kept = Option<Box<Flow>>;

impl Server {
    /// A connection from the sandbox.
    pub(super) fn arrived(&mut self, socket: OwnedFd) {
        let Some(to) =
            rustix::net::getsockname(&socket).ok().and_then(|a| SocketAddrV4::try_from(a).ok())
        else {
            return;
        };
        let net = &self.setup.net;
        if net.tap.is_some() && *to.ip() == GATEWAY && net.host_ports.contains(&to.port()) {
            self.forward_to_host(socket, to.port());
            return;
        }
        let way = self.rules.tcp(to);
        if way == Way::Dns {
            self.open_stream(socket);
            return;
        }
        let mut flow = Flow::new(End::new(socket), Some(to), State::Head(way));
        let key = self.things.reserve();
        match way {
            Way::Direct => flow.state = State::Outward(vec![to]),
            Way::Answered => match self.answered(to) {
                Ok(name) => {
                    flow.name = Some(name);
                    flow.state = State::Outward(vec![to]);
                }
                Err(refusal) => {
                    self.told("tcp", Some(to), None, refusal);
                    reset(flow.client.socket);
                    self.things.free(key);
                    return;
                }
            },
            Way::Peer(peer) => flow.state = State::Calling(peer),
            Way::Refused(refusal) => {
                self.told("tcp", Some(to), None, refusal);
                reset(flow.client.socket);
                self.things.free(key);
                return;
            }
            Way::Tls | Way::Http | Way::Dns => {}
        }
        let kept = self.begin(key, flow).map(Thing::Flow);
        self.settle(key, kept);
    }

    /// The listed name by which an address came, checked as an address that a name leads to.
    pub(super) fn answered(&self, to: SocketAddrV4) -> Result<HostName, Refusal> {
        let mut names = self.memory.names(*to.ip(), Instant::now());
        let name = names
            .find(|name| self.rules.name(name, to.port()).is_ok())
            .ok_or(Refusal::NotListed)?;
        self.rules.address_of_name(to)?;
        Ok(name.clone())
    }

    /// Starts a flow.
    pub(super) fn begin(&mut self, key: Key, mut flow: Flow) -> Kept {
        let _ = sockopt::set_tcp_nodelay(&flow.client.socket, true);
        let _ = sockopt::set_socket_keepalive(&flow.client.socket, true);
        if !self.watch(&flow.client.socket, key, 0) {
            reset(flow.client.socket);
            return None;
        }
        self.count.flows += 1;
        let wait = if matches!(flow.state, State::Head(_)) { HEAD } else { CONNECT };
        let due = Instant::now() + wait;
        flow.due = Some(due);
        self.remind(key, due);
        let flow = Box::new(flow);
        match flow.state {
            State::Calling(peer) => self.call(key, flow, peer),
            State::Outward(_) | State::Inward(_) => self.connect(key, flow),
            _ => Some(flow),
        }
    }

    /// Something happened to a flow.
    pub(super) fn flow(&mut self, key: Key, mut flow: Box<Flow>, event: Event) -> Kept {
        if event.is_late() {
            match flow.due {
                Some(due) if due <= Instant::now() => {
                    if matches!(flow.state, State::Head(_)) {
                        return self.refuse(*flow, Refusal::Slow);
                    }
                    // Whoever does not answer may be reached in another way.
                    if matches!(&flow.state, State::Inward(left) if !left.is_empty()) {
                        return self.connect(key, flow);
                    }
                    return self.cut(*flow);
                }
                Some(due) => self.remind(key, due),
                None => {}
            }
            return Some(flow);
        }
        if event.side == AGAIN {
            flow.queued = false;
        }
        let end = match event.side {
            0 => Some(&mut flow.client),
            1 => flow.server.as_mut(),
            _ => None,
        };
        if let Some(end) = end {
            end.readable |= event.read;
            end.writable |= event.write;
        }
        if event.broken && (event.side == 0 || flow.state == State::Relay) {
            return self.cut(*flow);
        }
        match flow.state {
            State::Head(way) => self.head(key, flow, way),
            State::Naming => Some(flow),
            State::Outward(_) | State::Inward(_) => self.connected(key, flow, event),
            State::Calling(_) => self.called(key, flow),
            State::Asking => self.asked(key, flow),
            State::Relay => self.relay(key, flow),
        }
    }

    /// Ends a flow: both ends see it was cut.
    fn cut(&mut self, flow: Flow) -> Kept {
        reset(flow.client.socket);
        if let Some(server) = flow.server {
            reset(server.socket);
        }
        self.flow_ended();
        None
    }

    /// Ends a flow and says why.
    fn refuse(&mut self, flow: Flow, refusal: Refusal) -> Kept {
        self.told("tcp", flow.to, flow.name.as_ref(), refusal);
        self.cut(flow)
    }

    /// Reads on in the head of a connection, and decides once the name is there.
    fn head(&mut self, key: Key, mut flow: Box<Flow>, way: Way) -> Kept {
        while flow.client.readable {
            let room = hello::LONGEST + 16 - flow.head.len().min(hello::LONGEST);
            let room = room.min(self.buffer.len());
            match rustix::net::recv(
                &flow.client.socket,
                &mut self.buffer[..room],
                RecvFlags::empty(),
            ) {
                Ok((0, _)) => return self.cut(*flow),
                Ok((len, _)) => {
                    flow.head.extend(&self.buffer[..len]);
                    // A head of HTTP grows by lines; whoever sends it byte by byte has it read line by line.
                    let lines = self.buffer[..len].contains(&b'\n') || flow.head.len() < 64;
                    if way == Way::Http && !lines && flow.head.len() < http::LONGEST {
                        continue;
                    }
                }
                Err(Errno::AGAIN) => flow.client.readable = false,
                Err(Errno::INTR) => continue,
                Err(_) => return self.cut(*flow),
            }
            if flow.head.len() > LONG_HEAD && self.heads() > ALL_HEADS {
                return self.refuse(*flow, Refusal::Garbage("too many long heads at once"));
            }
            if flow.head.len() < flow.enough {
                continue;
            }
            let found =
                if way == Way::Tls { self.hello(&mut flow) } else { head_of_http(&mut flow) };
            match found {
                Ok(true) => return self.named(key, flow),
                Ok(false) => {}
                Err(refusal) => return self.refuse(*flow, refusal),
            }
        }
        Some(flow)
    }

    /// How many bytes all heads take.
    fn heads(&self) -> usize {
        let flows = self.things.iter().filter_map(|(_, thing)| match thing {
            Thing::Flow(flow) => Some(flow.head.len()),
            _ => None,
        });
        flows.sum()
    }

    fn hello(&self, flow: &mut Flow) -> Result<bool, Refusal> {
        match hello::read(&flow.head) {
            hello::Read::More(needed) if needed <= hello::LONGEST => {
                flow.enough = needed;
                Ok(false)
            }
            hello::Read::More(_) | hello::Read::Not => {
                Err(Refusal::Garbage("no TLS hello came on port 443"))
            }
            hello::Read::Whole(hello) => {
                flow.name = hello.name;
                if hello.encrypted && !self.rules.may_hide() {
                    return Err(Refusal::Hidden);
                }
                Ok(true)
            }
        }
    }

    /// The name is known: may it be, and where is it?
    fn named(&mut self, key: Key, mut flow: Box<Flow>) -> Kept {
        let (Some(to), Some(name)) = (flow.to, flow.name.clone()) else {
            return self.refuse(*flow, Refusal::Nameless);
        };
        if let Err(refusal) = self.rules.name(&name, to.port()) {
            return self.refuse(*flow, refusal);
        }
        if !self.rules.resolves() {
            flow.state = State::Outward(vec![to]);
            return self.connect(key, flow);
        }
        flow.state = State::Naming;
        if let Some(found) = self.memory.addresses(&name, Instant::now()) {
            let found = found.to_vec();
            return self.resolved(key, flow, &found);
        }
        if self.ask_address(&name, Asker::Flow(key)) { Some(flow) } else { self.cut(*flow) }
    }

    /// The addresses of a flow's name are there, or are not.
    pub(super) fn found(&mut self, key: Key, addresses: &[Ipv4Addr]) {
        if let Some(Thing::Flow(flow)) = self.things.take(key) {
            let kept = if flow.state == State::Naming {
                self.resolved(key, flow, addresses)
            } else {
                Some(flow)
            };
            self.settle(key, kept.map(Thing::Flow));
        }
    }

    fn resolved(&mut self, key: Key, mut flow: Box<Flow>, addresses: &[Ipv4Addr]) -> Kept {
        let Some(to) = flow.to else { return self.cut(*flow) };
        let mut refusal = None;
        let mut fine = Vec::new();
        for address in addresses {
            let there = SocketAddrV4::new(*address, to.port());
            match self.rules.address_of_name(there) {
                Ok(()) => fine.push(there),
                Err(why) => refusal = Some(why),
            }
        }
        if fine.is_empty() {
            return match refusal {
                Some(refusal) => self.refuse(*flow, refusal),
                None => self.cut(*flow),
            };
        }
        // The last is tried first: the one that the client chose if the name has it, else the first that was answered.
        fine.truncate(4);
        fine.reverse();
        fine.sort_by_key(|there| *there == to);
        flow.resolved = true;
        flow.state = State::Outward(fine);
        self.connect(key, flow)
    }

    /// Connects to the next address.
    fn connect(&mut self, key: Key, mut flow: Box<Flow>) -> Kept {
        if let Some(old) = flow.server.take() {
            drop(old);
        }
        let mut patience = CONNECT;
        let made = match &mut flow.state {
            State::Outward(list) => {
                let Some(there) = list.pop() else { return self.cut(*flow) };
                if flow.to.is_some()
                    && self.host.is_own(*there.ip())
                    && !self.rules.opens_host(there)
                {
                    return self.refuse(*flow, Refusal::ThisHost);
                }
                connect(there)
            }
            State::Inward(list) => {
                let Some(there) = list.pop() else { return self.cut(*flow) };
                if !list.is_empty() {
                    patience = agent::PATIENCE;
                }
                let asking = !matches!(there, Place::Address(_));
                let made = self
                    .reach(there)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
                if asking && made.is_ok() {
                    flow.state = State::Asking;
                }
                made
            }
            _ => return self.cut(*flow),
        };
        match made {
            Ok(socket) => {
                let due = Instant::now() + patience;
                flow.due = Some(due);
                self.remind(key, due);
                let watched = self.watch(&socket, key, 1);
                flow.server = Some(End::new(socket));
                if watched { Some(flow) } else { self.cut(*flow) }
            }
            Err(_) => self.connect(key, flow),
        }
    }

    /// The agent's answer may be there.
    fn asked(&mut self, key: Key, mut flow: Box<Flow>) -> Kept {
        let Some(server) = &flow.server else { return self.cut(*flow) };
        match agent::answer(&server.socket) {
            Answer::Waits => Some(flow),
            Answer::Refused => self.cut(*flow),
            Answer::Connected => {
                flow.state = State::Relay;
                flow.due = None;
                self.relay(key, flow)
            }
        }
    }

    fn connected(&mut self, key: Key, mut flow: Box<Flow>, event: Event) -> Kept {
        let Some(server) = &flow.server else { return self.cut(*flow) };
        if event.side != 1 {
            return Some(flow);
        }
        match sockopt::socket_error(&server.socket) {
            Ok(Ok(())) if event.write && !event.broken => {
                let _ = sockopt::set_tcp_nodelay(&server.socket, true);
                let _ = sockopt::set_socket_keepalive(&server.socket, true);
                flow.state = State::Relay;
                flow.due = None;
                self.relay(key, flow)
            }
            Ok(Ok(())) if !event.broken => Some(flow),
            _ => self.connect(key, flow),
        }
    }

    /// Asks a peer's sandbox for a connection into it.
    fn call(&mut self, key: Key, mut flow: Box<Flow>, peer: usize) -> Kept {
        let (Some(to), Some(peer)) = (flow.to, self.setup.net.peers.values().nth(peer)) else {
            return self.cut(*flow);
        };
        let request = client::Request {
            connect: Some(to.port()),
            peer: Some(self.setup.name.clone()),
            ..client::Request::default()
        };
        let Ok(socket) = client::call(&peer.socket, &request, SocketFlags::NONBLOCK) else {
            return self.refuse(*flow, Refusal::Peer);
        };
        let watched = self.watch(&socket, key, 1);
        flow.server = Some(End::new(socket));
        if watched { Some(flow) } else { self.cut(*flow) }
    }

    fn called(&mut self, key: Key, mut flow: Box<Flow>) -> Kept {
        let Some(server) = flow.server.take() else { return self.cut(*flow) };
        if !server.readable {
            flow.server = Some(server);
            return Some(flow);
        }
        match client::take(&server.socket) {
            Ok((_, Some(socket))) => {
                drop(server);
                let _ = rustix::io::ioctl_fionbio(&socket, true);
                let watched = self.watch(&socket, key, 1);
                flow.server = Some(End::new(socket));
                flow.state = State::Relay;
                flow.due = None;
                if watched { self.relay(key, flow) } else { self.cut(*flow) }
            }
            // Nothing listens there: that is no refusal of ours.
            Ok((reply, None)) if !reply.denied => self.cut(*flow),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                flow.server = Some(End { readable: false, ..server });
                Some(flow)
            }
            _ => self.refuse(*flow, Refusal::Peer),
        }
    }

    /// Moves bytes both ways.
    fn relay(&mut self, key: Key, mut flow: Box<Flow>) -> Kept {
        let Flow { client, server, head, body, .. } = &mut *flow;
        let Some(server) = server else { return self.cut(*flow) };
        let mut more = false;
        while !head.is_empty() && server.writable {
            match rustix::net::send(&server.socket, head, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    head.drain(..sent);
                }
                Err(Errno::AGAIN) => server.writable = false,
                Err(Errno::INTR) => {}
                Err(_) => return self.cut(*flow),
            }
        }
        if head.is_empty() {
            *head = Vec::new();
            if !client.ended {
                match pump(client, server, body.as_mut(), &mut self.buffer, &mut self.count.up) {
                    Ok(Pumped::Waits) => {}
                    Ok(Pumped::More) => more = true,
                    Ok(Pumped::Ended) => client.ended = true,
                    Ok(Pumped::Garbage) => {
                        return self
                            .refuse(*flow, Refusal::Garbage("the body of the request is broken"));
                    }
                    Err(_) => return self.cut(*flow),
                }
            }
        }
        if !server.ended {
            match pump(server, client, None, &mut self.buffer, &mut self.count.down) {
                Ok(Pumped::Waits) => {}
                Ok(Pumped::More) => more = true,
                Ok(Pumped::Ended | Pumped::Garbage) => server.ended = true,
                Err(_) => return self.cut(*flow),
            }
        }
        // With one request a connection, the end of the answer is the end.
        if server.ended && (client.ended || body.is_some()) {
            self.flow_ended();
            return None;
        }
        if more && !flow.queued {
            flow.queued = true;
            self.again.push_back(key);
        }
        Some(flow)
    }

    /// After a change of rules: cuts what is no longer allowed.
    pub(super) fn judge_again(&mut self) {
        let flows: Vec<Key> = self
            .things
            .iter()
            .filter(|(_, thing)| matches!(thing, Thing::Flow(flow) if flow.to.is_some()))
            .map(|(key, _)| key)
            .collect();
        for key in flows {
            let Some(Thing::Flow(flow)) = self.things.take(key) else { continue };
            let kept = match self.stands(&flow) {
                Ok(()) => Some(flow),
                Err(refusal) => self.refuse(*flow, refusal),
            };
            self.settle(key, kept.map(Thing::Flow));
        }
    }

    fn stands(&self, flow: &Flow) -> Result<(), Refusal> {
        let Some(to) = flow.to else { return Ok(()) };
        match self.rules.tcp(to) {
            Way::Refused(refusal) => Err(refusal),
            Way::Tls | Way::Http => match (&flow.name, &flow.state) {
                (None, State::Head(_)) => Ok(()),
                (None, _) => Err(Refusal::Nameless),
                (Some(name), _) if flow.resolved || !self.rules.resolves() => {
                    self.rules.name(name, to.port())
                }
                (Some(_), _) => Err(Refusal::NotListed),
            },
            Way::Answered => self.answered(to).map(|_| ()),
            Way::Direct | Way::Dns | Way::Peer(_) => Ok(()),
        }
    }
}

fn head_of_http(flow: &mut Flow) -> Result<bool, Refusal> {
    match http::read(&flow.head) {
        http::Read::More => Ok(false),
        http::Read::Not(why) => Err(Refusal::Garbage(why)),
        http::Read::Whole(head) => {
            let http::Head { name, mut sent, len, mut body } = *head;
            let rest = &flow.head[len..];
            let passed =
                body.pass(rest).ok_or(Refusal::Garbage("the body of the request is broken"))?;
            sent.extend(&rest[..passed]);
            flow.name = Some(name);
            flow.head = sent;
            flow.body = Some(body);
            Ok(true)
        }
    }
}

fn connect(to: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    match rustix::net::connect(&socket, &SocketAddr::V4(to)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
