//! What idle sessions weigh.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::{Peer, create};
use crate::processes;
use crate::report::Page;
use crate::stage::Stage;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "memory",
        title: "Memory of idle sessions",
        how: "Proportional set size (smaps_rollup) of every process of the program, servers included, \
              without what runs in the sessions, two seconds after the last session was made. Nobody \
              is attached.",
        ratios: &[("per session MB", "tmux")],
    },
    measure,
};

/// Memory of a program, in MB, once it has come to rest.
pub(super) fn megabytes(peer: &dyn Peer, stage: &Stage) -> Result<f64> {
    std::thread::sleep(Duration::from_secs(2));
    megabytes_of(&peer.binaries(), stage)
}

/// Memory of the processes that run one of `binaries`, in MB.
pub(super) fn megabytes_of(binaries: &[PathBuf], stage: &Stage) -> Result<f64> {
    let pids = processes::of(binaries, stage.root());
    Ok(processes::pss(&pids)? as f64 / 1e6)
}

fn weigh(peer: &dyn Peer, stage: &Stage, count: usize) -> Result<[f64; 3]> {
    let program = [stage.program("idle")];
    let names: Vec<String> = (0..count).map(|_| stage.fresh("idle")).collect();
    create(peer, stage, &names[0], &program)?;
    let one = megabytes(peer, stage)?;
    for name in &names[1..] {
        create(peer, stage, name, &program)?;
    }
    let all = megabytes(peer, stage)?;
    for name in &names {
        peer.kill(stage, name);
    }
    Ok([one, all, all / count as f64])
}

fn measure(bench: &mut Bench) {
    for peer in bench.peers.iter().filter(|peer| !peer.binaries().is_empty()) {
        match weigh(&**peer, bench.stage, bench.scale.idle) {
            Ok(values) => {
                let names = ["one session MB", "all sessions MB", "per session MB"];
                for (name, value) in names.into_iter().zip(values) {
                    bench.results.figure(METRIC.page.key, peer.name(), name, value);
                }
            }
            Err(e) => bench.results.note(METRIC.page.key, peer.name(), e),
        }
    }
}
