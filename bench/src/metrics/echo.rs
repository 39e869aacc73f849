//! From a key to its echo.

use super::{Bench, Metric, PATIENCE, look_on};
use crate::client::{BUFFER, Client, Got};
use crate::error::{Error, Result};
use crate::peers::{Peer, create};
use crate::report::Page;
use crate::sample::Sample;
use crate::stage::Stage;
use crate::terminal::Terminal;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "echo",
        title: "Key echo",
        how: "A client is attached to a session that runs `stty raw -echo; cat`. Time from the write of \
              one letter to the terminal until the letter is printed. Programs take turns key by key, \
              in an order that rotates, with 5 to 12 ms of quiet before each key.",
        ratios: &[("p50 ms", "tmux"), ("p50 ms", "bare"), ("p99 ms", "tmux")],
    },
    measure,
};

/// Letters that no two keys in the same column share in a row.
const LETTERS: &[u8] = b"aeiouyw";

/// After that many keys the cursor returns to the first column.
const LINE: usize = 60;

/// Notices when a certain character is printed, not merely part of an escape sequence.
#[derive(Default)]
struct Watch {
    wanted: char,
    seen: bool,
}

impl vte::Perform for Watch {
    fn print(&mut self, c: char) {
        self.seen |= c == self.wanted;
    }
}

struct Typist {
    session: String,
    client: Client,
    terminal: Terminal,
    parser: vte::Parser,
    sample: Sample,
}

impl Typist {
    fn new(peer: &dyn Peer, stage: &Stage) -> Result<Self> {
        let ready = stage.pipe()?;
        let program = vec![stage.program("echo"), ready.arg()];
        let session = stage.fresh("echo");
        create(peer, stage, &session, &program)?;
        let client = Client::start(&mut peer.attach(stage, &session, &program))?;
        ready.wait(Instant::now() + PATIENCE)?;
        let mut terminal = Terminal::default();
        look_on(&mut terminal, &client, Duration::from_millis(500))?;
        let (parser, sample) = (vte::Parser::new(), Sample::default());
        Ok(Typist { session, client, terminal, parser, sample })
    }

    fn key(&mut self, number: usize) -> Result<()> {
        if number.is_multiple_of(LINE) {
            self.client.write(b"\r")?;
        }
        // Whatever still comes from the key before is read, and nothing is timed while it comes.
        let quiet = Duration::from_millis(5 + (number as u64 * 5) % 8);
        look_on(&mut self.terminal, &self.client, quiet)?;
        let letter = LETTERS[number % LETTERS.len()];
        let mut watch = Watch { wanted: char::from(letter), seen: false };
        let mut buffer = [0; BUFFER];
        let start = Instant::now();
        self.client.write(&[letter])?;
        let deadline = start + PATIENCE;
        while !watch.seen {
            let n = match self.client.read(&mut buffer, deadline)? {
                Got::Bytes(n) => n,
                Got::Nothing => return Err(Error::new(format!("key {number} never came back"))),
                Got::End => return Err(Error::new(format!("the client ended at key {number}"))),
            };
            let at = Instant::now();
            self.parser.advance(&mut watch, &buffer[..n]);
            if watch.seen {
                self.sample.push(at - start);
            }
            self.terminal.feed(&buffer[..n], &self.client)?;
        }
        Ok(())
    }
}

fn measure(bench: &mut Bench) {
    let mut typists = Vec::new();
    for peer in bench.peers.iter() {
        match Typist::new(&**peer, bench.stage) {
            Ok(typist) => typists.push((peer, typist)),
            Err(e) => bench.results.note(METRIC.page.key, peer.name(), e),
        }
    }
    for number in 0..bench.scale.keys {
        let mut failed = Vec::new();
        for (index, (_, typist)) in typists.iter_mut().enumerate() {
            if let Err(e) = typist.key(number) {
                failed.push((index, e));
            }
        }
        for (index, error) in failed.into_iter().rev() {
            let (peer, _) = typists.remove(index);
            bench.results.note(METRIC.page.key, peer.name(), error);
        }
        if !typists.is_empty() {
            typists.rotate_left(1);
        }
    }
    for (peer, typist) in typists {
        if let Err(e) = typist.client.leave(peer.leave_keys()) {
            bench.results.note(METRIC.page.key, peer.name(), e);
        }
        peer.kill(bench.stage, &typist.session);
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95), ("p99 ms", 99)] {
            bench.results.figure(
                METRIC.page.key,
                peer.name(),
                name,
                typist.sample.percentile(percent),
            );
        }
        bench.results.figure(METRIC.page.key, peer.name(), "keys", typist.sample.len() as f64);
    }
}
