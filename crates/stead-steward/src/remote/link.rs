//! The stream to one bridge, from the steward's side: questions with answers, and channels.
//!
//! Whoever has the machine has the other end. Everything here is bounded, whatever comes: frames, questions, what
//! waits for a client that does not read. A stream that breaks a rule is given up as a whole.

use super::pipe::Pipe;
use crate::steward::lock_of;
use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stead_wire::bridge::{
    Ask, Asked, Event, FromBridge, Hello, Inside, MAX_MESSAGE, Move, SPOKEN, ToBridge,
};
use stead_wire::frame::Decoder;
use stead_wire::handshake;
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// Bytes waiting for the bridge beyond which clients are not read from.
const ROOM: usize = 1024 * 1024;
/// How often the bridge may say what nobody asked for: at once, and a second.
const BURST: f64 = 4000.0;
const RATE: f64 = 500.0;

/// Why a question had no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The bridge said no.
    #[error("{0}")]
    Refused(String),
    /// The stream ended, or nothing came in time: what was asked for may have been done or not.
    #[error("{0}")]
    Broken(String),
}

/// An answer.
#[derive(Debug)]
enum Reply {
    Value(Value),
    Bytes(Vec<u8>),
}

/// How a command inside ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    sent: usize,
}

/// An open stream to a bridge that has greeted.
pub struct Link {
    stream: UnixStream,
    /// What the machine is like inside.
    pub inside: Inside,
    out: Mutex<Out>,
    kick: Notify,
    room: Notify,
    asks: Mutex<HashMap<u32, oneshot::Sender<Result<Reply, String>>>>,
    pipes: Mutex<HashMap<u32, Arc<Pipe>>>,
    commands: Mutex<HashMap<u32, oneshot::Sender<Ended>>>,
    last: AtomicU32,
    over: watch::Sender<Option<String>>,
}

/// What has come in and has not been handled.
pub struct Incoming {
    decoder: Decoder,
    buf: Vec<u8>,
}

