//! A machine that starts from its memory, beside itself when it boots.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-warm",
        title: "Warm start",
        how: "New machines of each kind of guest, in turns with `warm = true` and without: from the request to make one and \
              have it run until `stead exec MACHINE -- true` has ended. The first of each is not counted: it makes the memory \
              that the others go on from. Each is removed afterwards, untimed.",
        ratios: &[],
    },
    measure,
};

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    let turns = [("cold", json!({})), ("warm", json!({ "warm": true }))];
    for kind in ["light", "full"] {
        let light = kind == "light";
        let mut samples = [Sample::default(), Sample::default()];
        let rounds = if light { bench.scale.boots } else { bench.scale.full_boots };
        for round in 0..=rounds {
            for ((turn, qemu), sample) in turns.iter().zip(&mut samples) {
                let name = format!("{kind}-{turn}-{round}");
                let start = Instant::now();
                if light {
                    ground.light(&name, qemu, &json!({}))?;
                } else {
                    ground.full(&name, qemu)?;
                }
                run(ground.inner.stead(&["exec", &name, "--", "true"]))?;
                let time = start.elapsed();
                ground.inner.destroy(&[name])?;
                if round > 0 {
                    sample.push(time);
                }
            }
        }
        let figures: [&'static str; 3] = if light {
            ["light, booted p50 ms", "light, warm p50 ms", "light, warm ÷ booted"]
        } else {
            ["full, booted p50 ms", "full, warm p50 ms", "full, warm ÷ booted"]
        };
        let [booted, warmed] = samples.map(|sample| sample.percentile(50));
        bench.put("stead", figures[0], booted);
        bench.put("stead", figures[1], warmed);
        bench.put("stead", figures[2], warmed.zip(booted).map(|(warm, booted)| warm / booted));
    }
    Ok(())
}
