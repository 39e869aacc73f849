//! The line, with a host's end and a guest's, or what pretends to be one.

use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use stead_vm::guest::config::Config;
use stead_vm::line::channel::WINDOW;
use stead_vm::line::decoder::{Decoder, Found};
use stead_vm::line::frame::{GREETING, Greeting, HEADER, Header, Kind, LONGEST, PADDING, tag};
use stead_vm::line::host::{Keeper, relay};
use stead_vm::line::mux::{CHANNELS, Happened, Mux};
use stead_vm::line::spoken::Question;

/// The host's end, as the keeper has it, and a place for clients.
struct Host {
    dir: tempfile::TempDir,
    listener: UnixListener,
    words: Sender<&'static str>,
    heard: Receiver<&'static str>,
}

struct Told(Sender<&'static str>);

impl Keeper for Told {
    fn config(&mut self) -> Config {
        let _ = self.0.send("config");
        Config { hostname: "told".into(), ..Config::default() }
    }

    fn ready(&mut self) {
        let _ = self.0.send("ready");
    }

    fn lost(&mut self) {
        let _ = self.0.send("lost");
    }
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(dir.path().join("agent")).expect("a socket");
        let (words, heard) = channel();
        Host { dir, listener, words, heard }
    }

    fn relay(&self, port: UnixStream) -> JoinHandle<()> {
        let listener = self.listener.try_clone().expect("a descriptor");
        let words = self.words.clone();
        std::thread::spawn(move || relay(&port, &listener, &mut Told(words)).expect("the relay"))
    }

    fn client(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("agent")).expect("a connection")
    }

    fn expect(&self, word: &str) {
        while self.heard.recv().expect("the relay lives") != word {}
    }
}

/// A keeper whose guest is only starting.
struct Boots;

impl Keeper for Boots {
    fn config(&mut self) -> Config {
        Config { hostname: "told".into(), ..Config::default() }
    }

    fn boots(&self) -> bool {
        true
    }
}

/// A guest's end, whose channels give back what they get. Ends with the stream.
fn echoing(port: UnixStream) -> JoinHandle<()> {
    port.set_nonblocking(true).expect("a stream");
    std::thread::spawn(move || {
        let mut mux = Mux::guest();
        loop {
            let turn = mux.turn(Some(port.as_fd()), &[], None).expect("a turn");
            if turn.alone {
                return;
            }
            for happened in turn.happened {
                match happened {
                    Happened::Begun => {
                        let (mut own, other) = UnixStream::pair().expect("a socket");
                        mux.open(other.into()).expect("a channel");
                        let question = serde_json::to_string(&Question::Ready).expect("text");
                        writeln!(own, "{question}").expect("it is written");
                    }
                    Happened::Opened(stream) => {
                        std::thread::spawn(move || {
                            let mut from = stream.try_clone().expect("a descriptor");
                            let _ = std::io::copy(&mut from, &mut &stream);
                            let _ = stream.shutdown(Shutdown::Write);
                        });
                    }
                    Happened::Lost => {}
                }
            }
        }
    })
}

/// Sends it all, the end too, and reads until the end.
fn there_and_back(mut client: UnixStream, sent: Vec<u8>) -> Vec<u8> {
    let mut to = client.try_clone().expect("a descriptor");
    let giver = std::thread::spawn(move || {
        to.write_all(&sent).expect("it is taken");
        to.shutdown(Shutdown::Write).expect("an end");
    });
    let mut came = Vec::new();
    client.read_to_end(&mut came).expect("it comes back");
    giver.join().expect("all went in");
    came
}

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 253) as u8).collect()
}

#[test]
fn many_channels_carry_both_ways_and_end_each_way_alone() {
    let host = Host::new();
    let (port, other) = UnixStream::pair().expect("a stream");
    let relay = host.relay(port);
    let guest = echoing(other.try_clone().expect("a descriptor"));
    let clients: Vec<_> = (0..50)
        .map(|i| {
            let client = host.client();
            std::thread::spawn(move || {
                let sent = sample(i * 20_001);
                assert!(there_and_back(client, sent.clone()) == sent);
            })
        })
        .collect();
    for client in clients {
        client.join().expect("all came back");
    }
    other.shutdown(Shutdown::Both).expect("an end");
    relay.join().expect("it ends");
    guest.join().expect("it ends");
}

