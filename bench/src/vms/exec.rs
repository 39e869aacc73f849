//! A command in a guest that runs.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;
use std::process::Command;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-exec",
        title: "Run true in a guest that runs",
        how: "In a light guest. stead-vm: `stead-vm exec SOCKET -- true`, which is the line alone. stead: `stead exec \
              MACHINE -- true`, which asks the steward first. They take turns.",
        ratios: &[],
    },
    measure,
};

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    ground.light("exec", &json!({}), &json!({}))?;
    let socket = ground.keeper("exec").join("agent.sock");
    let program = ground.inner.programs.stead.with_file_name("stead-vm");
    let alone = || -> Command {
        let mut command = ground.stage().command(&program);
        command.arg("exec").arg(&socket).args(["--", "true"]);
        command
    };
    let whole = || ground.inner.stead(&["exec", "exec", "--", "true"]);
    let mut samples = [Sample::default(), Sample::default()];
    for round in 0..=bench.scale.execs {
        for (command, sample) in [alone(), whole()].into_iter().zip(&mut samples) {
            let start = Instant::now();
            run(command)?;
            if round > 0 {
                sample.push(start.elapsed());
            }
        }
    }
    for (peer, sample) in ["stead-vm", "stead"].into_iter().zip(&samples) {
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95), ("least ms", 0)] {
            bench.put(peer, name, sample.percentile(percent));
        }
    }
    Ok(())
}
