//! A detached session, made.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::{Peer, await_session, run};
use crate::report::Page;
use crate::sample::Sample;
use crate::stage::Stage;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "create",
        title: "Create a detached session",
        how: "Time from just before the command is started until it has returned and the session \
              exists; the server, where there is one, already runs. If the session is not there yet \
              when the command returns, waiting for it counts. Each session is ended before the next \
              is made; programs take turns, in an order that rotates.",
        ratios: &[("p50 ms", "tmux")],
    },
    measure,
};

fn time_create(peer: &dyn Peer, stage: &Stage) -> Result<Option<Duration>> {
    let session = stage.fresh("made");
    let program = [stage.program("idle")];
    let Some(command) = peer.create(stage, &session, &program) else { return Ok(None) };
    let start = Instant::now();
    run(command)?;
    let returned = start.elapsed();
    // Asking takes time too, so it counts only when the first answer is no.
    let time = if peer.exists(stage, &session) {
        returned
    } else {
        await_session(peer, stage, &session)?;
        start.elapsed()
    };
    peer.kill(stage, &session);
    Ok(Some(time))
}

fn measure(bench: &mut Bench) {
    let mut samples: Vec<Sample> = bench.peers.iter().map(|_| Sample::default()).collect();
    // The first round warms the caches.
    for round in 0..=bench.scale.creates {
        for turn in 0..bench.peers.len() {
            // Whoever comes after a program that is still ending pays for it: the order rotates.
            let at = (round + turn) % bench.peers.len();
            let (peer, sample) = (&bench.peers[at], &mut samples[at]);
            match time_create(&**peer, bench.stage) {
                Ok(Some(time)) if round > 0 => sample.push(time),
                Ok(_) => {}
                Err(e) => bench.results.note(METRIC.page.key, peer.name(), e),
            }
        }
    }
    for (peer, sample) in bench.peers.iter().zip(&samples) {
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95)] {
            bench.results.figure(METRIC.page.key, peer.name(), name, sample.percentile(percent));
        }
    }
}