#[test]
fn who_does_not_read_holds_up_nobody_else_and_is_let_send_no_more_than_a_window() {
    let host = Host::new();
    let (port, other) = UnixStream::pair().expect("a stream");
    host.relay(port);
    echoing(other);
    let mut stuck = host.client();
    stuck.set_nonblocking(true).expect("a socket");
    host.expect("ready");
    let mut given = 0;
    let piece = sample(10_000);
    for _ in 0..200 {
        given += stuck.write(&piece).unwrap_or(0);
        let sent = sample(5_000);
        assert!(there_and_back(host.client(), sent.clone()) == sent);
    }
    // Windows there and back, and what sockets hold.
    assert!(given < 2 * WINDOW + 4 * 300_000, "{given} bytes were taken");
    // It is not lost: once it is read, all of it comes.
    stuck.set_nonblocking(false).expect("a socket");
    stuck.shutdown(Shutdown::Write).expect("an end");
    let mut came = Vec::new();
    stuck.read_to_end(&mut came).expect("it comes back");
    assert_eq!(came.len(), given);
}

#[test]
fn more_channels_than_there_may_be_wait_for_their_turn() {
    let host = Host::new();
    let (port, other) = UnixStream::pair().expect("a stream");
    host.relay(port);
    echoing(other);
    host.expect("ready");
    let clients: Vec<_> = (0..CHANNELS + 50)
        .map(|i| {
            // As many as a listener lets wait must not be begun at once.
            let mut client = host.client();
            client.write_all(&[i as u8]).expect("it is taken");
            client
        })
        .collect();
    for (i, mut client) in clients.into_iter().enumerate() {
        client.shutdown(Shutdown::Write).expect("an end");
        let mut came = Vec::new();
        client.read_to_end(&mut came).expect("it comes back");
        assert_eq!(came, [i as u8]);
    }
}

#[test]
fn an_end_that_is_new_begins_the_line_anew_and_ends_what_was_before() {
    let host = Host::new();
    let (port, other) = UnixStream::pair().expect("a stream");
    host.relay(port);
    for life in 0..20 {
        let guest = other.try_clone().expect("a descriptor");
        guest.set_nonblocking(true).expect("a stream");
        // A guest that lives until it has a channel with a frame under way, and is gone then, in the midst of what it
        // writes.
        let mut mux = Mux::guest();
        let mut opened = None;
        let mut client = None;
        while opened.is_none() {
            for happened in mux.turn(Some(guest.as_fd()), &[], None).expect("a turn").happened {
                match happened {
                    Happened::Begun => {
                        let (mut own, its) = UnixStream::pair().expect("a socket");
                        mux.open(its.into()).expect("a channel");
                        own.write_all(b"{\"ask\":\"ready\"}\n").expect("it is taken");
                        let mut new = host.client();
                        new.write_all(b"under way").expect("it is taken");
                        client = Some(new);
                    }
                    Happened::Opened(stream) => opened = Some(stream),
                    Happened::Lost => {}
                }
            }
        }
        guest.set_nonblocking(false).expect("a stream");
        (&guest).write_all(&sample(life * 3_000)).expect("rubbish goes in");
        drop((mux, opened));
        let mut again = Vec::new();
        Greeting::Again.write(&mut again);
        (&guest).write_all(&again).expect("it begins anew");
        let mut rest = Vec::new();
        let _ = client.expect("a client").read_to_end(&mut rest);
        host.expect("lost");
    }
    echoing(other);
    assert_eq!(there_and_back(host.client(), b"whole".to_vec()), b"whole");
}

