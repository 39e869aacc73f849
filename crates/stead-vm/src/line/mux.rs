//! Many channels over one stream of bytes, as either end does it.
//!
//! One thread, which waits in [`Mux::turn`]. A channel is a socket. Who does not read holds up only its own channel: each has
//! a window, and the other end sends no more than fits. Nothing that comes is trusted: what makes no sense is skipped, and
//! what is held has a bound.

use crate::line::channel::{Came, Channel};
use crate::line::decoder::{Decoder, Found};
use crate::line::frame::{Greeting, Header, Kind, LONGEST, tag};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Channels that may be open at once.
pub const CHANNELS: usize = 256;
/// Bytes that wait for the line before channels are read no more.
const WAITING: usize = 64 * 1024;
/// Bytes that wait for the line before it is read no more: an end that asks for answers and does not take them gets no more of
/// them. One that is honest never has so many to come: a frame of each channel, and what is said of each.
const WAITING_MOST: usize = 2 * CHANNELS * LONGEST;
/// Bytes that are read from the line at once.
const PIECE: usize = 64 * 1024;

/// Which end this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Host,
    Guest,
}

/// Something that happened on the line.
#[derive(Debug)]
pub enum Happened {
    /// The line has begun, maybe anew: channels of before are over.
    Begun,
    /// The other end is new there: channels are over.
    Lost,
    /// The other end opened a channel; this is it.
    Opened(UnixStream),
}

/// What one turn has brought.
#[derive(Debug, Default)]
pub struct Turn {
    /// What happened on the line.
    pub happened: Vec<Happened>,
    /// For each of the descriptors that were to be watched beside: whether it can be read.
    pub ready: Vec<bool>,
    /// Nobody is at the other end of the stream.
    pub alone: bool,
}

/// One end of the line.
pub struct Mux {
    end: End,
    decoder: Decoder,
    /// What is to be written to the line, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    channels: BTreeMap<u32, Channel>,
    next: u32,
    epoch: u64,
    begun: bool,
    piece: Vec<u8>,
}

impl Mux {
    /// The host's end, in the epoch `epoch`, which nobody can guess.
    pub fn host(epoch: u64) -> Self {
        let mut mux = Self::new(End::Host);
        mux.begin(epoch);
        mux
    }

    /// The host's end, which says nothing before the guest does.
    pub fn silent_host(epoch: u64) -> Self {
        let mut mux = Self::new(End::Host);
        mux.epoch = epoch;
        mux
    }

    /// The guest's end.
    pub fn guest() -> Self {
        let mut mux = Self::new(End::Guest);
        Greeting::Again.write(&mut mux.out);
        mux
    }

    fn new(end: End) -> Self {
        Mux {
            end,
            decoder: Decoder::default(),
            out: Vec::new(),
            sent: 0,
            channels: BTreeMap::new(),
            next: if end == End::Host { 2 } else { 1 },
            epoch: 0,
            begun: false,
            piece: vec![0; PIECE],
        }
    }

    /// Begins the line anew: everything of before is over.
    pub fn begin(&mut self, epoch: u64) {
        self.reset(epoch);
        Greeting::Begin(epoch).write(&mut self.out);
    }

    /// Says again that the line begins, if the guest has not answered and what was said has gone out.
    pub fn ask_again(&mut self) {
        if !self.begun && self.waiting() == 0 {
            Greeting::Begin(self.epoch).write(&mut self.out);
        }
    }

    fn reset(&mut self, epoch: u64) {
        self.channels.clear();
        self.out.clear();
        self.sent = 0;
        self.epoch = epoch;
        self.begun = false;
        self.next = if self.end == End::Host { 2 } else { 1 };
        self.decoder.forget();
    }

    /// Whether channels can be opened.
    pub fn has_room(&self) -> bool {
        self.begun && self.channels.len() < CHANNELS
    }

    /// Channels that are open.
    pub fn open_channels(&self) -> usize {
        self.channels.len()
    }

    /// Bytes that wait for the line.
    fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Opens a channel that carries what goes through `socket`.
    ///
    /// # Errors
    /// If the line has not begun, there are too many, or the socket is none.
    pub fn open(&mut self, socket: OwnedFd) -> io::Result<()> {
        if !self.has_room() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        rustix::io::ioctl_fionbio(&socket, true)?;
        let number = self.next;
        self.next = number.wrapping_add(2);
        self.channels.insert(number, Channel::new(socket));
        self.say(number, Kind::Open, &[]);
        Ok(())
    }

