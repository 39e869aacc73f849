//! The loop that serves a sandbox's network: one thread in the host's namespace waits for everything at once.

mod agent;
mod control;
mod datagrams;
mod flow;
mod listen;
mod packet;
mod pump;
mod questions;
mod slab;
mod streams;

use super::dns::memory::Memory;
use super::dns::servers::Servers;
use super::ground::Host;
use super::inside::{Doors, Inside};
use super::log::Log;
use super::name::HostName;
use super::rules::{Refusal, Rules};
use super::{Error, NetSetup, SOCKET, sys};
use control::Visit;
use datagrams::Datagrams;
use flow::Flow;
use listen::Listener;
use questions::Job;
use rustix::event::{Timespec, epoll};
use slab::{Key, Slab};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use streams::Stream;

/// What events are about.
enum Thing {
    Lifeline(OwnedFd),
    Listener(Listener),
    /// The socket that all datagrams come to.
    Door(OwnedFd),
    Flow(Box<Flow>),
    Datagrams(Datagrams),
    Job(Box<Job>),
    Stream(Box<Stream>),
    Visit(Box<Visit>),
}

/// What happened to a socket.
#[derive(Debug, Clone, Copy, Default)]
struct Event {
    /// Which of a thing's sockets, or [`AGAIN`], [`LATE`].
    side: u8,
    read: bool,
    write: bool,
    /// The connection failed.
    broken: bool,
}

/// No socket: there was more to do.
const AGAIN: u8 = 2;
/// No socket: a deadline may be over.
const LATE: u8 = 3;

impl Event {
    fn is_late(self) -> bool {
        self.side == LATE
    }
}

/// How much went through.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    up: u64,
    down: u64,
    refused: u64,
    flows: usize,
    datagrams: usize,
    jobs: usize,
}

/// Made on the host's side before there is a sandbox.
pub struct Outside {
    /// `net.sock`.
    pub control: OwnedFd,
    /// Listeners of ports that lead in.
    pub ports: Vec<(stead_file::declared::Port, OwnedFd)>,
    /// Which addresses are the host's.
    pub host: Host,
    /// What is refused.
    pub log: Log,
    /// The read end of what the starter holds.
    pub lifeline: Option<OwnedFd>,
    /// Most flows at a time.
    pub most: usize,
}

/// The state of the loop.
pub struct Server {
    epoll: OwnedFd,
    things: Slab<Thing>,
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    /// So many are cleared of those that are over.
    many_timers: usize,
    /// Flows that have more to do at once.
    again: VecDeque<Key>,
    /// There are as many flows as there may be; listeners wait.
    full: bool,
    most: usize,
    setup: NetSetup,
    rules: Rules,
    log: Log,
    host: Host,
    inside: Inside,
    /// Sends datagrams into the sandbox from any address.
    raw: OwnedFd,
    memory: Memory,
    servers: Servers,
    flows_of_datagrams: datagrams::Flows,
    buffer: Box<[u8]>,
    count: Count,
    over: bool,
}

