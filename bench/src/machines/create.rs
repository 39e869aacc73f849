//! A sandbox from nothing to the end of the first command in it; and twenty at once.

use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use std::process::Command;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-create",
        title: "Create and run true",
        how: "Time from nothing until `true` has ended inside. stead: the steward is asked over its socket for a \
              machine that no record knows (memory, processors and processes limited, network open), then \
              `stead exec MACHINE -- true`. stead-box: the same sandbox without a steward, from looking at what is \
              secret on this host, then `stead-box exec`. bwrap: `bwrap --unshare-all --bind / / --dev /dev --proc \
              /proc true`, with no overlay, limits, hiding or network. podman: `podman run -d` of a busybox with a \
              bridge and the same limits (runc), then `podman exec`; in one go is `podman run --rm`. What was made is \
              removed untimed, except by bwrap and in one go. Programs take turns.",
        ratios: &[
            ("p50 ms", "bwrap"),
            ("p50 ms", "podman"),
            ("least ms", "bwrap"),
            ("least ms", "podman"),
        ],
    },
    measure,
};

pub(super) const CROWD: Metric = Metric {
    page: Page {
        key: "machine-crowd",
        title: "Twenty at once",
        how: "As above without the command inside, by so many threads that all begin at the same instant: time until \
              the last is there, and the median time of one.",
        ratios: &[("all ms", "bwrap"), ("all ms", "podman")],
    },
    measure: crowd,
};

/// A way to make one, and to remove it.
type Way<'a> = (
    &'static str,
    Box<dyn Fn(&str) -> Result<()> + Sync + 'a>,
    Box<dyn Fn(&[String]) -> Result<()> + 'a>,
);

fn bwrap(bench: &Bench) -> Command {
    let mut command = bench.stage().command("bwrap");
    command.args(["--unshare-all", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]);
    command
}

fn ways<'a>(bench: &'a Bench<'a>, exec: bool) -> Vec<Way<'a>> {
    let then = move |command: Command| if exec { run(command) } else { Ok(()) };
    let mut ways: Vec<Way> = vec![
        (
            "stead",
            Box::new(move |name| {
                bench.ground.make(name)?;
                then(bench.ground.stead(&["exec", name, "--", "true"]))
            }),
            Box::new(|names| bench.ground.destroy(names)),
        ),
        (
            "stead-box",
            Box::new(move |name| {
                bench.alone.start(name)?;
                then(bench.alone.exec(name, &["true"]))
            }),
            Box::new(|names| names.iter().try_for_each(|name| bench.alone.stop(name))),
        ),
    ];
    if crate::stage::which("bwrap").is_some() {
        ways.push(("bwrap", Box::new(move |_| run(bwrap(bench))), Box::new(|_| Ok(()))));
    }
    if let Some(podman) = &bench.podman {
        ways.push((
            "podman",
            Box::new(move |name| {
                run(podman.start(name))?;
                then(podman.exec(name, &["true"]))
            }),
            Box::new(|names| podman.remove(names)),
        ));
    }
    ways
}

fn measure(bench: &Bench) -> super::Figures {
    let mut figures = super::Figures::new(METRIC.page.key);
    let ways = ways(bench, true);
    let mut samples: Vec<Sample> = ways.iter().map(|_| Sample::default()).collect();
    let mut one_go = Sample::default();
    // The first round warms the caches.
    for round in 0..=bench.scale.creates {
        for turn in 0..ways.len() {
            // Whoever comes after a program that is still ending pays for it: the order rotates.
            let at = (round + turn) % ways.len();
            let (peer, make, remove) = &ways[at];
            let name = bench.stage().fresh("m");
            let start = Instant::now();
            let outcome = make(&name);
            let time = start.elapsed();
            match outcome.and_then(|()| remove(&[name])) {
                Ok(()) if round > 0 => samples[at].push(time),
                Ok(()) => {}
                Err(e) => figures.note(peer, e),
            }
        }
        if let Some(podman) = bench.podman.as_ref().filter(|_| round % 4 == 0) {
            let mut command = podman.one_go();
            command.arg("true");
            let start = Instant::now();
            if run(command).is_ok() {
                one_go.push(start.elapsed());
            }
        }
    }
    for ((peer, ..), sample) in ways.iter().zip(&samples) {
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95), ("least ms", 0)] {
            figures.put(peer, name, sample.percentile(percent));
        }
    }
    figures.put("podman", "one go p50 ms", one_go.percentile(50));
    figures
}

fn crowd(bench: &Bench) -> super::Figures {
    let mut figures = super::Figures::new(CROWD.page.key);
    let ways = ways(bench, false);
    let mut all: Vec<Sample> = ways.iter().map(|_| Sample::default()).collect();
    let mut each: Vec<Sample> = ways.iter().map(|_| Sample::default()).collect();
    for round in 0..=bench.scale.crowds {
        for (at, (peer, make, remove)) in ways.iter().enumerate() {
            let names: Vec<String> =
                (0..bench.scale.at_once).map(|_| bench.stage().fresh("c")).collect();
            match together(make, &names).and_then(|times| remove(&names).map(|()| times)) {
                Ok(times) if round > 0 => {
                    all[at].push(times.iter().max().copied().unwrap_or_default());
                    for time in times {
                        each[at].push(time);
                    }
                }
                Ok(_) => {}
                Err(e) => figures.note(peer, e),
            }
        }
    }
    for (at, (peer, ..)) in ways.iter().enumerate() {
        figures.put(peer, "all ms", all[at].percentile(50));
        figures.put(peer, "one p50 ms", each[at].percentile(50));
    }
    figures
}

/// Makes all of them, each by a thread of its own; when each was there, from the instant at which they began.
fn together(make: &(dyn Fn(&str) -> Result<()> + Sync), names: &[String]) -> Result<Vec<Duration>> {
    let gate = std::sync::Barrier::new(names.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(|| {
                    gate.wait();
                    let start = Instant::now();
                    make(name).map(|()| start.elapsed())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}
