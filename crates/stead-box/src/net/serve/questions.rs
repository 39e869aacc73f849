//! Questions of DNS on their way: to the name servers, again, by TCP, and back.

use super::super::dns::message::{Code, LONGEST, Question, Reply};
use super::super::name::HostName;
use super::super::rules::{Answer, Refusal, kind};
use super::slab::Key;
use super::{Event, Server, Thing};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Most at a time.
const MOST: usize = 256;
/// How long a server may take.
const TRY: Duration = Duration::from_millis(1500);
/// The same by TCP.
const TRY_STREAM: Duration = Duration::from_secs(4);
/// How often each server is asked.
const ROUNDS: usize = 2;

/// Who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Whoever sent a datagram.
    Datagram {
        /// From here.
        from: SocketAddrV4,
        /// To a name server here, as it thinks.
        to: SocketAddrV4,
    },
    /// Whoever asks on a stream.
    Stream(Key),
    /// A connection that named its server.
    Flow(Key),
}

/// A question that name servers were asked.
pub struct Job {
    question: Question,
    asker: Asker,
    servers: Vec<SocketAddr>,
    turn: usize,
    id: u16,
    socket: OwnedFd,
    stream: Option<Stream>,
    due: Instant,
}

/// A question by TCP.
struct Stream {
    out: Vec<u8>,
    answer: Vec<u8>,
}

type Kept = Option<Box<Job>>;

impl Server {
    /// Answers a question from inside, now or later.
    pub(super) fn question(&mut self, question: Question, asker: Asker) {
        let decided = match &question.name {
            Some(name) => self.rules.dns(name, question.kind),
            // The root, or what no host is called (`1.0.0.127.in-addr.arpa` is a name).
            None if self.rules.checks_names() => Answer::Refused(Refusal::NotListed),
            None => Answer::Ask,
        };
        let answer = match decided {
            Answer::Ask => {
                self.ask(question, asker);
                return;
            }
            Answer::Address(address) => question.answer(Code::Fine, Some(address), None),
            Answer::Nothing => question.answer(Code::Fine, None, None),
            Answer::NoName => question.answer(Code::NoName, None, None),
            Answer::Refused(refusal) => {
                self.told("dns", None, question.name.as_ref(), refusal);
                question.answer(Code::NoName, None, Some(&refusal.to_string()))
            }
        };
        self.answer(asker, &question, &answer, &[]);
    }

    /// Asks for the addresses of `name`, for ourselves. Tells whether anybody could be asked.
    pub(super) fn ask_address(&mut self, name: &HostName, asker: Asker) -> bool {
        self.ask(Question::ours(name), asker)
    }

    fn ask(&mut self, question: Question, asker: Asker) -> bool {
        let servers = self.servers.now().to_vec();
        let key = self.things.reserve();
        let started = if self.count.jobs < MOST {
            self.try_server(key, &servers, 0, &question)
        } else {
            None
        };
        let Some((id, socket, due)) = started else {
            self.things.free(key);
            let answer = question.answer(Code::Failed, None, None);
            self.answer(asker, &question, &answer, &[]);
            return false;
        };
        self.count.jobs += 1;
        let job = Job { question, asker, servers, turn: 0, id, socket, stream: None, due };
        self.things.put(key, Thing::Job(Box::new(job)));
        true
    }

    /// Sends a question by datagram; from a port and with a number that nobody can guess.
    fn try_server(
        &mut self,
        key: Key,
        servers: &[SocketAddr],
        turn: usize,
        question: &Question,
    ) -> Option<(u16, OwnedFd, Instant)> {
        let server = servers.get(turn % servers.len().max(1))?;
        let mut id = [0; 2];
        rustix::rand::getrandom(&mut id[..], rustix::rand::GetRandomFlags::empty()).ok()?;
        let id = u16::from_ne_bytes(id);
        let socket = open(server, SocketType::DGRAM).ok()?;
        let _ = rustix::net::send(&socket, &question.to_server(id), SendFlags::empty());
        let due = Instant::now() + TRY;
        self.remind(key, due);
        self.watch_input(&socket, key).then_some((id, socket, due))
    }

