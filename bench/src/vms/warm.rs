//! A machine that starts from its memory, beside itself when it boots.

use super::{Bench, Metric};
use crate::error::Result;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-warm",
        title: "Warm start",
        how: "Two machines that are there and stopped, one of them with `warm = true`, of each kind of guest: from the \
              request to start until `stead exec MACHINE -- true` has ended. They take turns; the first start of each, \
              which makes the memory, is not counted.",
        ratios: &[],
    },
    measure,
};

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    let (cold, warm) = (json!({}), json!({ "warm": true }));
    for kind in ["light", "full"] {
        let light = kind == "light";
        let names = [format!("{kind}-cold"), format!("{kind}-warm")];
        for (name, qemu) in names.iter().zip([&cold, &warm]) {
            if light {
                ground.light(name, qemu, &json!({}))?;
            } else {
                ground.full(name, qemu)?;
            }
            ground.tell(name, "down")?;
        }
        let mut samples = [Sample::default(), Sample::default()];
        let rounds = if light { bench.scale.boots } else { bench.scale.full_boots };
        for round in 0..=rounds {
            for (name, sample) in names.iter().zip(&mut samples) {
                let time = ground.start(name)?;
                ground.tell(name, "down")?;
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
