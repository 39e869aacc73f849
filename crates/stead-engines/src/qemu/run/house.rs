//! The sandbox that a machine's keeper runs in.

use super::super::core::Core;
use super::super::disks::Disk;
use super::super::ground::OnWhat;
use super::vm::SPEC;
use super::{GRACE, KEEPER};
use crate::common::files::{self, Sync};
use crate::common::{made, running};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_box::hide;
use stead_box::spec::{Base, Bind, Limits, Main, Net, Spec, Tap, Upper};
use stead_machine::EngineError;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_vm::files::{AGENT, SCREEN};
use stead_vm::spec::{Accel, Boot, Vm};

/// What QEMU, its keeper and what serves shares need beside the guest's memory.
const BESIDE: u64 = 512 << 20;
/// What any of them may write beside what it is there for.
const SCRATCH: u64 = 64 << 20;

/// The sandbox of a machine.
pub fn spec(core: &Core, wanted: &Wanted, vm: &Vm, disks: &[Disk], on: &OnWhat) -> Result<Spec> {
    let place = &core.place;
    let name = &wanted.name;
    let cover = cover(core)?;
    // So that it is not swept while it is in use.
    files::write(&place.run(name).join(running::COVER), &cover, Sync::Later)?;
    let folder = place.run(name).join(KEEPER);
    let limits = made::limits(&wanted.declared);
    let keeper = core.programs.vm.canonicalize().unwrap_or_else(|_| core.programs.vm.clone());
    let peers = core.peers(wanted)?;
    // One that nobody sees begins with a dot, with which no name on a network may.
    let seen = name.trim_start_matches('.').to_owned();
    Ok(Spec {
        name: seen.clone(),
        hostname: seen,
        run: place.run(name),
        record: Some(place.started(name)),
        base: Base::Host { cover, show: Vec::new() },
        layers: Vec::new(),
        upper: Upper::Memory { size: Some(SCRATCH) },
        ids: made::ids(wanted, core.root),
        binds: binds(core, wanted, vm, disks, on, &keeper)?,
        limits: Limits {
            memory: limits.memory.map(|_| vm.memory + BESIDE),
            // The guest's processes are its kernel's.
            processes: None,
            ..limits
        },
        cgroup: made::cgroup(place, wanted),
        net: Some(Net {
            tap: Some(Tap::default()),
            agent: Some(folder.join(AGENT)),
            screen: vm.screen.as_ref().map(|_| folder.join(SCREEN)),
            ..made::net(wanted, peers)
        }),
        main: Some(Main {
            command: vec![text(&keeper)?, "keep".into(), text(&place.run(name).join(SPEC))?],
            env: BTreeMap::new(),
            devices: if vm.accel == Accel::Kvm { vec!["/dev/kvm".into()] } else { Vec::new() },
            grace: GRACE,
        }),
        nested: false,
        env: BTreeMap::new(),
    })
}

/// What of this host it sees beside programs: what it is made of, and nothing of any other machine.
fn binds(
    core: &Core,
    wanted: &Wanted,
    vm: &Vm,
    disks: &[Disk],
    on: &OnWhat,
    keeper: &Path,
) -> Result<Vec<Bind>> {
    let mut binds = Vec::new();
    let mut bind = |host: &Path, inside: &Path, writable: bool| {
        // A bind never leads through a symbolic link.
        let host = host.canonicalize().map_err(files::failed(host.display()))?;
        binds.push(Bind { host, inside: inside.to_owned(), writable, shifted: true });
        Ok::<_, EngineError>(())
    };
    for own in [vm.folder.clone(), core.console(&wanted.name)] {
        bind(&own, &own, true)?;
    }
    bind(keeper, keeper, false)?;
    let spec = core.place.run(&wanted.name).join(SPEC);
    bind(&spec, &spec, false)?;
    for disk in disks {
        for under in &disk.under {
            bind(under, under, false)?;
        }
        bind(&disk.path, &disk.path, !disk.readonly)?;
    }
    for disk in vm.disks.iter().filter(|disk| disk.serial == "seed") {
        bind(&disk.path, &disk.path, false)?;
    }
    if let Boot::Kernel { kernel, initramfs, .. } = &vm.boot {
        bind(kernel, kernel, false)?;
        bind(initramfs, initramfs, false)?;
    }
    for file in on.resume.iter().chain(&on.virtiofsd) {
        bind(file, file, false)?;
    }
    for (real, share) in core.shared(wanted)?.iter().zip(&vm.shares) {
        bind(real, &share.path, share.writable)?;
    }
    if let Some(sound) = &on.audio {
        bind(sound, sound, true)?;
    }
    Ok(binds)
}

fn cover(core: &Core) -> Result<PathBuf> {
    let host = hide::Host { root: "/".into(), userxattr: !core.root };
    let cover =
        hide::cover(&core.place.covers(), &host).map_err(|e| EngineError::Failed(e.to_string()))?;
    Ok(cover.path)
}

fn text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| EngineError::NotNow(format!("{}: this path must be UTF-8", path.display())))
}
