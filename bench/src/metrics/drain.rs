//! How fast a session takes what its program prints.

use super::{Bench, Metric, look_on};
use crate::client::{Client, Got};
use crate::error::{Error, Result};
use crate::payload;
use crate::peers::{Peer, create, rest};
use crate::processes;
use crate::report::Page;
use crate::stage::{Pipe, Stage};
use crate::terminal::Terminal;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "drain",
        title: "Drain",
        how: "`cat` of log-like text of about 80 columns (100 MB at full scale), plain and with a \
              coloured clock, level and unit on every line. Attached: a client reads as fast as it \
              can; time until it has shown a last line that stands alone on a cleared screen, and how \
              many bytes reached it. Detached: time until `cat` has ended. The median of the runs; \
              processor seconds are those of servers and client together. A program may leave out of \
              the client's stream what a reader could not have seen; what the session itself must take \
              is the same for all.",
        ratios: &[
            ("attached MB/s", "tmux"),
            ("attached MB/s", "bare"),
            ("coloured MB/s", "tmux"),
            ("coloured MB/s", "bare"),
            ("detached MB/s", "tmux"),
        ],
    },
    measure,
};

/// Longest wait for the end of a drain.
const LIMIT: Duration = Duration::from_mins(3);

struct Printing {
    session: String,
    program: Vec<String>,
    gate: Pipe,
    done: Pipe,
}

impl Printing {
    fn new(peer: &dyn Peer, stage: &Stage, text: &Path) -> Result<Self> {
        let (gate, done) = (stage.pipe()?, stage.pipe()?);
        let program = vec![
            stage.program("print"),
            rest(peer),
            gate.arg(),
            done.arg(),
            "1".to_owned(),
            text.display().to_string(),
            "marker".to_owned(),
        ];
        let session = stage.fresh("print");
        create(peer, stage, &session, &program)?;
        Ok(Printing { session, program, gate, done })
    }
}

struct Drained {
    time: Duration,
    cpu: Duration,
    reached: u64,
}

fn attached(peer: &dyn Peer, stage: &Stage, text: &Path) -> Result<Drained> {
    let printing = Printing::new(peer, stage, text)?;
    let client = Client::start(&mut peer.attach(stage, &printing.session, &printing.program))?;
    look_on(&mut Terminal::default(), &client, Duration::from_millis(500))?;
    let pids = || processes::of(&peer.binaries(), stage.root());
    let cpu = processes::cpu(&pids());
    let start = Instant::now();
    printing.gate.open_gate()?;
    let finished = until_marker(&client, start + LIMIT);
    let cpu = processes::cpu(&pids()).saturating_sub(cpu);
    client.leave(peer.leave_keys())?;
    peer.kill(stage, &printing.session);
    let (at, reached) = finished?;
    Ok(Drained { time: at - start, cpu, reached })
}

/// Reads until the marker has been printed; when, and how many bytes came.
fn until_marker(client: &Client, deadline: Instant) -> Result<(Instant, u64)> {
    let marker = memchr::memmem::Finder::new(payload::MARKER.as_bytes());
    let keep = payload::MARKER.len() - 1;
    let mut buffer = vec![0; 1 << 20];
    let (mut held, mut reached) = (0, 0);
    loop {
        let n = match client.read(&mut buffer[held..], deadline)? {
            Got::Bytes(n) => n,
            Got::Nothing => {
                let limit = LIMIT.as_secs();
                let text = format!("the last line had not come after {limit} s, {reached} bytes");
                return Err(Error::new(text));
            }
            Got::End => {
                return Err(Error::new(format!("the client ended after {reached} bytes")));
            }
        };
        let at = Instant::now();
        reached += n as u64;
        let end = held + n;
        if marker.find(&buffer[..end]).is_some() {
            return Ok((at, reached));
        }
        // The marker may lie across two reads.
        let from = end.saturating_sub(keep);
        buffer.copy_within(from..end, 0);
        held = end - from;
    }
}

fn detached(peer: &dyn Peer, stage: &Stage, text: &Path) -> Result<Drained> {
    let printing = Printing::new(peer, stage, text)?;
    let pids = || processes::of(&peer.binaries(), stage.root());
    let cpu = processes::cpu(&pids());
    let start = Instant::now();
    printing.gate.open_gate()?;
    let finished = printing.done.wait(start + LIMIT);
    let cpu = processes::cpu(&pids()).saturating_sub(cpu);
    peer.kill(stage, &printing.session);
    Ok(Drained { time: finished? - start, cpu, reached: 0 })
}

type Drain = fn(&dyn Peer, &Stage, &Path) -> Result<Drained>;

struct Kind {
    drain: Drain,
    coloured: bool,
    rate: &'static str,
    cpu: &'static str,
    reached: Option<&'static str>,
}

const KINDS: [Kind; 3] = [
    Kind {
        drain: attached,
        coloured: false,
        rate: "attached MB/s",
        cpu: "attached cpu s",
        reached: Some("attached MB reached"),
    },
    Kind {
        drain: attached,
        coloured: true,
        rate: "coloured MB/s",
        cpu: "coloured cpu s",
        reached: Some("coloured MB reached"),
    },
    Kind {
        drain: detached,
        coloured: false,
        rate: "detached MB/s",
        cpu: "detached cpu s",
        reached: None,
    },
];

fn measure(bench: &mut Bench) {
    for kind in &KINDS {
        let text = if kind.coloured { bench.coloured.clone() } else { bench.plain.clone() };
        let megabytes = bench.scale.bytes as f64 / 1e6;
        let mut runs: Vec<Vec<Drained>> = bench.peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..bench.scale.drains {
            for (peer, runs) in bench.peers.iter().zip(&mut runs) {
                let sessionless = peer.create(bench.stage, "none", &["none".into()]).is_none();
                if sessionless && kind.reached.is_none() {
                    continue;
                }
                match (kind.drain)(&**peer, bench.stage, &text) {
                    Ok(drained) => {
                        eprintln!(
                            "  {:<7} {} {:.1}",
                            peer.name(),
                            kind.rate,
                            megabytes / drained.time.as_secs_f64()
                        );
                        runs.push(drained);
                    }
                    Err(e) => {
                        let what = kind.rate.split(' ').next().unwrap_or_default();
                        bench.results.note(METRIC.page.key, peer.name(), format!("{what}: {e}"));
                    }
                }
            }
        }
        for (peer, mut runs) in bench.peers.iter().zip(runs) {
            if runs.is_empty() {
                continue;
            }
            runs.sort_by_key(|r| r.time);
            let median = &runs[(runs.len() - 1) / 2];
            let mut figure =
                |name, value: f64| bench.results.figure(METRIC.page.key, peer.name(), name, value);
            figure(kind.rate, megabytes / median.time.as_secs_f64());
            if peer.name() != "bare" {
                figure(kind.cpu, median.cpu.as_secs_f64());
            }
            if let Some(reached) = kind.reached {
                figure(reached, median.reached as f64 / 1e6);
            }
        }
    }
}
