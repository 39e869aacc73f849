//! Measures Stead side by side with tmux, shpool, zellij, dtach and a bare pseudo-terminal.
//!
//! A metric is a module below [`metrics`], a program one below [`peers`]; neither knows the other. For
//! each metric everything is started on a private [`stage`] and ended again.

mod client;
mod error;
mod machine;
mod machines;
mod metrics;
mod payload;
mod peers;
mod processes;
mod report;
mod results;
mod sample;
mod stage;
mod sys;
mod systems;
mod targets;
mod terminal;
mod vms;

use clap::Parser;
use error::{Context, Error, Result};
use machine::Machine;
use metrics::{Bench, Metric, Scale};
use peers::{NAMES, Peer, Where};
use report::{Program, Report, Set};
use results::Results;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Measures Stead beside other programs that keep sessions.
#[derive(Parser)]
#[command(name = "stead-bench")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Arguments {
    /// Only these metrics: attach, echo, drain, create, memory, history, crowd
    #[arg(long, value_delimiter = ',', value_name = "METRIC")]
    only: Vec<String>,
    /// Only these programs: stead, stead-hold, tmux, shpool, zellij, dtach, bare
    #[arg(long, value_delimiter = ',', value_name = "PROGRAM")]
    peers: Vec<String>,
    /// The folder of stead and stead-hold, from a release build
    #[arg(long, value_name = "DIR")]
    stead: Option<PathBuf>,
    /// The folder of shpool and zellij, as made by bench/install-peers.sh
    #[arg(long, value_name = "DIR")]
    peers_bin: Option<PathBuf>,
    /// Machines beside bubblewrap, nsenter and podman, instead of sessions: machine-create, machine-exec, machine-crowd,
    /// machine-memory, machine-snapshot, machine-many, machine-net
    #[arg(long, requires = "stead", conflicts_with = "peers")]
    machines: bool,
    /// Virtual machines beside what they are made of, instead of sessions: vm-boot, vm-full, vm-warm, vm-memory, vm-exec,
    /// vm-share, vm-states
    #[arg(long, requires = "stead", conflicts_with_all = ["peers", "machines"])]
    vms: bool,
    /// Declared systems, rendered, switched to and audited, instead of sessions
    #[arg(long, requires = "stead", conflicts_with_all = ["peers", "machines", "vms"])]
    systems: bool,
    /// The same ways, fewer times: to try out, not to publish
    #[arg(long)]
    quick: bool,
    /// Where to write NAME.md and NAME.json
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    out: PathBuf,
    /// The NAME of the results; latest, machines, vms or systems
    #[arg(long)]
    name: Option<String>,
    /// How the run is said to have been made
    #[arg(long, value_name = "COMMAND")]
    made_by: Option<String>,
}

/// The temporary folders that are in use now, for whoever interrupts the run.
#[derive(Clone, Default)]
struct InUse(Arc<Mutex<Vec<PathBuf>>>);

impl InUse {
    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, folder: &Path) {
        self.lock().push(folder.to_owned());
    }

    fn remove(&self) {
        self.lock().pop();
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let in_use = InUse::default();
    let interrupted = in_use.clone();
    let sandbox = arguments.stead.as_ref().map(|folder| folder.join("stead-box"));
    sys::on_interrupt(move || {
        // Held to the end, so that no other stage begins.
        for folder in &*interrupted.lock() {
            processes::sweep(folder);
            if let Some(sandbox) = &sandbox {
                machines::end_boxes(folder, sandbox);
            }
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(130);
    });
    let done = if arguments.systems {
        run_systems(&arguments, &in_use)
    } else if arguments.vms {
        run_vms(&arguments, &in_use)
    } else if arguments.machines {
        run_machines(&arguments, &in_use)
    } else {
        run(&arguments, &in_use)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("stead-bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// What the report of sessions is about.
fn sessions() -> Set {
    Set {
        title: "Stead beside other programs",
        names: &NAMES,
        pages: metrics::ALL.iter().map(|metric| metric.page).collect(),
        targets: &targets::ALL,
    }
}

fn run_machines(arguments: &Arguments, in_use: &InUse) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "machines are not measured: podman's bridge, nsenter and file systems in a file need root"
        );
        return Ok(());
    }
    let scale = if arguments.quick { machines::Scale::QUICK } else { machines::Scale::FULL };
    let mut machine = Machine::look()?;
    let stead = arguments.stead.as_deref().unwrap_or(Path::new("."));
    let (results, programs) = machines::measure(&arguments.only, stead, scale, in_use)?;
    machine.at_end();
    let command = arguments.made_by.clone().unwrap_or_else(command_line);
    let report = Report { set: machines::set(), command, machine, scale, programs, results };
    write(&report, &arguments.out, arguments.name.as_deref().unwrap_or("machines"))
}

fn run_vms(arguments: &Arguments, in_use: &InUse) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("virtual machines are not measured: making their images needs root");
        return Ok(());
    }
    if stage::which("qemu-system-x86_64").is_none() {
        eprintln!("virtual machines are not measured: there is no QEMU (scripts/deps-qemu.sh)");
        return Ok(());
    }
    let scale = if arguments.quick { vms::Scale::QUICK } else { vms::Scale::FULL };
    let mut machine = Machine::look()?;
    let stead = arguments.stead.as_deref().unwrap_or(Path::new("."));
    let (results, programs) = vms::measure(&arguments.only, stead, scale, in_use)?;
    machine.at_end();
    let command = arguments.made_by.clone().unwrap_or_else(command_line);
    let report = Report { set: vms::set(), command, machine, scale, programs, results };
    write(&report, &arguments.out, arguments.name.as_deref().unwrap_or("vms"))
}

