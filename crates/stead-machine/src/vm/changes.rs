//! What a change of a virtual machine's declaration means.

use crate::records::Record;
use stead_file::declared::Machine;

/// The keys that differ and that a machine which runs has only after a restart, as a plan names them.
pub fn restart_keys(before: &Machine, after: &Machine) -> Vec<&'static str> {
    let (a, b) = (&before.qemu, &after.qemu);
    let differs = [
        ("cpus", before.cpus != after.cpus),
        ("memory", before.memory != after.memory),
        ("disk", before.disk != after.disk),
        ("processes", before.processes != after.processes),
        ("image", before.image != after.image),
        ("ephemeral", before.ephemeral != after.ephemeral),
        ("persist", before.persist != after.persist),
        ("network", before.network != after.network),
        ("ports", before.ports != after.ports),
        ("host_ports", before.host_ports != after.host_ports),
        ("shares", before.shares != after.shares),
        ("nested", before.nested != after.nested),
        ("qemu.guest", a.guest != b.guest),
        ("qemu.machine", a.machine != b.machine),
        ("qemu.accel", a.accel != b.accel),
        ("qemu.arch", a.arch != b.arch),
        ("qemu.balloon", a.balloon != b.balloon),
        ("qemu.root_memory", a.root_memory != b.root_memory),
        ("qemu.persist_size", a.persist_size != b.persist_size),
        ("qemu.audio", a.audio != b.audio),
        ("qemu.desktop", a.desktop != b.desktop),
        ("qemu.format", a.format != b.format),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Whoever said yes to a sensitive folder is not asked again as long as the machine shares it.
pub fn carry_consent(declared: &mut Machine, record: &Record) {
    let applied = record.applied.as_ref().map_or(&record.wanted.declared, |it| &it.declared);
    if declared.engine != applied.engine {
        return;
    }
    for (folder, _) in super::share::to_ask(declared) {
        if applied.qemu.allow_sensitive.iter().any(|allowed| folder.starts_with(allowed)) {
            declared.qemu.allow_sensitive.push(folder);
        }
    }
}
