//! What a sandbox costs beyond the programs in it.

use super::{Bench, Figures, Metric};
use crate::error::Result;
use crate::peers::{run, settled};
use crate::processes::{anonymous, find, pss};
use crate::report::Page;
use std::path::PathBuf;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-memory",
        title: "Memory beyond the programs",
        how: "Twenty run (at full scale), nothing in them but, in podman's, `sleep`. Proportional set size of the \
              processes that serve them, by sandbox: for stead the first process and the one that serves the network, \
              for podman conmon; anonymous memory is what no other process can share. Then a session that rests is made \
              in each of stead's: its hold, and the two ends of the bridge to the steward, by sandbox.",
        ratios: &[("per sandbox MB", "podman")],
    },
    measure,
};

fn measure(bench: &Bench) -> Figures {
    let mut figures = Figures::new(METRIC.page.key);
    if let Err(e) = stead(bench, &mut figures) {
        figures.note("stead", e);
    }
    if let Err(e) = podman(bench, &mut figures) {
        figures.note("podman", e);
    }
    figures
}

fn stead(bench: &Bench, figures: &mut Figures) -> Result<()> {
    let names: Vec<String> = (0..bench.scale.at_once).map(|_| bench.stage().fresh("r")).collect();
    let (mut inits, mut nets) = (Vec::new(), Vec::new());
    for name in &names {
        bench.ground.make(name)?;
        let running = bench.ground.running(name)?;
        inits.push(running.init.cast_unsigned());
        nets.extend(running.net.map(i32::cast_unsigned));
    }
    settled();
    let each = |bytes: u64| Some(bytes as f64 / 1e6 / names.len() as f64);
    let both: Vec<u32> = inits.iter().chain(&nets).copied().collect();
    figures.put("stead", "per sandbox MB", each(pss(&both)?));
    figures.put("stead", "anonymous MB", each(anonymous(&both)?));
    figures.put("stead", "first process MB", each(pss(&inits)?));
    figures.put("stead", "network MB", each(pss(&nets)?));
    for name in &names {
        run(bench.ground.stead(&["run", "-m", name, "-d", "--", "sleep", "1000000"]))?;
    }
    settled();
    let binaries = [&bench.programs.hold, &bench.programs.sandbox];
    let all = |binary: &PathBuf| {
        find(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == *binary))
    };
    let folder = bench.ground.run_folder("").display().to_string();
    let inside: Vec<u32> = find(|pid| {
        let own = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let space = own(pid);
        space.is_some()
            && !inits.contains(&pid)
            && inits.iter().any(|init| own(*init) == space)
            && std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"/run/stead/bin"))
    });
    let doors: Vec<u32> = all(binaries[1])
        .into_iter()
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| memchr::memmem::find(&line, folder.as_bytes()).is_some())
        })
        .collect();
    figures.put("stead", "a session's hold and bridge MB", each(pss(&inside)?));
    figures.put("stead", "the bridge outside MB", each(pss(&doors)?));
    bench.ground.destroy(&names)
}

fn podman(bench: &Bench, figures: &mut Figures) -> Result<()> {
    let Some(podman) = &bench.podman else { return Ok(()) };
    let names: Vec<String> = (0..bench.scale.at_once).map(|_| bench.stage().fresh("r")).collect();
    for name in &names {
        run(podman.start(name))?;
    }
    settled();
    let root = bench.stage().root().display().to_string();
    let conmons = find(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            memchr::memmem::find(&line, b"conmon").is_some()
                && memchr::memmem::find(&line, root.as_bytes()).is_some()
        })
    });
    figures.put("podman", "per sandbox MB", Some(pss(&conmons)? as f64 / 1e6 / names.len() as f64));
    figures.put(
        "podman",
        "anonymous MB",
        Some(anonymous(&conmons)? as f64 / 1e6 / names.len() as f64),
    );
    podman.remove(&names)
}
