//! The bridge: the one program inside a machine that the steward talks to, over its standard streams.
//!
//! It holds no session and keeps nothing: holds live on without it, and the next bridge finds them in their folders.
//! One thread, one poll loop, as in a hold. It says what the folders and processes of the sessions say, and
//! carries bytes between the steward and the holds' sockets ([`stead_wire::bridge`]).

mod channel;
mod exec;
mod files;
mod inside;
mod start;
mod stream;
mod watch;

use crate::clock::steady_ms;
use crate::folder::Places;
use channel::Channel;
use exec::Command;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use serde_json::Value;
use start::Starting;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use stead_wire::bridge::{
    Answer, Ask, Asked, Event, FromBridge, Hello, MAX_DATA, Move, SPOKEN, ToBridge,
};
use stead_wire::frame::Frame;
use stead_wire::handshake;
use stream::Stream;
use watch::Watch;

pub use files::checksum;
pub use inside::USUAL_PATH;

/// What a bridge serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where sessions and sockets lie.
    pub places: Places,
    /// The program `stead-hold`.
    pub program: PathBuf,
}

/// Why a bridge ended that was not left by its steward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The folders cannot be made.
    #[error(transparent)]
    Folder(#[from] crate::folder::FolderError),
    /// Changes of the folders cannot be seen.
    #[error("cannot watch {what}: {source}")]
    Watch {
        /// The folder.
        what: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// What came is not the protocol.
    #[error(transparent)]
    Wire(#[from] stead_wire::WireError),
    /// The kernel refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a descriptor in the poll set belongs to.
#[derive(Clone, Copy)]
enum Token {
    Input,
    Output,
    Folders,
    Hold,
    Source(u32),
    Sink(u32),
    Start,
    Command,
}

struct Bridge {
    options: Options,
    stream: Stream,
    greeted: bool,
    watch: Watch,
    channels: BTreeMap<u32, Channel>,
    starts: Vec<Starting>,
    commands: Vec<Command>,
    buf: Vec<u8>,
}

/// Serves a steward until it leaves.
///
/// # Errors
/// If the folders cannot be used, or what comes is not the protocol.
pub fn serve(options: Options, input: OwnedFd, output: OwnedFd) -> Result<(), BridgeError> {
    options.places.create()?;
    let watch = Watch::new(&options.places);
    let stream = Stream::new(input, output)?;
    let mut bridge = Bridge {
        options,
        stream,
        greeted: false,
        watch,
        channels: BTreeMap::new(),
        starts: Vec::new(),
        commands: Vec::new(),
        buf: vec![0; MAX_DATA],
    };
    let result = bridge.run();
    for command in &bridge.commands {
        command.hang_up();
    }
    result
}

impl Bridge {
    fn run(&mut self) -> Result<(), BridgeError> {
        loop {
            self.stream.flush();
            if self.stream.gone() {
                return Ok(());
            }
            let came = self.wait()?;
            for (token, came) in &came {
                match token {
                    Token::Input => self.stream.receive(),
                    Token::Output if came.intersects(PollFlags::ERR | PollFlags::HUP) => {
                        return Ok(());
                    }
                    _ => {}
                }
            }
            // Before anything of a channel: what a hold has written down is told before what it says.
            self.watch.look(&self.options.places)?;
            if came.iter().any(|(token, _)| matches!(token, Token::Hold)) {
                self.watch.look_at_holds();
            }
            self.tell_changes();
            self.hear()?;
            for (token, _) in came {
                match token {
                    Token::Source(number) => self.pass_out(number),
                    Token::Sink(number) => self.pass_in(number),
                    _ => {}
                }
            }
            self.on_starts();
            self.on_commands();
        }
    }

    /// Waits for the next event; says what is ready.
    fn wait(&mut self) -> Result<Vec<(Token, PollFlags)>, BridgeError> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(4 + self.channels.len());
        let mut tokens = Vec::with_capacity(fds.capacity());
        let mut add = |token, fd, flags| {
            fds.push(PollFd::from_borrowed_fd(fd, flags));
            tokens.push(token);
        };
        if self.stream.may_hear() {
            add(Token::Input, self.stream.input(), PollFlags::IN);
        }
        let out = if self.stream.backlog() > 0 { PollFlags::OUT } else { PollFlags::empty() };
        add(Token::Output, self.stream.output(), out);
        if let Some(folders) = self.watch.folders() {
            add(Token::Folders, folders, PollFlags::IN);
        }
        for fd in self.watch.holds() {
            add(Token::Hold, fd, PollFlags::IN);
        }
        let room = self.stream.has_room();
        for (number, channel) in &self.channels {
            if let Some(fd) = channel.source().filter(|_| room && channel.may_send()) {
                add(Token::Source(*number), fd, PollFlags::IN);
            }
            if let Some(fd) = channel.sink().filter(|_| channel.has_queue()) {
                add(Token::Sink(*number), fd, PollFlags::OUT);
            }
        }
        for start in &self.starts {
            add(Token::Start, start.fd(), PollFlags::IN);
        }
        for command in self.commands.iter().filter(|command| !command.is_over()) {
            add(Token::Command, command.fd(), PollFlags::IN);
        }
        let due = self.starts.iter().filter_map(Starting::due).min().map(|at| {
            let ms = at.saturating_sub(steady_ms());
            rustix::event::Timespec {
                tv_sec: (ms / 1000) as i64,
                tv_nsec: ((ms % 1000) * 1_000_000) as i64,
            }
        });
        match rustix::event::poll(&mut fds, due.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(io::Error::from(e).into()),
        }
        let came = fds.iter().map(PollFd::revents);
        Ok(tokens.into_iter().zip(came).filter(|(_, came)| !came.is_empty()).collect())
    }

    /// Tells what has changed in the folders.
    fn tell_changes(&mut self) {
        if !self.greeted {
            return;
        }
        while self.stream.has_room()
            && let Some(event) = self.watch.next_change(&self.options.places)
        {
            self.stream.say(&FromBridge::Event(event));
        }
    }

    /// Handles every frame that has come whole.
    fn hear(&mut self) -> Result<(), BridgeError> {
        while let Some((kind, payload)) = self.stream.next_frame()? {
            let frame = Frame { kind, payload: &payload };
            match ToBridge::read(frame) {
                Ok(Some(ToBridge::Hello(hello))) => self.greet(&hello)?,
                Ok(Some(ToBridge::Ask(asked))) if self.greeted => self.on_ask(asked),
                Ok(Some(ToBridge::Channel(number, what))) => self.on_channel(number, what),
                Ok(_) => {}
                Err(e) => match stead_wire::bridge::unknown_question(frame) {
                    Some(id) => self.answer(id, Err(format!("this bridge cannot do that: {e}"))),
                    None => return Err(e.into()),
                },
            }
        }
        Ok(())
    }

    fn greet(&mut self, hello: &Hello) -> Result<(), BridgeError> {
        // Ours goes out in any case: it tells the steward which of the two is too old.
        let inside = inside::look(&self.options);
        self.stream.say(&FromBridge::Inside(inside));
        if let Err(e) = handshake::agree(SPOKEN, hello.speaks) {
            self.stream.flush();
            return Err(e.into());
        }
        self.greeted = true;
        Ok(())
    }

    fn answer(&mut self, id: u32, result: Result<Value, String>) {
        let (ok, error) = match result {
            Ok(ok) => (ok, None),
            Err(why) => (Value::Null, Some(why)),
        };
        self.stream.say(&FromBridge::Answer(Answer { id, ok, error }));
    }

    fn on_ask(&mut self, asked: Asked) {
        let places = &self.options.places;
        self.watch.look_unwatched(places);
        let id = asked.id;
        let done = |result: Result<(), String>| result.map(|()| Value::Null);
        let result = match asked.ask {
            Ask::List => {
                self.watch.look_everywhere(places);
                while let Some(event) = self.watch.next_change(places) {
                    self.stream.say(&FromBridge::Event(event));
                }
                Ok(Value::Null)
            }
            Ask::Start(start) => {
                match Starting::begin(&self.options, id, *start) {
                    Ok(starting) => self.starts.push(starting),
                    Err(why) => self.answer(id, Err(why)),
                }
                return;
            }
            Ask::Open { id: session, channel } => {
                Channel::to_hold(places, &session).map(|opened| {
                    self.channels.insert(channel, opened);
                    Value::Null
                })
            }
            Ask::Stat { id } => {
                files::stat(places, &id).map(|list| serde_json::to_value(list).expect("plain data"))
            }
            Ask::Read { id: session, file, offset, len } => {
                match files::read(places, &session, &file, offset, len) {
                    Ok(bytes) => return self.stream.say(&FromBridge::Bytes(id, &bytes)),
                    Err(why) => Err(why),
                }
            }
            Ask::Sum { id, file, len } => files::sum(places, &id, &file, len).map(Value::from),
            Ask::Remove { id } => done(files::remove(places, &id)),
            Ask::Rename { id, name } => done(files::rename(places, &id, &name)),
            Ask::Mend { id } => done(files::mend(places, &id)),
            Ask::Signal { id, signal } => done(files::signal(places, &id, signal)),
            Ask::Exists { patterns } => Ok(crate::pattern::exists(&patterns).into()),
            Ask::Exec(exec) => Command::start(&self.options, &exec).map(|(command, channels)| {
                self.commands.push(command);
                self.channels.extend(channels);
                Value::Null
            }),
            Ask::Resize { channel, size } => {
                if let Some(command) = self.commands.iter().find(|c| c.channel() == channel) {
                    command.resize(size);
                }
                Ok(Value::Null)
            }
        };
        self.answer(id, result);
    }

    fn on_channel(&mut self, number: u32, what: Move<'_>) {
        // One that has been closed here meanwhile: what was under way to it is lost.
        let Some(channel) = self.channels.get_mut(&number) else { return };
        match what {
            Move::Data(bytes) => {
                if let Err(why) = channel.take(bytes) {
                    return self.close(number, why);
                }
                self.pass_in(number);
            }
            Move::Credit(n) => channel.grant(n),
            Move::End => {
                channel.end_input();
                self.pass_in(number);
            }
            Move::Close(_) => {
                self.channels.remove(&number);
                for command in self.commands.iter().filter(|c| c.channel() == number) {
                    command.hang_up();
                }
            }
        }
    }

    fn close(&mut self, number: u32, why: &str) {
        self.channels.remove(&number);
        self.stream.say(&FromBridge::Channel(number, Move::Close(why)));
    }

    /// From a hold or a command to the steward.
    fn pass_out(&mut self, number: u32) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        match channel.pass_out(number, &mut self.stream, &mut self.buf) {
            channel::Flow::On => {}
            channel::Flow::End => {
                self.stream.say(&FromBridge::Channel(number, Move::End));
            }
            channel::Flow::Close(why) => self.close(number, &why),
        }
    }

    /// From the steward to a hold or a command.
    fn pass_in(&mut self, number: u32) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        match channel.pass_in() {
            Ok(0) => {}
            Ok(n) => self.stream.say(&FromBridge::Channel(number, Move::Credit(n as u32))),
            Err(why) => self.close(number, &why),
        }
    }

    fn on_starts(&mut self) {
        let mut at = 0;
        while at < self.starts.len() {
            match self.starts[at].go_on(&self.options) {
                None => at += 1,
                Some(result) => {
                    let asked = self.starts.swap_remove(at).asked();
                    // The session's note goes first: whoever has the answer finds it known.
                    let _ = self.watch.look(&self.options.places);
                    self.watch.look_unwatched(&self.options.places);
                    self.tell_changes();
                    self.answer(asked, result.map(|run| serde_json::to_value(run).expect("plain")));
                }
            }
        }
    }

    fn on_commands(&mut self) {
        let mut at = 0;
        while at < self.commands.len() {
            let command = &mut self.commands[at];
            let was_over = command.is_over();
            command.look();
            let (own, errors) = (command.channel(), command.errors());
            let Some((code, signal)) = command.status() else {
                at += 1;
                continue;
            };
            if !was_over {
                for number in [Some(own), errors].into_iter().flatten() {
                    self.channels.get_mut(&number).into_iter().for_each(Channel::look_again);
                }
            }
            // What it printed is still in the pipes; what others may print into them later is not waited for.
            for number in [Some(own), errors].into_iter().flatten() {
                while self.channels.get(&number).is_some_and(|c| !c.is_dry() && c.may_send())
                    && self.stream.has_room()
                {
                    self.pass_out(number);
                }
            }
            let numbers = || [Some(own), errors].into_iter().flatten();
            if numbers().any(|n| self.channels.get(&n).is_some_and(|c| !c.is_dry())) {
                at += 1;
                continue;
            }
            self.commands.swap_remove(at);
            for number in numbers() {
                self.close(number, "");
            }
            self.stream.say(&FromBridge::Event(Event::Ended { channel: own, code, signal }));
        }
    }
}