impl Server {
    /// Puts the parts together.
    pub fn new(
        setup: NetSetup,
        rules: Rules,
        outside: Outside,
        inside: Inside,
        doors: Doors,
    ) -> Result<Self, Error> {
        let mut server = Server {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)
                .map_err(Error::start("wait for events"))?,
            things: Slab::default(),
            timers: BinaryHeap::new(),
            many_timers: 1024,
            again: VecDeque::new(),
            full: false,
            most: outside.most,
            rules,
            log: outside.log,
            host: outside.host,
            inside,
            raw: doors.raw,
            memory: Memory::default(),
            servers: Servers::new(&setup.net.dns),
            setup,
            flows_of_datagrams: datagrams::Flows::default(),
            buffer: vec![0; 64 * 1024].into(),
            count: Count::default(),
            over: false,
        };
        let level = epoll::EventFlags::IN;
        let add = |server: &mut Server, thing: Thing, edge: bool| -> Result<(), Error> {
            let key = server.things.reserve();
            let flags = if edge { level | epoll::EventFlags::ET } else { level };
            let socket = match &thing {
                Thing::Lifeline(socket) | Thing::Door(socket) => socket,
                Thing::Listener(listener) => &listener.socket,
                _ => unreachable!("only these are there from the start"),
            };
            epoll::add(&server.epoll, socket, epoll::EventData::new_u64(key.word(0)), flags)
                .map_err(Error::start("wait for events"))?;
            server.things.put(key, thing);
            Ok(())
        };
        if let Some(lifeline) = outside.lifeline {
            add(&mut server, Thing::Lifeline(lifeline), false)?;
        }
        add(&mut server, Thing::Door(doors.datagrams), false)?;
        for listener in [Listener::door(doors.streams), Listener::control(outside.control)]
            .into_iter()
            .chain(outside.ports.into_iter().map(|(port, socket)| Listener::port(port, socket)))
            .chain(
                doors
                    .host_ports
                    .into_iter()
                    .map(|(port, socket)| Listener::host_port(port, socket)),
            )
        {
            add(&mut server, Thing::Listener(listener), true)?;
        }
        Ok(server)
    }

    /// Serves until the lifeline ends.
    pub fn run(mut self) {
        self.serve();
        let _ = rustix::fs::unlink(self.setup.run.join(SOCKET));
    }

    fn serve(&mut self) {
        let mut events = Vec::with_capacity(64);
        while !self.over {
            let wait =
                if self.again.is_empty() { self.until_next() } else { Some(Timespec::default()) };
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                wait.as_ref(),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                let (key, side) = Key::from_word(data.u64());
                let has = |flag| flags.intersects(flag);
                self.event(
                    key,
                    Event {
                        side,
                        read: has(epoll::EventFlags::IN
                            | epoll::EventFlags::RDHUP
                            | epoll::EventFlags::HUP),
                        write: has(epoll::EventFlags::OUT),
                        broken: has(epoll::EventFlags::ERR),
                    },
                );
            }
            for _ in 0..self.again.len() {
                if let Some(key) = self.again.pop_front() {
                    self.event(key, Event { side: AGAIN, ..Event::default() });
                }
            }
            let now = Instant::now();
            while let Some(Reverse((due, key))) = self.timers.peek().copied()
                && due <= now
            {
                self.timers.pop();
                self.event(key, Event { side: LATE, ..Event::default() });
            }
        }
    }

    fn until_next(&self) -> Option<Timespec> {
        let Reverse((due, _)) = self.timers.peek()?;
        let left = due.saturating_duration_since(Instant::now());
        // A little more, so that it is over when we look.
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos().saturating_add(100_000).min(999_999_999)),
        })
    }

    fn event(&mut self, key: Key, event: Event) {
        let Some(thing) = self.things.take(key) else { return };
        let kept = match thing {
            Thing::Lifeline(lifeline) => {
                self.over = !matches!(rustix::io::read(&lifeline, &mut self.buffer[..]), Ok(1..));
                Some(Thing::Lifeline(lifeline))
            }
            Thing::Listener(listener) => {
                self.accept(&listener);
                Some(Thing::Listener(listener))
            }
            Thing::Door(socket) => {
                self.take_datagrams(&socket);
                Some(Thing::Door(socket))
            }
            Thing::Flow(flow) => self.flow(key, flow, event).map(Thing::Flow),
            Thing::Datagrams(flow) => self.datagrams(key, flow, event).map(Thing::Datagrams),
            Thing::Job(job) => self.job(key, job, event).map(Thing::Job),
            Thing::Stream(stream) => self.stream(key, stream, event).map(Thing::Stream),
            Thing::Visit(visit) => self.visit(key, visit, event).map(Thing::Visit),
        };
        self.settle(key, kept);
    }

    /// Puts back what is kept, or gives its key back.
    fn settle(&mut self, key: Key, kept: Option<Thing>) {
        if let Some(thing) = kept {
            self.things.put(key, thing);
        } else {
            self.things.free(key);
        }
    }

    /// Waits for all that can happen to `socket`, told once each.
    fn watch(&self, socket: impl AsFd, key: Key, side: u8) -> bool {
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(key.word(side)), flags).is_ok()
    }

    /// Waits for something to read from `socket`, told as long as there is.
    fn watch_input(&self, socket: impl AsFd, key: Key) -> bool {
        let data = epoll::EventData::new_u64(key.word(0));
        epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN).is_ok()
    }

    fn unwatch(&self, socket: impl AsFd) {
        let _ = epoll::delete(&self.epoll, socket);
    }

    fn remind(&mut self, key: Key, due: Instant) {
        // Reminders of what is over go before they become many.
        if self.timers.len() >= self.many_timers {
            let things = &self.things;
            self.timers.retain(|Reverse((_, key))| things.is_live(*key));
            self.timers.shrink_to(0);
            self.many_timers = 1024.max(2 * self.timers.len());
        }
        self.timers.push(Reverse((due, key)));
    }

    /// Writes down what was refused.
    fn told(
        &mut self,
        proto: &str,
        to: Option<SocketAddrV4>,
        name: Option<&HostName>,
        why: Refusal,
    ) {
        self.count.refused += 1;
        let to = to.map(|to| to.to_string()).unwrap_or_default();
        self.log.add(proto, to, name.map(ToString::to_string), &why.to_string());
    }

    /// A flow ended: listeners that waited for a place go on.
    fn flow_ended(&mut self) {
        self.count.flows -= 1;
        if self.count.flows == 0 {
            sys::trim_memory();
        }
        if std::mem::take(&mut self.full) {
            let waiting: Vec<Key> = self
                .things
                .iter()
                .filter(|(_, thing)| matches!(thing, Thing::Listener(_)))
                .map(|(key, _)| key)
                .collect();
            self.again.extend(waiting);
        }
    }
}