impl Incoming {
    /// Reads what there is, waiting for something.
    async fn fill(&mut self, stream: &UnixStream) -> Result<(), String> {
        loop {
            stream.readable().await.map_err(|e| e.to_string())?;
            match stream.try_read(&mut self.buf) {
                Ok(0) => return Err("its bridge has ended".into()),
                Ok(n) => {
                    self.decoder.push(&self.buf[..n]);
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(format!("the stream to its bridge broke: {e}")),
            }
        }
    }

    /// Sees that no frame grows beyond what a bridge may send.
    fn check(&self) -> Result<(), String> {
        if self.decoder.pending() > MAX_MESSAGE {
            return Err("its bridge sends frames that are too large".into());
        }
        Ok(())
    }
}

impl Link {
    /// Greets the bridge at the other end.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub async fn open(
        stream: std::os::unix::net::UnixStream,
    ) -> Result<(Arc<Self>, Incoming), String> {
        stream.set_nonblocking(true).map_err(|e| e.to_string())?;
        let stream = UnixStream::from_std(stream).map_err(|e| e.to_string())?;
        let mut hello = Vec::new();
        let program = concat!("stead-steward ", env!("CARGO_PKG_VERSION")).to_owned();
        ToBridge::Hello(Hello { speaks: SPOKEN, program }).put(&mut hello);
        let mut sent = 0;
        while sent < hello.len() {
            stream.writable().await.map_err(|e| e.to_string())?;
            match stream.try_write(&hello[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(format!("the stream to its bridge broke: {e}")),
            }
        }
        let mut incoming = Incoming { decoder: Decoder::new(), buf: vec![0; 32 * 1024] };
        loop {
            incoming.fill(&stream).await?;
            let frame = incoming.decoder.next_frame().map_err(|e| e.to_string())?;
            let inside = match frame.map(FromBridge::read) {
                Some(Ok(Some(FromBridge::Inside(inside)))) => inside,
                Some(Ok(None)) => continue,
                Some(Ok(Some(_))) => return Err("its bridge does not greet".into()),
                Some(Err(e)) => return Err(e.to_string()),
                None => {
                    incoming.check()?;
                    continue;
                }
            };
            handshake::agree(SPOKEN, inside.speaks).map_err(|_| {
                format!(
                    "its bridge speaks versions {} to {}, this steward {} to {}",
                    inside.speaks.min, inside.speaks.max, SPOKEN.min, SPOKEN.max
                )
            })?;
            let link = Link {
                stream,
                inside,
                out: Mutex::default(),
                kick: Notify::new(),
                room: Notify::new(),
                asks: Mutex::default(),
                pipes: Mutex::default(),
                commands: Mutex::default(),
                last: AtomicU32::new(0),
                over: watch::Sender::new(None),
            };
            return Ok((Arc::new(link), incoming));
        }
    }

    /// Handles what the bridge says until the stream ends; returns why it did.
    pub async fn serve(&self, mut incoming: Incoming, mut on_event: impl FnMut(Event)) -> String {
        let mut over = self.over.subscribe();
        let why = tokio::select! {
            why = self.read(&mut incoming, &mut on_event) => why,
            why = self.write() => why,
            _ = over.wait_for(Option::is_some) => String::new(),
        };
        self.close(&why);
        lock_of(&self.asks).clear();
        lock_of(&self.pipes).clear();
        lock_of(&self.commands).clear();
        let said = self.over.borrow().clone();
        said.unwrap_or(why)
    }

    /// Ends the stream.
    pub fn close(&self, why: &str) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            over.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    /// Returns once the stream has ended.
    pub async fn ended(&self) {
        let _ = self.over.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the stream has ended.
    pub fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }

    async fn read(&self, incoming: &mut Incoming, on_event: &mut impl FnMut(Event)) -> String {
        let mut budget = Budget { left: BURST, at: Instant::now() };
        loop {
            loop {
                let asked_for = match incoming.decoder.next_frame() {
                    Ok(Some(frame)) => match FromBridge::read(frame) {
                        Ok(Some(message)) => match self.handle(message, on_event) {
                            Ok(asked_for) => asked_for,
                            Err(why) => return why,
                        },
                        Ok(None) => false,
                        Err(e) => return format!("its bridge makes no sense: {e}"),
                    },
                    Ok(None) => break,
                    Err(_) => return "its bridge does not speak the protocol".into(),
                };
                if !asked_for && let Some(wait) = budget.spend() {
                    sleep(wait).await;
                }
            }
            incoming.decoder.trim();
            if let Err(why) = incoming.check() {
                return why;
            }
            if let Err(why) = incoming.fill(&self.stream).await {
                return why;
            }
        }
    }

    /// Handles a message. Says whether it was asked for.
    fn handle(
        &self,
        message: FromBridge<'_>,
        on_event: &mut impl FnMut(Event),
    ) -> Result<bool, String> {
        let reply = |id: u32, result| {
            let waiting = lock_of(&self.asks).remove(&id);
            waiting.map(|waiting| waiting.send(result)).is_some()
        };
        Ok(match message {
            FromBridge::Inside(_) => false,
            FromBridge::Answer(answer) => reply(
                answer.id,
                match answer.error {
                    Some(why) => Err(super::check::line(&why, 500)),
                    None => Ok(Reply::Value(answer.ok)),
                },
            ),
            FromBridge::Bytes(id, bytes) => reply(id, Ok(Reply::Bytes(bytes.to_vec()))),
            FromBridge::Event(Event::Ended { channel, code, signal }) => {
                let waiting = lock_of(&self.commands).remove(&channel);
                waiting.map(|waiting| waiting.send(Ended { code, signal })).is_some()
            }
            FromBridge::Event(event) => {
                on_event(event);
                false
            }
            FromBridge::Channel(number, what) => {
                let Some(pipe) = lock_of(&self.pipes).get(&number).cloned() else {
                    // One that has been closed here meanwhile.
                    return Ok(false);
                };
                match what {
                    Move::Data(bytes) => {
                        let passed = pipe.arrived(bytes).map_err(|()| {
                            "its bridge sends more than it has credit for".to_owned()
                        })?;
                        self.credit(number, passed);
                        !bytes.is_empty()
                    }
                    Move::Credit(n) => pipe.granted(n),
                    Move::End => {
                        pipe.ended();
                        false
                    }
                    Move::Close(_) => {
                        lock_of(&self.pipes).remove(&number);
                        pipe.closed();
                        true
                    }
                }
            }
        })
    }

    async fn write(&self) -> String {
        loop {
            self.kick.notified().await;
            loop {
                {
                    let mut out = lock_of(&self.out);
                    if let Err(e) = self.flush(&mut out) {
                        return format!("the stream to its bridge broke: {e}");
                    }
                    if out.bytes.len() - out.sent < ROOM {
                        self.room.notify_waiters();
                    }
                    if out.bytes.is_empty() {
                        break;
                    }
                }
                if let Err(e) = self.stream.writable().await {
                    return format!("the stream to its bridge broke: {e}");
                }
            }
        }
    }

    fn flush(&self, out: &mut Out) -> io::Result<()> {
        while out.sent < out.bytes.len() {
            match self.stream.try_write(&out.bytes[out.sent..]) {
                Ok(n) => out.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if out.sent > ROOM {
                        let sent = std::mem::take(&mut out.sent);
                        out.bytes.drain(..sent);
                    }
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        out.bytes.clear();
        out.bytes.shrink_to(64 * 1024);
        out.sent = 0;
        Ok(())
    }

    /// Sends a message, at once where the stream takes it.
    pub fn put(&self, message: &ToBridge<'_>) {
        let mut out = lock_of(&self.out);
        let idle = out.bytes.is_empty();
        message.put(&mut out.bytes);
        // An error is the writer's to find.
        if !idle || self.flush(&mut out).is_err() || !out.bytes.is_empty() {
            self.kick.notify_one();
        }
    }

    /// Waits until the stream takes more.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            {
                let out = lock_of(&self.out);
                if out.bytes.len() - out.sent < ROOM {
                    return;
                }
            }
            room.await;
        }
    }

