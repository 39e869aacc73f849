//! Snapshots and clones of small and large states.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-states",
        title: "Snapshots and clones of guests",
        how: "A light guest writes 1 MB, or 1 GB at full scale, to its disk and syncs; `stead snapshot create` while it \
              runs, then, stopped, `stead snapshot create` and `stead clone`. What was written is on this host's disk \
              before, and all is removed after each round.",
        ratios: &[],
    },
    measure,
};

const NAMES: [[&str; 3]; 2] = [
    ["live, 1 MB ms", "snapshot, 1 MB ms", "clone, 1 MB ms"],
    ["live, large ms", "snapshot, large ms", "clone, large ms"],
];
const RATIOS: [&str; 3] = ["live, large ÷ 1 MB", "snapshot, large ÷ 1 MB", "clone, large ÷ 1 MB"];

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    let mut samples: [[Sample; 3]; 2] = Default::default();
    for round in 0..bench.scale.snapshots {
        for (megabytes, samples) in [1, bench.scale.large].into_iter().zip(&mut samples) {
            let (name, copy) = (ground.stage().fresh("s"), ground.stage().fresh("t"));
            ground.light(&name, &json!({}), &json!({}))?;
            let script =
                format!("dd if=/dev/zero of=/var/large bs=1M count={megabytes} conv=fsync");
            run(ground.inner.stead(&["exec", &name, "--", "sh", "-c", &script]))?;
            rustix::fs::sync();
            let mut measured = |at: usize, args: &[&str]| -> Result<()> {
                let start = Instant::now();
                run(ground.inner.stead(args))?;
                // The first round warms the caches.
                if round > 0 {
                    samples[at].push(start.elapsed());
                }
                Ok(())
            };
            measured(0, &["snapshot", "create", &name, "live"])?;
            ground.tell(&name, "down")?;
            rustix::fs::sync();
            measured(1, &["snapshot", "create", &name, "still"])?;
            measured(2, &["clone", &name, &copy])?;
            ground.inner.destroy(&[name, copy])?;
        }
    }
    for (names, samples) in NAMES.iter().zip(&samples) {
        for (name, sample) in names.iter().zip(samples) {
            bench.put("stead", name, sample.percentile(50));
        }
    }
    for (at, name) in RATIOS.iter().enumerate() {
        let both = samples[1][at].percentile(50).zip(samples[0][at].percentile(50));
        bench.put("stead", name, both.map(|(large, small)| large / small));
    }
    Ok(())
}
