//! What a virtual machine has of its own, and what only one can have.

use super::{HOST, Source};
use crate::declared::{Arch, Board, Machine, Port, Qemu, Share};
use crate::reader::Reader;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeValue;

/// The engine of virtual machines.
const ENGINE: &str = "qemu";

/// Memory without which no kernel starts.
const LEAST: crate::Size = crate::Size::mib(64);

/// A port of this host that a machine takes.
pub(super) struct Taken {
    pub port: Port,
    /// Where the file says so.
    pub place: Range<usize>,
    /// It is a screen's, whose port inside nobody chose.
    pub screen: bool,
}

impl<'t> Source<'t> {
    /// The table `qemu` of a machine's own.
    fn own_qemu(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.own("machines", name, "qemu").map(|found| found.value)
    }

    /// A key of `qemu`, the machine's own or from the defaults.
    fn in_qemu(&self, name: &str, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let of = |table: &'t Spanned<DeValue<'t>>| table.get_ref().as_table()?.get(key);
        let default = || self.default("qemu").map(|found| found.value);
        self.own_qemu(name).and_then(of).or_else(|| default().and_then(of))
    }

    /// The place of a key of `qemu`, or else of the machine.
    pub(super) fn qemu_place(&self, name: &str, key: &str) -> Range<usize> {
        self.in_qemu(name, key).map_or_else(|| self.place(name, "qemu"), Spanned::span)
    }

    /// The place of one of a machine's shares.
    fn share(&self, name: &str, share: &Share, reader: &Reader<'_>) -> Range<usize> {
        let list = self.machine(name, "shares");
        let item = list.as_ref().and_then(|list| {
            list.value.get_ref().as_array()?.iter().find(|item| {
                let text = item.get_ref().as_str().unwrap_or_default();
                let folder = text.split(':').next().unwrap_or_default();
                let read_only = text.ends_with(":ro");
                reader.context.host_path(folder).as_ref() == Ok(&share.host)
                    && read_only != share.writable
            })
        });
        item.map_or_else(|| self.place(name, "shares"), Spanned::span)
    }
}

/// Fills in what its engine decides, and notes what it cannot have.
pub(super) fn vm(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    login(source, reader, name, machine);
    if machine.engine == ENGINE {
        image(source, reader, name, machine);
        board(source, reader, name, machine);
        sizes(source, reader, name, machine);
        screen(source, reader, name, machine);
        if source.machine(name, "ports").is_none() {
            machine.ports = machine.qemu.default_ports();
        }
        places(source, reader, name, machine);
    } else {
        none(source, reader, name, machine);
        for share in machine.shares.iter_mut().filter(|share| unplaced(share)) {
            share.inside.clone_from(&share.host);
        }
    }
}

fn unplaced(share: &Share) -> bool {
    share.inside.as_os_str().is_empty()
}

fn login(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    if machine.engine != HOST || machine.share_agent_auth.is_empty() {
        return;
    }
    machine.share_agent_auth.clear();
    if let Some(found) = source.own("machines", name, "share_agent_auth") {
        reader
            .problem(
                found.span(),
                format!("`share_agent_auth` has no effect: machine `{name}` is this computer, whose login it is"),
            )
            .help("remove it");
    }
}

/// What only a virtual machine has is an error where a machine of another engine says it itself.
fn none(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    *machine.qemu = Qemu::default();
    let engine = machine.engine.clone();
    if let Some(table) = source.own_qemu(name)
        && !reader.told(&source.place(name, "engine"))
    {
        let keys = table.get_ref().as_table().and_then(|keys| keys.iter().next());
        let place = keys.map_or_else(|| table.span(), |(key, _)| key.span());
        reader
            .problem(
                place,
                format!("`qemu` has no effect: machine `{name}` is on engine `{engine}`"),
            )
            .help("write `engine = \"qemu\"` above it, or remove it");
    }
    if machine.image.starts_with('/') {
        let default = source.machine(name, "image").is_some_and(|found| found.default);
        reader
            .problem(
                source.place(name, "image"),
                format!(
                    "machine `{name}` is on engine `{engine}`, which cannot use an image in a file"
                ),
            )
            .help(if default {
                "move `image` from the defaults to the virtual machines"
            } else {
                "write `engine = \"qemu\"`, or a system such as `image = \"debian/12\"`"
            });
    }
}

fn image(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    if machine.image == HOST {
        if source.own("machines", name, "image").is_some_and(|f| !reader.told(&f.span())) {
            reader
                .problem(
                    source.place(name, "image"),
                    format!("machine `{name}` is a virtual machine, and cannot be made of this computer's files"),
                )
                .help("write for example `image = \"debian/12\"`, or leave it out");
        }
        machine.image = Qemu::IMAGE.into();
    }
    if machine.qemu.format.is_some() && !machine.image.starts_with('/') {
        no_effect(source, reader, name, "format", "`image` is not the path of an image");
        machine.qemu.format = None;
    }
    if !machine.show.is_empty() {
        machine.show.clear();
        if let Some(found) = source.own("machines", name, "show") {
            reader
                .problem(
                    found.span(),
                    format!("`show` has no effect: machine `{name}` sees nothing of this computer but `shares`"),
                )
                .help("share the folder, with `:ro` if it is only read");
        }
    }
}