    /// Tells the bridge that so many bytes of a channel have been passed on.
    pub fn credit(&self, number: u32, passed: usize) {
        if passed > 0 {
            self.put(&ToBridge::Channel(number, Move::Credit(passed as u32)));
        }
    }

    fn number(&self) -> u32 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    async fn question(&self, ask: Ask, patience: Duration) -> Result<Reply, AskError> {
        let broken = || {
            let why = self.over.borrow().clone();
            AskError::Broken(
                why.filter(|w| !w.is_empty()).unwrap_or_else(|| "its bridge has ended".into()),
            )
        };
        if self.is_over() {
            return Err(broken());
        }
        let id = self.number();
        let (answer, answered) = oneshot::channel();
        lock_of(&self.asks).insert(id, answer);
        self.put(&ToBridge::Ask(Asked { id, ask }));
        if self.is_over() {
            lock_of(&self.asks).remove(&id);
        }
        match timeout(patience, answered).await {
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(why))) => Err(AskError::Refused(why)),
            Ok(Err(_)) => Err(broken()),
            Err(_) => {
                lock_of(&self.asks).remove(&id);
                Err(AskError::Broken("its bridge does not answer".into()))
            }
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// If the bridge says no, does not answer in time, or is gone.
    pub async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        ask: Ask,
        patience: Duration,
    ) -> Result<T, AskError> {
        let odd = |e: String| AskError::Refused(format!("its bridge's answer cannot be read: {e}"));
        match self.question(ask, patience).await? {
            Reply::Value(value) => serde_json::from_value(value).map_err(|e| odd(e.to_string())),
            Reply::Bytes(_) => Err(odd("it is bytes".into())),
        }
    }

    /// Asks for bytes; never more than `len`.
    ///
    /// # Errors
    /// As [`Link::ask`].
    pub async fn bytes(
        &self,
        ask: Ask,
        len: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, AskError> {
        match self.question(ask, patience).await? {
            Reply::Bytes(bytes) if bytes.len() <= len => Ok(bytes),
            _ => Err(AskError::Refused("its bridge's answer is not what was asked for".into())),
        }
    }

    /// Gives a connection a channel; the bridge must be told what it leads to.
    pub fn join(&self, client: UnixStream, half: bool) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::new(self.number(), client, half));
        lock_of(&self.pipes).insert(pipe.number(), pipe.clone());
        pipe
    }

    /// Forgets a channel.
    pub fn part(&self, number: u32) {
        lock_of(&self.pipes).remove(&number);
    }

    /// Returns once the command of this channel has ended; `None` if the stream ends first.
    pub fn end_of(&self, number: u32) -> oneshot::Receiver<Ended> {
        let (end, ended) = oneshot::channel();
        lock_of(&self.commands).insert(number, end);
        ended
    }
}

/// How much a bridge may say unasked: each message is work for this host.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    /// How long to wait before listening on.
    fn spend(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.left = (self.left + (now - self.at).as_secs_f64() * RATE).min(BURST);
        self.at = now;
        self.left -= 1.0;
        (self.left < 0.0).then(|| Duration::from_secs_f64(-self.left / RATE))
    }
}
