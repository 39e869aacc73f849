//! A thousand sessions that do nothing.

use super::memory::megabytes;
use super::{Bench, Metric, median_of};
use crate::error::{Context, Error, Result};
use crate::peers::{Peer, ask, run};
use crate::processes;
use crate::report::Page;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "crowd",
        title: "1,000 idle sessions",
        how: "Sessions are made one after another. After five seconds of rest the processor time of \
              all the program's processes is taken, and again later (20 s at full scale); then the \
              command that lists sessions is run 20 times. Only programs that can hold a thousand.",
        ratios: &[("list p50 ms", "tmux")],
    },
    measure,
};

fn measure(bench: &mut Bench) {
    for index in 0..bench.peers.len() {
        let name = bench.peers[index].name();
        if bench.peers[index].holds_a_crowd() {
            eprintln!("  {name}");
            if let Err(e) = one(bench, index) {
                bench.results.note(METRIC.page.key, name, e);
            }
        }
    }
}

fn one(bench: &mut Bench, index: usize) -> Result<()> {
    let peer: &dyn Peer = &*bench.peers[index];
    let stage = bench.stage;
    let mut figure = |name: &'static str, value: f64| {
        bench.results.figure(METRIC.page.key, peer.name(), name, value);
    };
    let program = [stage.program("idle")];
    let start = Instant::now();
    let mut last = String::new();
    for number in 0..bench.scale.crowd {
        last = stage.fresh("crowd");
        let command =
            peer.create(stage, &last, &program).ok_or_else(|| Error::new("it has no sessions"))?;
        run(command).context(format!("session {number}"))?;
    }
    figure("made in s", start.elapsed().as_secs_f64());
    if !peer.exists(stage, &last) {
        return Err(Error::new("the last session does not exist"));
    }
    std::thread::sleep(Duration::from_secs(5));
    let pids = processes::of(&peer.binaries(), stage.root());
    let (begin, before) = (Instant::now(), processes::cpu(&pids));
    std::thread::sleep(Duration::from_secs(bench.scale.watch));
    let used = processes::cpu(&pids).saturating_sub(before).as_secs_f64();
    figure("cpu % of a core", used / begin.elapsed().as_secs_f64() * 100.0);
    figure("processes", pids.len() as f64);
    figure("memory MB", megabytes(peer, stage)?);
    if peer.list(stage).is_some() {
        let (time, text) = median_of(20, || peer.list(stage).map_or(Ok(String::new()), ask))?;
        figure("list p50 ms", time.unwrap_or_default());
        let listed = text.lines().filter(|line| line.contains("crowd")).count();
        figure("listed", listed as f64);
    }
    Ok(())
}