    /// The next server, or the same again; at last the asker hears that there was no answer.
    fn try_next(&mut self, key: Key, mut job: Box<Job>) -> Kept {
        while job.turn + 1 < job.servers.len() * ROUNDS {
            job.turn += 1;
            let servers = std::mem::take(&mut job.servers);
            let started = self.try_server(key, &servers, job.turn, &job.question);
            job.servers = servers;
            if let Some((id, socket, due)) = started {
                (job.id, job.socket, job.due, job.stream) = (id, socket, due, None);
                return Some(job);
            }
        }
        self.count.jobs -= 1;
        let answer = job.question.answer(Code::Failed, None, None);
        self.answer(job.asker, &job.question, &answer, &[]);
        None
    }

    /// A server answered, or did not.
    pub(super) fn job(&mut self, key: Key, job: Box<Job>, event: Event) -> Kept {
        if event.is_late() {
            return if job.due <= Instant::now() { self.try_next(key, job) } else { Some(job) };
        }
        if job.stream.is_some() {
            return self.job_by_stream(key, job);
        }
        let mut buffer = [0; 4096];
        loop {
            match rustix::net::recv(&job.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => match job.question.check(job.id, &buffer[..len]) {
                    Some(reply) if reply.cut => return self.try_stream(key, job),
                    Some(reply) => {
                        return self.answered_by_server(key, job, &reply, &buffer[..len]);
                    }
                    // Not what was asked: somebody guesses. The answer may still come.
                    None => {}
                },
                Err(Errno::AGAIN) => return Some(job),
                Err(Errno::INTR) => {}
                Err(_) => return self.try_next(key, job),
            }
        }
    }

    fn try_stream(&mut self, key: Key, mut job: Box<Job>) -> Kept {
        let server = job.servers[job.turn % job.servers.len()];
        let Ok(socket) = open(&server, SocketType::STREAM) else { return self.try_next(key, job) };
        let question = job.question.to_server(job.id);
        let mut out = (question.len() as u16).to_be_bytes().to_vec();
        out.extend(question);
        job.stream = Some(Stream { out, answer: Vec::new() });
        job.due = Instant::now() + TRY_STREAM;
        self.remind(key, job.due);
        if !self.watch(&socket, key, 0) {
            return self.try_next(key, job);
        }
        job.socket = socket;
        Some(job)
    }

    fn job_by_stream(&mut self, key: Key, mut job: Box<Job>) -> Kept {
        let Job { stream: Some(stream), socket, .. } = &mut *job else { return Some(job) };
        while !stream.out.is_empty() {
            match rustix::net::send(&*socket, &stream.out, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    stream.out.drain(..sent);
                }
                Err(Errno::AGAIN | Errno::NOTCONN) => return Some(job),
                Err(Errno::INTR) => {}
                Err(_) => return self.try_next(key, job),
            }
        }
        loop {
            match rustix::net::recv(&*socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return self.try_next(key, job),
                Ok((len, _)) => stream.answer.extend(&self.buffer[..len]),
                Err(Errno::AGAIN) => return Some(job),
                Err(Errno::INTR) => continue,
                Err(_) => return self.try_next(key, job),
            }
            let Some(len) = stream.answer.first_chunk::<2>() else { continue };
            let len = usize::from(u16::from_be_bytes(*len)).min(LONGEST);
            if stream.answer.len() >= len + 2 {
                let answer = stream.answer[2..len + 2].to_vec();
                return match job.question.check(job.id, &answer) {
                    Some(reply) => self.answered_by_server(key, job, &reply, &answer),
                    None => self.try_next(key, job),
                };
            }
        }
    }

    fn answered_by_server(
        &mut self,
        key: Key,
        job: Box<Job>,
        reply: &Reply,
        answer: &[u8],
    ) -> Kept {
        if reply.failed && job.turn + 1 < job.servers.len() * ROUNDS {
            return self.try_next(key, job);
        }
        self.count.jobs -= 1;
        if let Some(name) = job.question.name.as_ref().filter(|_| job.question.kind == kind::A) {
            self.memory.learn(name, &reply.addresses, reply.ttl, Instant::now());
        }
        self.answer(job.asker, &job.question, answer, &reply.addresses);
        None
    }

    /// Says the answer to whoever asked.
    fn answer(&mut self, asker: Asker, question: &Question, answer: &[u8], addresses: &[Ipv4Addr]) {
        match asker {
            Asker::Datagram { from, to } => self.reply(to, from, &question.hand_on(answer, true)),
            Asker::Stream(key) => self.answer_stream(key, &question.hand_on(answer, false)),
            Asker::Flow(key) => self.found(key, addresses),
        }
    }
}

fn open(to: &SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    match rustix::net::connect(&socket, to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
