//! A session that has printed a lot: its memory, coming back to it, searching it.

use super::attach::{Painted, time_attach};
use super::memory::{megabytes, megabytes_of};
use super::{Bench, Metric, median_of, sized_session};
use crate::error::{Context, Result};
use crate::payload;
use crate::peers::{Peer, ask, rest};
use crate::report::Page;
use crate::sample::Sample;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "history",
        title: "A session that has printed 1 GB",
        how: "The plain log text is printed ten times (1 GB at full scale) with nobody attached, then \
              the screen of the attach metric. Memory of the program with this one session, before and \
              after; and how much of that is the process that holds the session (the server, where \
              one holds all). Then another session that printed only the screen is made, and attaches to the \
              two take turns. Search: wall time of one search for a rare word through all that the \
              program still keeps, and how many lines it found of those that were printed; the rate \
              is over the bytes that were printed, and given only if every line was found.",
        ratios: &[("after MB", "tmux"), ("attach full p50 ms", "tmux")],
    },
    measure,
};

/// Longest wait for the printing.
const LIMIT: Duration = Duration::from_mins(15);

fn measure(bench: &mut Bench) {
    for index in 0..bench.peers.len() {
        if bench.peers[index].binaries().is_empty() {
            continue;
        }
        let peer = &mut bench.peers[index];
        let prepared = peer.keep_long_history(bench.stage);
        let name = peer.name();
        eprintln!("  {name}");
        if let Err(e) = prepared.and_then(|()| one(bench, index)) {
            bench.results.note(METRIC.page.key, name, e);
        }
    }
}

fn one(bench: &mut Bench, index: usize) -> Result<()> {
    let peer: &dyn Peer = &*bench.peers[index];
    let stage = bench.stage;
    let mut figure = |name: &'static str, value: f64| {
        bench.results.figure(METRIC.page.key, peer.name(), name, value);
    };
    let (gate, done) = (stage.pipe()?, stage.pipe()?);
    let program = vec![
        stage.program("print"),
        rest(peer),
        gate.arg(),
        done.arg(),
        bench.scale.times.to_string(),
        bench.plain.display().to_string(),
        "screen".to_owned(),
    ];
    let full = stage.fresh("full");
    sized_session(peer, stage, &full, &program)?;
    figure("before MB", megabytes(peer, stage)?);
    let start = Instant::now();
    gate.open_gate()?;
    let printed = std::fs::metadata(&bench.plain)?.len() * bench.scale.times;
    let end = done.wait(start + LIMIT).context("printing")?;
    figure("printed MB/s", printed as f64 / 1e6 / (end - start).as_secs_f64());
    // Once the screen is there, everything before it has been taken in.
    time_attach(peer, stage, &full, &program)?;
    figure("after MB", megabytes(peer, stage)?);
    if let Some(binary) = peer.session_binary() {
        figure("of it the session's process MB", megabytes_of(&[binary], stage)?);
    }

    let empty = Painted::new(peer, stage)?;
    let (mut to_full, mut to_empty) = (Sample::default(), Sample::default());
    for _ in 0..bench.scale.attaches.div_ceil(2) {
        to_full.push(time_attach(peer, stage, &full, &program)?);
        to_empty.push(empty.attach(peer, stage)?);
    }
    if let (Some(full), Some(empty)) = (to_full.percentile(50), to_empty.percentile(50)) {
        figure("attach full p50 ms", full);
        figure("attach empty p50 ms", empty);
        figure("full / empty", full / empty);
    }
    empty.end(peer, stage);

    if peer.search(stage, &full, payload::NEEDLE).is_some() {
        let (time, text) = median_of(3, || {
            peer.search(stage, &full, payload::NEEDLE).map_or(Ok(String::new()), ask)
        })?;
        let lines = text.lines().filter(|line| line.contains(payload::NEEDLE)).count();
        let found = text.trim().parse().unwrap_or(lines as f64);
        let lines = std::fs::read(&bench.plain).map(|text| {
            memchr::memmem::find_iter(&text, payload::NEEDLE.as_bytes()).count() as u64
        })?;
        figure("search ms", time.unwrap_or_default());
        figure("found", found);
        figure("printed", (lines * bench.scale.times) as f64);
        // Over all that was printed, so only if all of it was searched.
        if let Some(time) = time.filter(|_| found >= (lines * bench.scale.times) as f64) {
            figure("search MB/s", printed as f64 / 1e6 / (time / 1e3));
        }
    }
    peer.kill(stage, &full);
    Ok(())
}
