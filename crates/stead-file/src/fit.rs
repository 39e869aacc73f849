//! What is asked for, held against what this computer has.

use crate::check::Source;
use crate::declared::{Declaration, Machine};
use crate::reader::Reader;
use crate::{HostFacts, Size};

/// Warns of machines that ask for nearly all, refuses those whose disk does not fit.
pub(crate) fn fit(source: &Source<'_>, declared: &Declaration, reader: &mut Reader<'_>) {
    let Some(host) = &reader.context.host else { return };
    for (name, machine) in &declared.machines {
        for (key, fit) in FITS {
            // What could not be read was not asked for: the value of the defaults stands in for it.
            if source.machine(name, key).is_none_or(|found| !reader.told(&found.span())) {
                fit(source, reader, name, machine, host);
            }
        }
    }
}

type Fit = fn(&Source<'_>, &mut Reader<'_>, &str, &Machine, &HostFacts);

const FITS: [(&str, Fit); 3] = [("memory", memory), ("cpus", cpus), ("disk", disk)];

/// More than 80 % of `all`.
fn nearly_all(part: u64, all: u64) -> bool {
    u128::from(part) * 100 > u128::from(all) * 80
}

fn memory(
    source: &Source<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    machine: &Machine,
    host: &HostFacts,
) {
    let Some(memory) = machine.memory else { return };
    if nearly_all(memory.bytes(), host.memory.bytes()) {
        let (asked, all) = (memory.about(), host.memory.about());
        let most = Size(host.memory.bytes() / 100 * 80).about();
        reader
            .problem(
                source.place(name, "memory"),
                format!("machine `{name}` may use {asked} of memory, and this computer has {all}"),
            )
            .help(format!("leave a fifth to the rest: at most {most}"))
            .warning();
    }
}

fn cpus(
    source: &Source<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    machine: &Machine,
    host: &HostFacts,
) {
    let Some(cpus) = machine.cpus else { return };
    if nearly_all(cpus.into(), u64::from(host.cpus) * 1000) {
        let (asked, all) = (f64::from(cpus) / 1000.0, host.cpus);
        let most = f64::from(host.cpus) * 0.8;
        reader
            .problem(
                source.place(name, "cpus"),
                format!(
                    "machine `{name}` may keep {asked} processors busy, and this computer has {all}"
                ),
            )
            .help(format!("leave a fifth to the rest: at most {most:.1}"))
            .warning();
    }
}

fn disk(
    source: &Source<'_>,
    reader: &mut Reader<'_>,
    name: &str,
    machine: &Machine,
    host: &HostFacts,
) {
    let Some(disk) = machine.disk else { return };
    if host.made.iter().any(|made| made == name) {
        return;
    }
    let needed = u128::from(disk.bytes()) * 120;
    if u128::from(host.disk_free.bytes()) * 100 < needed {
        let (asked, free) = (disk.about(), host.disk_free.about());
        let needed = Size(u64::try_from(needed / 100).unwrap_or(u64::MAX)).about();
        let most = Size(host.disk_free.bytes() / 120 * 100).about();
        if machine.engine == "qemu" {
            reader
                .problem(
                    source.place(name, "disk"),
                    format!(
                        "the disk of machine `{name}` can grow to {disk}, and {free} are free",
                        disk = disk.about()
                    ),
                )
                .help(format!("it takes only what is written; to be sure, ask for at most {most}"))
                .warning();
            return;
        }
        reader
            .problem(
                source.place(name, "disk"),
                format!("machine `{name}` needs {needed} of free disk (its {asked} and a fifth more), and {free} are free"),
            )
            .help(format!("free some, or ask for at most {most}"));
    }
}
