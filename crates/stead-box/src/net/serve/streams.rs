//! Questions of DNS that come by TCP.

use super::super::dns::message::Question;
use super::questions::Asker;
use super::slab::Key;
use super::{Event, Server, Thing};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long one may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// No question is longer.
const LONGEST_QUESTION: usize = 1024;

/// A stream of questions, one at a time.
pub struct Stream {
    socket: OwnedFd,
    read: Vec<u8>,
    out: Vec<u8>,
    /// A question is on its way.
    waits: bool,
    due: Instant,
}

type Kept = Option<Box<Stream>>;

impl Server {
    pub(super) fn open_stream(&mut self, socket: OwnedFd) {
        let key = self.things.reserve();
        let due = Instant::now() + IDLE;
        if !self.watch(&socket, key, 0) {
            self.things.free(key);
            return;
        }
        self.count.flows += 1;
        self.remind(key, due);
        let stream = Stream { socket, read: Vec::new(), out: Vec::new(), waits: false, due };
        self.things.put(key, Thing::Stream(Box::new(stream)));
    }

    /// Something happened to a stream of questions.
    pub(super) fn stream(&mut self, key: Key, mut stream: Box<Stream>, event: Event) -> Kept {
        if event.is_late() {
            if stream.due <= Instant::now() {
                return self.close_stream();
            }
            self.remind(key, stream.due);
            return Some(stream);
        }
        if event.broken {
            return self.close_stream();
        }
        loop {
            while !stream.out.is_empty() {
                match rustix::net::send(&stream.socket, &stream.out, SendFlags::NOSIGNAL) {
                    Ok(sent) => {
                        stream.out.drain(..sent);
                    }
                    Err(Errno::AGAIN) => return Some(stream),
                    Err(Errno::INTR) => {}
                    Err(_) => return self.close_stream(),
                }
            }
            if stream.waits {
                return Some(stream);
            }
            if let Some(len) = stream.read.first_chunk::<2>() {
                let len = usize::from(u16::from_be_bytes(*len));
                if len > LONGEST_QUESTION {
                    return self.close_stream();
                }
                if stream.read.len() >= len + 2 {
                    let question: Vec<u8> = stream.read.drain(..len + 2).skip(2).collect();
                    match Question::read(&question) {
                        Ok(question) => {
                            stream.waits = true;
                            stream.due = Instant::now() + IDLE;
                            // The answer may be there before this returns, and must find the stream.
                            self.things.put(key, Thing::Stream(stream));
                            self.question(question, Asker::Stream(key));
                            match self.things.take(key) {
                                Some(Thing::Stream(back)) => stream = back,
                                _ => return None,
                            }
                        }
                        Err(Some(answer)) => frame(&mut stream, &answer),
                        Err(None) => return self.close_stream(),
                    }
                    continue;
                }
            }
            match rustix::net::recv(
                &stream.socket,
                &mut self.buffer[..LONGEST_QUESTION],
                RecvFlags::empty(),
            ) {
                Ok((0, _)) => return self.close_stream(),
                Ok((len, _)) => stream.read.extend(&self.buffer[..len]),
                Err(Errno::AGAIN) => return Some(stream),
                Err(Errno::INTR) => {}
                Err(_) => return self.close_stream(),
            }
        }
    }

    fn close_stream(&mut self) -> Kept {
        self.flow_ended();
        None
    }

    /// The answer to a stream's question.
    pub(super) fn answer_stream(&mut self, key: Key, answer: &[u8]) {
        if let Some(Thing::Stream(mut stream)) = self.things.take(key) {
            stream.waits = false;
            frame(&mut stream, answer);
            self.things.put(key, Thing::Stream(stream));
            self.again.push_back(key);
        }
    }
}

fn frame(stream: &mut Stream, answer: &[u8]) {
    stream.out.extend((answer.len() as u16).to_be_bytes());
    stream.out.extend(answer);
}
