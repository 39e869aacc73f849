//! Datagrams: one socket outside for each pair of a sender inside and where it sends to, as long as there is traffic.

use super::super::dns::message::Question;
use super::super::rules::{Refusal, Way};
use super::super::sys;
use super::questions::Asker;
use super::slab::Key;
use super::{Event, Server, Thing, packet};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Most at a time; the one that was silent longest makes room.
const MOST: usize = 256;
/// How long one may be silent.
const IDLE: Duration = Duration::from_mins(1);
/// Datagrams at a time before others have their turn.
const TURN: usize = 64;

/// Flows by who sends where.
pub type Flows = HashMap<(SocketAddrV4, SocketAddrV4), (Key, Instant)>;

/// Datagrams between two.
pub struct Datagrams {
    from: SocketAddrV4,
    to: SocketAddrV4,
    socket: OwnedFd,
}

impl Server {
    /// Takes datagrams that the sandbox sent.
    pub(super) fn take_datagrams(&mut self, door: impl AsFd) {
        for _ in 0..TURN {
            let mut buffer = std::mem::take(&mut self.buffer);
            let taken = sys::receive(&door, &mut buffer);
            if let Ok(Some(datagram)) = &taken {
                self.sent(datagram.from, datagram.to, &buffer[..datagram.len]);
            }
            self.buffer = buffer;
            if taken.is_err() {
                return;
            }
        }
    }

    fn sent(&mut self, from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
        // A flow that stands was judged when it began, and again when the rules changed.
        if let Some((key, last)) = self.flows_of_datagrams.get_mut(&(from, to)) {
            *last = Instant::now();
            let key = *key;
            if let Some(Thing::Datagrams(flow)) = self.things.take(key) {
                let _ = rustix::net::send(&flow.socket, data, SendFlags::DONTWAIT);
                self.things.put(key, Thing::Datagrams(flow));
            }
            return;
        }
        let (name, decided) = match self.rules.udp(to) {
            Way::Dns => {
                match Question::read(data) {
                    Ok(question) => self.question(question, Asker::Datagram { from, to }),
                    Err(Some(answer)) => self.reply(to, from, &answer),
                    Err(None) => {}
                }
                return;
            }
            Way::Direct => (None, Ok(())),
            Way::Answered => match self.answered(to) {
                Ok(name) => (Some(name), Ok(())),
                Err(refusal) => (None, Err(refusal)),
            },
            Way::Refused(refusal) => (None, Err(refusal)),
            Way::Tls | Way::Http | Way::Peer(_) => (None, Err(Refusal::Quic)),
        };
        let own = self.host.is_own(*to.ip()) && !self.rules.opens_host(to);
        let decided = decided.and(if own { Err(Refusal::ThisHost) } else { Ok(()) });
        if let Err(refusal) = decided {
            self.told("udp", Some(to), name.as_ref(), refusal);
            self.send_inside(from, packet::unreachable(from, to));
            return;
        }
        if self.flows_of_datagrams.len() >= MOST {
            let oldest = self.flows_of_datagrams.iter().min_by_key(|(_, (_, last))| *last);
            if let Some((pair, key)) = oldest.map(|(pair, (key, _))| (*pair, *key)) {
                self.flows_of_datagrams.remove(&pair);
                self.things.free(key);
                self.count.datagrams -= 1;
            }
        }
        let Ok(socket) = open(to) else { return };
        let _ = rustix::net::send(&socket, data, SendFlags::empty());
        let key = self.things.reserve();
        let now = Instant::now();
        if self.watch_input(&socket, key) {
            self.things.put(key, Thing::Datagrams(Datagrams { from, to, socket }));
            self.flows_of_datagrams.insert((from, to), (key, now));
            self.count.datagrams += 1;
            self.remind(key, now + IDLE);
        } else {
            self.things.free(key);
        }
    }

    /// Something came back, or nothing for long.
    pub(super) fn datagrams(
        &mut self,
        key: Key,
        flow: Datagrams,
        event: Event,
    ) -> Option<Datagrams> {
        if event.is_late() {
            let last = self.flows_of_datagrams.get(&(flow.from, flow.to)).map(|(_, last)| *last);
            let due = last.map(|last| last + IDLE).filter(|due| *due > Instant::now());
            if let Some(due) = due {
                self.remind(key, due);
                return Some(flow);
            }
            self.forget(&flow);
            return None;
        }
        for _ in 0..TURN {
            let mut buffer = std::mem::take(&mut self.buffer);
            let taken = rustix::net::recv(&flow.socket, &mut buffer[..], RecvFlags::DONTWAIT);
            if let Ok((len, _)) = taken {
                if let Some((_, last)) = self.flows_of_datagrams.get_mut(&(flow.from, flow.to)) {
                    *last = Instant::now();
                }
                self.reply(flow.to, flow.from, &buffer[..len]);
            }
            self.buffer = buffer;
            match taken {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Some(flow),
                Err(_) => {
                    // Nobody is there, or no way: whoever sent hears it.
                    self.send_inside(flow.from, packet::unreachable(flow.from, flow.to));
                    self.forget(&flow);
                    return None;
                }
            }
        }
        Some(flow)
    }

    fn forget(&mut self, flow: &Datagrams) {
        self.flows_of_datagrams.remove(&(flow.from, flow.to));
        self.count.datagrams -= 1;
    }

    /// After a change of rules: ends what is no longer allowed.
    pub(super) fn judge_datagrams_again(&mut self) {
        let pairs: Vec<_> =
            self.flows_of_datagrams.iter().map(|(pair, (key, _))| (*pair, *key)).collect();
        for (pair, key) in pairs {
            let stands = match self.rules.udp(pair.1) {
                Way::Direct => true,
                Way::Answered => self.answered(pair.1).is_ok(),
                _ => false,
            };
            if !stands {
                self.flows_of_datagrams.remove(&pair);
                self.count.datagrams -= 1;
                self.things.free(key);
            }
        }
    }

    /// Sends a datagram into the sandbox, from where its sender sent to.
    pub(super) fn reply(&self, from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
        self.send_inside(to, packet::datagram(from, to, data));
    }

    fn send_inside(&self, to: SocketAddrV4, packet: Vec<u8>) {
        let to = SocketAddr::from((*to.ip(), 0));
        let parts = if self.setup.net.tap.is_some() { packet::parts(packet) } else { vec![packet] };
        for part in parts {
            let _ = rustix::net::sendto(&self.raw, &part, SendFlags::DONTWAIT, &to);
        }
    }
}

fn open(to: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddr::V4(to))?;
    Ok(socket)
}