/// What a guest that means harm may say once it knows the epoch.
fn frames() -> impl Strategy<Value = Vec<(u32, u8, Vec<u8>)>> {
    let bytes = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..64),
        Just(vec![0xff; 4]),
        Just(b"{\"ask\":\"config\"}\n".to_vec()),
        Just(vec![b'x'; LONGEST]),
    ];
    prop::collection::vec((0..9_u32, 0..8_u8, bytes), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever comes, in whatever pieces: what is held has a bound, and a greeting is found after it.
    #[test]
    fn a_greeting_is_found_after_anything(
        rubbish in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..70_000)],
        cut in 0..LONGEST + HEADER,
        pieces in prop::collection::vec(1..30_000_usize, 1..20),
    ) {
        let mut stream = rubbish;
        // A frame of the epoch that is followed, cut short.
        Header { channel: 2, kind: Kind::Data, length: LONGEST }.write(tag(7), &mut stream);
        stream.resize(stream.len() + cut, b'f');
        Greeting::Begin(8).write(&mut stream);
        Header { channel: 4, kind: Kind::Open, length: 0 }.write(tag(8), &mut stream);
        let mut decoder = Decoder::default();
        decoder.follow(7);
        let mut found = Vec::new();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*piece));
            decoder.feed(now);
            rest = later;
            while let Some(next) = decoder.find() {
                if next == Found::Greeting(Greeting::Begin(8)) {
                    decoder.follow(8);
                }
                found.push(next);
            }
            prop_assert!(decoder.held() < HEADER + LONGEST + GREETING);
        }
        prop_assert!(PADDING > LONGEST);
        let open = Found::Frame { channel: 4, kind: Kind::Open, bytes: Vec::new() };
        prop_assert!(found.ends_with(&[Found::Greeting(Greeting::Begin(8)), open]));
    }

    /// A guest that means harm harms itself: the host's end serves the next one.
    #[test]
    fn a_host_outlives_what_a_guest_says(frames in frames(), rubbish in prop::collection::vec(any::<u8>(), 0..3000)) {
        let host = Host::new();
        let (port, mut guest) = UnixStream::pair().expect("a stream");
        host.relay(port);
        let mut begin = vec![0; PADDING + GREETING];
        guest.read_exact(&mut begin).expect("a greeting");
        let epoch = u64::from_be_bytes(*begin.last_chunk().expect("an epoch"));
        let mut said = Vec::new();
        Greeting::Begun(epoch).write(&mut said);
        for (channel, kind, bytes) in frames {
            Header { channel, kind: Kind::Open, length: bytes.len() }.write(tag(epoch), &mut said);
            // Kinds that there are not, too.
            let at = said.len() - 4;
            said[at] = kind;
            said.extend_from_slice(&bytes);
        }
        said.extend_from_slice(&rubbish);
        // What it is answered is read, but only so that neither waits for the other for ever.
        let mut answers = guest.try_clone().expect("a descriptor");
        let mut own = guest.try_clone().expect("a descriptor");
        let reader = std::thread::spawn(move || {
            let mut decoder = Decoder::default();
            let mut piece = [0; 4096];
            loop {
                let n = answers.read(&mut piece).expect("an answer");
                decoder.feed(&piece[..n]);
                while let Some(found) = decoder.find() {
                    if let Found::Greeting(Greeting::Begin(next)) = found && next != epoch {
                        return;
                    }
                }
            }
        });
        own.write_all(&said).expect("it is taken");
        let mut again = Vec::new();
        Greeting::Again.write(&mut again);
        own.write_all(&again).expect("it is taken");
        reader.join().expect("the line begins anew");
        echoing(guest);
        prop_assert_eq!(there_and_back(host.client(), b"whole".to_vec()), b"whole");
    }
}

#[test]
fn a_guest_that_starts_finds_one_greeting_and_not_all_that_were_said_before() {
    let host = Host::new();
    let (mut port, other) = UnixStream::pair().expect("a stream");
    let listener = host.listener.try_clone().expect("a descriptor");
    let relay = std::thread::spawn(move || relay(&other, &listener, &mut Boots));
    let mut said = Vec::new();
    Greeting::Again.write(&mut said);
    port.write_all(&said).expect("it is taken");
    let mut greeting = vec![0; PADDING + GREETING];
    port.read_exact(&mut greeting).expect("a greeting");
    let Some(Greeting::Begin(epoch)) =
        greeting.last_chunk().and_then(|bytes| Greeting::read(*bytes))
    else {
        panic!("another greeting")
    };
    // Were it one of before, it would be of an epoch that is over, and nobody would answer this.
    said.clear();
    Greeting::Begun(epoch).write(&mut said);
    let question = b"{\"ask\":\"config\"}\n";
    Header { channel: 1, kind: Kind::Open, length: 0 }.write(tag(epoch), &mut said);
    Header { channel: 1, kind: Kind::Data, length: question.len() }.write(tag(epoch), &mut said);
    said.extend_from_slice(question);
    port.write_all(&said).expect("it is taken");
    let mut answer = [0; HEADER];
    port.read_exact(&mut answer).expect("an answer");
    let header = Header::read(answer, tag(epoch)).expect("a frame of this epoch");
    assert_eq!((header.channel, header.kind), (1, Kind::Data));
    port.shutdown(Shutdown::Both).expect("an end");
    relay.join().expect("it ends").expect("in order");
}
