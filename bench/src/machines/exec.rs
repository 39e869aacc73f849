//! A command in a sandbox that runs.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use std::process::Command;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-exec",
        title: "Run true in one that runs",
        how: "stead: `stead exec MACHINE -- true`. stead-box: `stead-box exec`. nsenter: `nsenter -t PID -a true` into \
              the first process of the same machine, which joins no cgroups and sets no filter. podman: `podman exec`. \
              Programs take turns.",
        ratios: &[("p50 ms", "nsenter"), ("p50 ms", "podman"), ("least ms", "nsenter")],
    },
    measure,
};

type Way<'a> = (&'static str, Box<dyn Fn() -> Command + 'a>);

fn measure(bench: &Bench) -> super::Figures {
    let mut figures = super::Figures::new(METRIC.page.key);
    let ways = match ways(bench) {
        Ok(ways) => ways,
        Err(e) => {
            figures.note("stead", e);
            return figures;
        }
    };
    let mut samples: Vec<Sample> = ways.iter().map(|_| Sample::default()).collect();
    for round in 0..=bench.scale.execs {
        for turn in 0..ways.len() {
            let at = (round + turn) % ways.len();
            let (peer, command) = &ways[at];
            if *peer == "podman" && round > bench.scale.creates {
                continue;
            }
            let command = command();
            let start = Instant::now();
            match run(command) {
                Ok(()) if round > 0 => samples[at].push(start.elapsed()),
                Ok(()) => {}
                Err(e) => figures.note(peer, e),
            }
        }
    }
    for ((peer, _), sample) in ways.iter().zip(&samples) {
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95), ("least ms", 0)] {
            figures.put(peer, name, sample.percentile(percent));
        }
        figures.put(peer, "runs", Some(sample.len() as f64));
    }
    figures
}

fn ways<'a>(bench: &'a Bench) -> Result<Vec<Way<'a>>> {
    bench.ground.make("exec")?;
    let init = bench.ground.running("exec")?.init.to_string();
    let alone = bench.stage().fresh("e");
    bench.alone.start(&alone)?;
    let mut ways: Vec<Way> = vec![
        ("stead", Box::new(|| bench.ground.stead(&["exec", "exec", "--", "true"]))),
        ("stead-box", Box::new(move || bench.alone.exec(&alone, &["true"]))),
        (
            "nsenter",
            Box::new(move || {
                let mut command = bench.stage().command("nsenter");
                command.args(["-t", &init, "-a", "true"]);
                command
            }),
        ),
    ];
    if let Some(podman) = &bench.podman {
        run(podman.start("exec"))?;
        ways.push(("podman", Box::new(|| podman.exec("exec", &["true"]))));
    }
    Ok(ways)
}