/// A key of `qemu` that says nothing here; told where the machine says it itself.
fn no_effect(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, key: &str, why: &str) {
    let own = source.own_qemu(name).and_then(|table| table.get_ref().as_table()?.get(key));
    if let Some(own) = own {
        reader
            .problem(own.span(), format!("`{key}` has no effect: {why}"))
            .help(format!("remove `{key}`"));
    }
}

fn board(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &Machine) {
    let qemu = &machine.qemu;
    if let (Some(arch), Some(board)) = (qemu.arch, qemu.machine) {
        let fits = (board == Board::Virt) == (arch == Arch::Aarch64);
        if !fits {
            let (arch, right) = match arch {
                Arch::X86_64 => ("x86_64", "\"q35\" or \"microvm\""),
                Arch::Aarch64 => ("aarch64", "\"virt\""),
            };
            reader
                .problem(
                    source.qemu_place(name, "machine"),
                    format!("no such machine has an {arch} processor"),
                )
                .also(source.qemu_place(name, "arch"), "the processor")
                .help(format!("its `machine` is {right}: leave it out"));
        }
    }
    if qemu.board(qemu.arch.unwrap_or(Arch::X86_64)) != Board::Microvm {
        return;
    }
    for (key, wanted, what) in
        [("desktop", qemu.desktop.is_some(), "screen"), ("audio", qemu.audio, "sound")]
    {
        if wanted {
            reader
                .problem(source.qemu_place(name, key), format!("a microvm has no {what}"))
                .help("write `machine = \"q35\"` in the same table");
        }
    }
}

fn sizes(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    if !machine.ephemeral {
        let why = format!("machine `{name}` is not ephemeral");
        for (key, size) in [
            ("root_memory", machine.qemu.root_memory.take()),
            ("persist_size", machine.qemu.persist_size.take()),
        ] {
            if size.is_some() {
                no_effect(source, reader, name, key, &why);
            }
        }
    }
    let memory = machine.vm_memory();
    if let Some(least) = machine.qemu.balloon.filter(|least| *least > memory) {
        reader
            .problem(
                source.qemu_place(name, "balloon"),
                format!(
                    "machine `{name}` has {memory} of memory, and {least} are to be left of it"
                ),
            )
            .help("`balloon` is what is left at least: less than `memory`");
    }
    if memory < LEAST {
        reader
            .problem(
                source.place(name, "memory"),
                format!("a virtual machine has at least {LEAST} of memory"),
            )
            .help("write for example `memory = \"512MiB\"`");
    }
}

fn screen(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &Machine) {
    let vnc = machine.qemu.desktop.as_ref().and_then(|desktop| desktop.vnc);
    if let Some(vnc) = vnc.filter(|at| !at.ip().is_loopback()) {
        reader
            .problem(
                source.qemu_place(name, "desktop"),
                format!("the screen of machine `{name}` is open to whoever reaches {vnc}: VNC has no password here"),
            )
            .help("leave the address out, and come to it by ssh")
            .warning();
    }
}

/// The ports that its screen takes.
pub(super) fn screen_ports(source: &Source<'_>, name: &str, machine: &Machine) -> Vec<Taken> {
    let Some(desktop) = &machine.qemu.desktop else { return Vec::new() };
    let vnc = desktop.vnc.map(|at| Port {
        address: at.ip(),
        host: at.port(),
        inside: at.port(),
        optional: false,
    });
    let place = source.qemu_place(name, "desktop");
    vnc.into_iter()
        .chain(desktop.rdp_port())
        .map(|port| Taken { port, place: place.clone(), screen: true })
        .collect()
}

/// Where folders are inside that are shared without a place, and that no two are in one.
fn places(source: &Source<'_>, reader: &mut Reader<'_>, name: &str, machine: &mut Machine) {
    for share in machine.shares.iter_mut().filter(|share| unplaced(share)) {
        share.inside = place(share);
    }
    let mut taken: HashMap<&PathBuf, &Share> = HashMap::new();
    for share in &machine.shares {
        let Some(first) = taken.insert(&share.inside, share) else { continue };
        let span = source.share(name, share, reader);
        if reader.told(&span) {
            continue;
        }
        let also = source.share(name, first, reader);
        let (host, inside) = (share.host.display(), share.inside.display());
        reader
            .problem(span, format!("machine `{name}` has two folders at {inside}"))
            .also(also, "the other one")
            .help(format!("say where this one is to be, as in \"{host}:/srv/other\""));
    }
}

/// `/mnt/host-rw/NAME` or `/mnt/host-ro/NAME`.
fn place(share: &Share) -> PathBuf {
    let folder = if share.writable { "/mnt/host-rw" } else { "/mnt/host-ro" };
    Path::new(folder).join(share.host.file_name().unwrap_or_default())
}
