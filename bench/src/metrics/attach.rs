//! From the start of the attach command to the exact screen.

use super::{Bench, Metric, PATIENCE, sized_session};
use crate::client::Client;
use crate::error::Result;
use crate::payload;
use crate::peers::{Peer, await_ready, rest};
use crate::report::Page;
use crate::sample::Sample;
use crate::stage::Stage;
use crate::terminal::Terminal;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "attach",
        title: "Attach to the exact screen",
        how: "A session shows a full 80x24 screen of numbered, coloured cells and is idle. Time from \
              just before the attach command is started until a terminal fed with its output shows \
              exactly that screen: every cell's text, colours and attributes, and the cursor. Programs \
              take turns, in an order that rotates. For dtach the session's own program paints; for a \
              bare terminal, it is the start of a program that prints the screen.",
        ratios: &[("p50 ms", "tmux"), ("p95 ms", "tmux")],
    },
    measure,
};

/// A session that shows the screen whenever somebody attaches.
pub(super) struct Painted {
    session: String,
    program: Vec<String>,
}

impl Painted {
    /// Makes it.
    pub(super) fn new(peer: &dyn Peer, stage: &Stage) -> Result<Self> {
        let gate = stage.pipe()?;
        let mut program = vec![stage.program("paint"), rest(peer), gate.arg()];
        let session = stage.fresh("painted");
        if peer.create(stage, &session, &program).is_some() {
            sized_session(peer, stage, &session, &program)?;
            gate.open_gate()?;
        } else {
            // Paints, then waits for the pipe for ever.
            let screen = stage.path("screen").display().to_string();
            program = vec![stage.program("cat"), screen, stage.pipe()?.arg()];
        }
        // The screen is there before the first run that counts.
        std::thread::sleep(Duration::from_millis(300));
        Ok(Painted { session, program })
    }

    /// Attaches, waits for the screen, leaves; the time to the screen.
    pub(super) fn attach(&self, peer: &dyn Peer, stage: &Stage) -> Result<Duration> {
        time_attach(peer, stage, &self.session, &self.program)
    }

    /// Ends the session.
    pub(super) fn end(&self, peer: &dyn Peer, stage: &Stage) {
        peer.kill(stage, &self.session);
    }
}

/// Attaches to a session that shows the screen, waits for it, leaves; the time to the screen.
pub(super) fn time_attach(
    peer: &dyn Peer,
    stage: &Stage,
    session: &str,
    program: &[String],
) -> Result<Duration> {
    let wanted = Terminal::showing(&payload::screen());
    let mut terminal = Terminal::default();
    let client = Client::start(&mut peer.attach(stage, session, program))?;
    let seen = terminal.await_screen(&client, &wanted, Instant::now() + PATIENCE);
    let time = seen.map(|at| at - client.started());
    client.leave(peer.leave_keys())?;
    await_ready(peer, stage, session)?;
    time
}

fn measure(bench: &mut Bench) {
    let mut runners = Vec::new();
    for peer in bench.peers.iter() {
        let ready = Painted::new(&**peer, bench.stage)
            .and_then(|painted| painted.attach(&**peer, bench.stage).map(|_| painted));
        match ready {
            Ok(painted) => runners.push((peer, painted, Sample::default())),
            Err(e) => bench.results.note(METRIC.page.key, peer.name(), e),
        }
    }
    for _ in 0..bench.scale.attaches {
        let mut failed = Vec::new();
        for (index, (peer, painted, sample)) in runners.iter_mut().enumerate() {
            match painted.attach(&***peer, bench.stage) {
                Ok(time) => sample.push(time),
                Err(e) => failed.push((index, e)),
            }
        }
        for (index, error) in failed.into_iter().rev() {
            let (peer, ..) = runners.remove(index);
            bench.results.note(METRIC.page.key, peer.name(), error);
        }
        if !runners.is_empty() {
            runners.rotate_left(1);
        }
    }
    for (peer, painted, sample) in runners {
        painted.end(&**peer, bench.stage);
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95)] {
            bench.results.figure(METRIC.page.key, peer.name(), name, sample.percentile(percent));
        }
        bench.results.figure(METRIC.page.key, peer.name(), "runs", sample.len() as f64);
    }
}
