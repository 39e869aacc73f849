//! Snapshots and clones of states of different size.

use super::ground::Ground;
use super::{Bench, Figures, Metric};
use crate::error::{Context, Result};
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use crate::stage::Stage;
use std::path::Path;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-snapshot",
        title: "Snapshots and clones",
        how: "A machine writes so many files of 1 KB, which are synced; then `stead snapshot create` and `stead clone` are timed with it \
              stopped, and before that `stead snapshot create` while it runs. Rows are the file system \
              under Stead's data folder: this host's own, and btrfs and xfs in a file where they can be made. A stopped \
              machine's topmost layer is frozen and nothing copied; that of one that runs is copied while its processes \
              stand still, by reflinks where the file system has them.",
        ratios: &[],
    },
    measure,
};

/// Files, and the names of the figures.
const SIZES: [(u32, [&str; 3]); 3] = [
    (10, ["snapshot 10 ms", "clone 10 ms", "live 10 ms"]),
    (1000, ["snapshot 1,000 ms", "clone 1,000 ms", "live 1,000 ms"]),
    (10_000, ["snapshot 10,000 ms", "clone 10,000 ms", "live 10,000 ms"]),
];

fn measure(bench: &Bench) -> Figures {
    let mut figures = Figures::new(METRIC.page.key);
    if let Err(e) = on(bench, bench.ground, "stead", &mut figures) {
        figures.note("stead", e);
    }
    for (peer, make, options) in
        [("stead on btrfs", "mkfs.btrfs", "-q"), ("stead on xfs", "mkfs.xfs", "-q")]
    {
        if let Err(e) = elsewhere(bench, peer, make, options, &mut figures) {
            figures.note(peer, e);
        }
    }
    figures
}

fn elsewhere(
    bench: &Bench,
    peer: &'static str,
    make: &str,
    options: &str,
    figures: &mut Figures,
) -> Result<()> {
    let stage = Stage::new()?;
    bench.in_use.add(stage.root());
    let outcome = there(bench, &stage, peer, make, options, figures);
    bench.in_use.remove();
    outcome
}

fn there(
    bench: &Bench,
    stage: &Stage,
    peer: &'static str,
    make: &str,
    options: &str,
    figures: &mut Figures,
) -> Result<()> {
    let disk = stage.path("disk");
    std::fs::File::create(&disk)?.set_len(2 << 30).context("a disk")?;
    let mut format = stage.command(make);
    format.arg(options).arg(&disk);
    run(format)?;
    let ground = Ground::new(stage, bench.programs, Some(Path::new(&disk)))?;
    on(bench, &ground, peer, figures)
}

fn on(bench: &Bench, ground: &Ground, peer: &'static str, figures: &mut Figures) -> Result<()> {
    let mut stopped_at = Vec::new();
    for (files, [snapshot, clone, live]) in SIZES {
        let mut times = [Sample::default(), Sample::default(), Sample::default()];
        let mut how = String::new();
        for round in 0..bench.scale.snapshots {
            let name = ground.stage.fresh("s");
            let copy = ground.stage.fresh("t");
            ground.make(&name)?;
            let write = |folder: &str| {
                let script = "mkdir $1; i=0; while [ $i -lt $2 ]; do printf %1000d $i >$1/$i; i=$((i+1)); done";
                let files = files.to_string();
                run(ground.stead(&["exec", &name, "--", "sh", "-c", script, "sh", folder, &files]))
            };
            let mut measured = |at: usize, args: &[&str]| -> Result<String> {
                let start = Instant::now();
                let said = ground.ask(args)?;
                // The first round warms the caches.
                if round > 0 {
                    times[at].push(start.elapsed());
                }
                Ok(said)
            };
            write("/var/a")?;
            rustix::fs::sync();
            measured(2, &["snapshot", "create", &name, "live"])?;
            how = ground.ask(&["snapshot", "ls", &name, "--json"])?;
            run(ground.stead(&["down", &name]))?;
            // What was written is on disk first: the record of a snapshot is synced, and would wait for it.
            rustix::fs::sync();
            measured(0, &["snapshot", "create", &name, "still"])?;
            measured(1, &["clone", &name, &copy])?;
            ground.destroy(&[name, copy])?;
        }
        for (figure, sample) in [snapshot, clone, live].into_iter().zip(&times) {
            figures.put(peer, figure, sample.percentile(50));
        }
        stopped_at.push(times[0].percentile(0).zip(times[1].percentile(0)));
        if files == 10_000 {
            let told: serde_json::Value = serde_json::from_str(&how).unwrap_or_default();
            let first = told.as_array().and_then(|all| all.first()).cloned().unwrap_or_default();
            figures.note(
                peer,
                format!("live with 10,000 files: {}, {}", first["consistency"], first["how"]),
            );
        }
    }
    if let [Some((snapshot, clone)), _, Some((large, large_clone))] = stopped_at[..] {
        figures.put(peer, "snapshot 10,000 ÷ 10", Some(large / snapshot));
        figures.put(peer, "clone 10,000 ÷ 10", Some(large_clone / clone));
    }
    Ok(())
}