fn run_systems(arguments: &Arguments, in_use: &InUse) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("systems are not measured: bringing a machine to one needs root");
        return Ok(());
    }
    let scale = if arguments.quick { systems::Scale::QUICK } else { systems::Scale::FULL };
    let mut machine = Machine::look()?;
    let stead = arguments.stead.as_deref().unwrap_or(Path::new("."));
    let (results, programs) = systems::measure(stead, scale, in_use)?;
    machine.at_end();
    let command = arguments.made_by.clone().unwrap_or_else(command_line);
    let report = Report { set: systems::set(), command, machine, scale, programs, results };
    write(&report, &arguments.out, arguments.name.as_deref().unwrap_or("systems"))
}

fn run(arguments: &Arguments, in_use: &InUse) -> Result<()> {
    let chosen = chosen_metrics(&arguments.only)?;
    let mut peers = chosen_peers(arguments)?;
    let scale = if arguments.quick { Scale::QUICK } else { Scale::FULL };
    let mut machine = Machine::look()?;
    let mut results = Results::default();
    let texts = tempfile::Builder::new().prefix("sb-text-").tempdir()?;
    in_use.add(texts.path());
    let (plain, coloured) = (texts.path().join("plain"), texts.path().join("coloured"));
    payload::log(&plain, scale.bytes, false)?;
    payload::log(&coloured, scale.bytes, true)?;
    for metric in chosen {
        eprintln!("{}", metric.page.title);
        let stage = Stage::new()?;
        in_use.add(stage.root());
        let bench = Bench {
            stage: &stage,
            peers: &mut peers,
            scale,
            plain: plain.clone(),
            coloured: coloured.clone(),
            results: &mut results,
        };
        let outcome = on_stage(metric, bench);
        in_use.remove();
        outcome.context(metric.page.key)?;
    }
    machine.at_end();
    let programs = peers
        .iter()
        .map(|p| Program { name: p.name(), version: p.version(), remark: p.remark() })
        .collect();
    let command = arguments.made_by.clone().unwrap_or_else(command_line);
    let report = Report { set: sessions(), command, machine, scale, programs, results };
    write(&report, &arguments.out, arguments.name.as_deref().unwrap_or("latest"))
}

/// Starts every program, measures, asks every program to end, and sees that nothing is left.
fn on_stage(metric: &Metric, bench: Bench) -> Result<()> {
    let Bench { stage, peers, results, .. } = bench;
    for peer in peers.iter_mut() {
        if let Err(e) = peer.start(stage) {
            results.note(metric.page.key, peer.name(), format!("it does not start: {e}"));
        }
    }
    (metric.measure)(&mut Bench { stage, peers, results, ..bench });
    for peer in peers.iter_mut() {
        peer.stop(stage);
    }
    let left = processes::settle(stage.root(), Duration::from_secs(5));
    if !left.is_empty() {
        for peer in peers.iter() {
            let own = processes::of(&peer.binaries(), stage.root());
            if !own.is_empty() {
                let text = format!("{} of its processes did not end when asked", own.len());
                results.note(metric.page.key, peer.name(), text);
            }
        }
        eprintln!("  ended what was left: {} processes", processes::sweep(stage.root()));
    }
    let still = processes::on(stage.root());
    if still.is_empty() {
        Ok(())
    } else {
        Err(Error::new(format!("processes {still:?} cannot be ended")))
    }
}

fn chosen_metrics(only: &[String]) -> Result<Vec<&'static Metric>> {
    if let Some(unknown) = only.iter().find(|o| metrics::ALL.iter().all(|m| m.page.key != **o)) {
        return Err(Error::new(format!("no metric is called {unknown}")));
    }
    Ok(metrics::ALL
        .iter()
        .filter(|m| only.is_empty() || only.iter().any(|o| o == m.page.key))
        .collect())
}

fn chosen_peers(arguments: &Arguments) -> Result<Vec<Box<dyn Peer>>> {
    let peers_bin = arguments.peers_bin.clone().unwrap_or_else(default_peers);
    let places = Where { stead: arguments.stead.as_deref(), peers: &peers_bin };
    let names: Vec<&str> = if arguments.peers.is_empty() {
        let by_default =
            |name: &&str| *name != "stead-hold" && (*name != "stead" || arguments.stead.is_some());
        NAMES.into_iter().filter(by_default).collect()
    } else {
        arguments.peers.iter().map(String::as_str).collect()
    };
    names.into_iter().map(|name| peers::make(name, &places)).collect()
}

/// Where `install-peers.sh` puts them.
fn default_peers() -> PathBuf {
    cache().join("peers/bin")
}

/// What outlives a run.
fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = set("STEAD_CACHE").or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(cache.join("stead-dev"))
    });
    cache.unwrap_or_default()
}

/// This program's own command line, without the folder that it lies in.
fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("stead-bench {}", words.join(" "))
}

fn write<Scale: serde::Serialize>(report: &Report<Scale>, dir: &Path, name: &str) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let page = report.markdown();
    let json = serde_json::to_string_pretty(report).context("cannot write JSON")?;
    for (ending, text) in [("md", &page), ("json", &(json + "\n"))] {
        let path = dir.join(format!("{name}.{ending}"));
        std::fs::write(&path, text).context(path.display())?;
        eprintln!("wrote {}", path.display());
    }
    print!("{page}");
    Ok(())
}
