//! What is measured: one module each.

mod attach;
mod create;
mod crowd;
mod drain;
mod echo;
mod history;
mod memory;

use crate::client::{BUFFER, Client, Got};
use crate::error::Result;
use crate::peers::{Peer, await_ready, create};
use crate::report::Page;
use crate::results::Results;
use crate::sample::Sample;
use crate::stage::Stage;
use crate::terminal::Terminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest wait for a screen or a key.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often and how much.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Scale {
    /// Attaches of each program.
    pub attaches: usize,
    /// Keys typed into each program.
    pub keys: usize,
    /// Sessions that each program makes, one after another.
    pub creates: usize,
    /// Bytes of log text.
    pub bytes: u64,
    /// Drains of each program; the median counts.
    pub drains: usize,
    /// How often the log text is printed into a long history.
    pub times: u64,
    /// Sessions of which the memory is measured.
    pub idle: usize,
    /// Sessions in a crowd.
    pub crowd: usize,
    /// How long a crowd is watched, in seconds.
    pub watch: u64,
}

impl Scale {
    /// The scale of the published tables.
    pub const FULL: Scale = Scale {
        attaches: 60,
        keys: 1000,
        creates: 30,
        bytes: 100_000_000,
        drains: 3,
        times: 10,
        idle: 20,
        crowd: 1000,
        watch: 20,
    };
    /// For trying out: the same ways, fewer times.
    pub const QUICK: Scale = Scale {
        attaches: 12,
        keys: 100,
        creates: 8,
        bytes: 10_000_000,
        drains: 1,
        times: 5,
        idle: 5,
        crowd: 50,
        watch: 5,
    };
}

/// What a metric works with.
pub struct Bench<'a> {
    /// The private place.
    pub stage: &'a Stage,
    /// The programs, started.
    pub peers: &'a mut [Box<dyn Peer>],
    /// How often and how much.
    pub scale: Scale,
    /// Log text, plain.
    pub plain: PathBuf,
    /// Log text with colours.
    pub coloured: PathBuf,
    /// Where the numbers go.
    pub results: &'a mut Results,
}

/// One metric.
pub struct Metric {
    /// What the report says of it.
    pub page: Page,
    /// Measures; what fails for a program becomes a note.
    pub measure: fn(&mut Bench),
}

/// All of them, in the order of the report.
pub const ALL: [Metric; 7] = [
    attach::METRIC,
    echo::METRIC,
    drain::METRIC,
    create::METRIC,
    memory::METRIC,
    history::METRIC,
    crowd::METRIC,
];

/// Feeds what a client prints to a terminal for a while, so that it has asked and painted all that it
/// does at its start.
fn look_on(terminal: &mut Terminal, client: &Client, span: Duration) -> Result<()> {
    let deadline = Instant::now() + span;
    let mut buffer = [0; BUFFER];
    while let Got::Bytes(n) = client.read(&mut buffer, deadline)? {
        terminal.feed(&buffer[..n], client)?;
    }
    Ok(())
}

/// A session that waits at `gate` and has been attached to once, so that it has the terminal's size.
fn sized_session(peer: &dyn Peer, stage: &Stage, session: &str, program: &[String]) -> Result<()> {
    create(peer, stage, session, program)?;
    let client = Client::start(&mut peer.attach(stage, session, program))?;
    look_on(&mut Terminal::default(), &client, Duration::from_millis(500))?;
    client.leave(peer.leave_keys())?;
    await_ready(peer, stage, session)
}

/// The median time of a command's runs, in milliseconds, and what it printed last.
fn median_of(
    times: usize,
    mut run: impl FnMut() -> Result<String>,
) -> Result<(Option<f64>, String)> {
    let mut sample = Sample::default();
    let mut text = String::new();
    for _ in 0..times {
        let start = Instant::now();
        text = run()?;
        sample.push(start.elapsed());
    }
    Ok((sample.percentile(50), text))
}