    fn say(&mut self, channel: u32, kind: Kind, bytes: &[u8]) {
        Header { channel, kind, length: bytes.len() }.write(tag(self.epoch), &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// Waits until something can be done, and does it. `port` is the stream, which does not block, or `None` while nobody is at
    /// its other end; `beside` are watched as well.
    ///
    /// # Errors
    /// If the stream breaks.
    pub fn turn(
        &mut self,
        port: Option<BorrowedFd<'_>>,
        beside: &[BorrowedFd<'_>],
        limit: Option<Duration>,
    ) -> io::Result<Turn> {
        let mut turn = Turn::default();
        let (came, from_channels) = {
            let mut fds: Vec<PollFd<'_>> = Vec::new();
            for fd in beside {
                fds.push(PollFd::from_borrowed_fd(*fd, PollFlags::IN));
            }
            if let Some(port) = port {
                let out = if self.waiting() > 0 { PollFlags::OUT } else { PollFlags::empty() };
                let mut flags = out;
                flags.set(PollFlags::IN, self.waiting() < WAITING_MOST);
                fds.push(PollFd::from_borrowed_fd(port, flags));
            }
            let room = self.waiting() < WAITING;
            let mut numbers = Vec::new();
            for (number, channel) in &self.channels {
                if let Some((socket, read, write)) = channel.wanted(room) {
                    let mut flags = PollFlags::empty();
                    flags.set(PollFlags::IN, read);
                    flags.set(PollFlags::OUT, write);
                    fds.push(PollFd::from_borrowed_fd(socket, flags));
                    numbers.push(*number);
                }
            }
            let limit = limit.map(|limit| Timespec {
                tv_sec: limit.as_secs() as i64,
                tv_nsec: i64::from(limit.subsec_nanos()),
            });
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) => {}
                Err(Errno::INTR) => fds.iter_mut().for_each(PollFd::clear_revents),
                Err(e) => return Err(e.into()),
            }
            let mut came = fds.iter().map(PollFd::revents).collect::<Vec<_>>();
            let channels = came.split_off(beside.len() + usize::from(port.is_some()));
            (came, numbers.into_iter().zip(channels).collect::<Vec<_>>())
        };
        turn.ready = came[..beside.len()].iter().map(|flags| !flags.is_empty()).collect();
        if let Some((port, came)) = port.zip(came.last())
            && came.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
            && self.waiting() < WAITING_MOST
        {
            self.read_port(port, &mut turn)?;
        }
        for (number, came) in from_channels {
            if !came.is_empty() {
                self.serve(number, came);
            }
        }
        if let Some(port) = port {
            self.write_port(port)?;
        }
        Ok(turn)
    }

    fn read_port(&mut self, port: BorrowedFd<'_>, turn: &mut Turn) -> io::Result<()> {
        match read(port, &mut self.piece[..]) {
            Ok(0) | Err(Errno::CONNRESET) => turn.alone = true,
            Ok(n) => {
                self.decoder.feed(&self.piece[..n]);
                while let Some(found) = self.decoder.find() {
                    self.take(found, turn);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    fn write_port(&mut self, port: BorrowedFd<'_>) -> io::Result<()> {
        while self.waiting() > 0 {
            match write(port, &self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                // Whether anybody is there is seen by reading.
                Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => break,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if self.sent > WAITING || self.waiting() == 0 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    fn take(&mut self, found: Found, turn: &mut Turn) {
        match (found, self.end) {
            (Found::Greeting(Greeting::Begun(epoch)), End::Host) if epoch == self.epoch => {
                self.decoder.follow(epoch);
                if !self.begun {
                    self.begun = true;
                    turn.happened.push(Happened::Begun);
                }
            }
            (Found::Greeting(Greeting::Again), End::Host) => {
                self.reset(self.epoch);
                turn.happened.push(Happened::Lost);
            }
            (Found::Greeting(Greeting::Begin(epoch)), End::Guest) => {
                // Said twice, if the host was not sure that it was heard.
                if !self.begun || epoch != self.epoch {
                    self.reset(epoch);
                    self.begun = true;
                    turn.happened.push(Happened::Begun);
                }
                Greeting::Begun(epoch).write(&mut self.out);
                self.decoder.follow(epoch);
            }
            (Found::Frame { channel, kind, bytes }, _) => self.obey(channel, kind, &bytes, turn),
            // What the other end does not say.
            (Found::Greeting(_), _) => {}
        }
    }

    fn obey(&mut self, number: u32, kind: Kind, bytes: &[u8], turn: &mut Turn) {
        if kind == Kind::Open {
            self.opened(number, turn);
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        match kind {
            Kind::Open => {}
            Kind::Data => {
                if !channel.receive(bytes) {
                    channel.hang_up();
                }
            }
            Kind::Credit => {
                if let Some(more) = bytes.first_chunk() {
                    channel.allow(u32::from_be_bytes(*more));
                }
            }
            Kind::End => channel.end(),
            Kind::Stop => {
                channel.stop();
                if !channel.end_said {
                    channel.end_said = true;
                    self.say(number, Kind::End, &[]);
                }
            }
        }
        self.settle(number);
    }

    fn opened(&mut self, number: u32, turn: &mut Turn) {
        let theirs = (number % 2 == 1) == (self.end == End::Host);
        if !theirs || self.channels.contains_key(&number) {
            return;
        }
        let pair = (self.channels.len() < CHANNELS).then(UnixStream::pair).and_then(Result::ok);
        let Some((own, other)) = pair.filter(|(own, _)| own.set_nonblocking(true).is_ok()) else {
            self.say(number, Kind::Stop, &[]);
            return self.say(number, Kind::End, &[]);
        };
        self.channels.insert(number, Channel::new(own.into()));
        turn.happened.push(Happened::Opened(other));
    }

    /// Carries on with a channel whose socket can be read, written, or is closed at the other side.
    fn serve(&mut self, number: u32, came: PollFlags) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        if came.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            channel.hang_up();
        }
        if came.contains(PollFlags::OUT) {
            channel.write();
        }
        match channel.read() {
            Came::Bytes(bytes) => self.say(number, Kind::Data, &bytes),
            Came::Nothing => {}
            Came::End => {
                channel.end_said = true;
                self.say(number, Kind::End, &[]);
            }
        }
        self.settle(number);
    }

    /// Says what is due of a channel, and forgets it once it is over.
    fn settle(&mut self, number: u32) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let granted = channel.grant();
        let deaf = channel.is_deaf();
        if deaf {
            channel.stop_said = true;
        }
        let over = channel.is_over();
        if let Some(more) = granted {
            self.say(number, Kind::Credit, &more.to_be_bytes());
        }
        if deaf {
            self.say(number, Kind::Stop, &[]);
        }
        if over {
            self.channels.remove(&number);
        }
    }
}
