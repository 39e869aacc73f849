//! What QEMU is told, and what the guest is told.

use super::super::core::Core;
use super::super::disks::Disk;
use super::super::ground::OnWhat;
use std::path::{Path, PathBuf};
use stead_box::net::{GATEWAY, NAME_SERVER};
use stead_file::declared::{Guest, Qemu};
use stead_machine::model::Wanted;
use stead_machine::vm::share;
use stead_vm::guest::config::{self, Config};
use stead_vm::spec::{self, Boot, Screen, ShareBy, Vm};

/// The file in a run folder with all this; the keeper only reads it.
pub const SPEC: &str = "vm.json";
/// The file in the console's folder.
pub const CONSOLE: &str = "console.log";
/// The file in the console's folder with how it ended.
pub const ENDED: &str = "ended.json";

/// The machine as its keeper is to run it.
pub fn describe(core: &Core, wanted: &Wanted, disks: &[Disk], on: &OnWhat, reseed: bool) -> Vm {
    let declared = &wanted.declared;
    let shares: Vec<spec::Share> = declared
        .shares
        .iter()
        .zip(share::tags(&declared.shares))
        .map(|(share, tag)| spec::Share {
            path: seen_at(&tag),
            tag,
            writable: share.writable,
            by: match &on.virtiofsd {
                Some(program) => ShareBy::Virtiofs(program.clone()),
                None => ShareBy::NineP,
            },
        })
        .collect();
    let boot = match &on.guest {
        Some(guest) => Boot::Kernel {
            kernel: guest.kernel.clone(),
            initramfs: guest.initramfs.clone(),
            line: guest.line.clone(),
        },
        None => Boot::Firmware,
    };
    let mac = mac(wanted);
    let partition = on.guest.as_ref().and_then(|guest| guest.partition);
    let config = Config {
        // One that nobody sees begins with a dot, with which no host's name may.
        hostname: wanted.name.trim_start_matches('.').to_owned(),
        machine_id: wanted.id.clone(),
        root: config::Root {
            device: match partition {
                None => "/dev/vda".into(),
                Some(n) => format!("/dev/vda{n}"),
            },
            grow: !declared.ephemeral,
            memory: declared
                .ephemeral
                .then(|| declared.qemu.root_memory.unwrap_or(Qemu::ROOT_MEMORY).bytes()),
            ..config::Root::default()
        },
        guest: match declared.qemu.guest {
            Guest::Light if on.guest.is_some() => config::Guest::Light,
            _ => config::Guest::Full,
        },
        persist: declared.ephemeral.then(|| config::Persist {
            device: "serial:persist".into(),
            folders: declared.persist.clone(),
            grow: true,
        }),
        shares: declared
            .shares
            .iter()
            .zip(&shares)
            .map(|(share, seen)| config::Share {
                tag: seen.tag.clone(),
                at: share.inside.clone(),
                kind: match seen.by {
                    ShareBy::Virtiofs(_) => config::ShareKind::Virtiofs,
                    ShareBy::NineP => config::ShareKind::NineP,
                },
                writable: share.writable,
            })
            .collect(),
        net: Some(config::Net {
            mac: Some(mac.clone()),
            interface: None,
            address: wanted.address,
            prefix: 32,
            gateway: Some(GATEWAY),
            name_servers: vec![NAME_SERVER],
        }),
        env: declared.env.clone(),
        host_ports: declared.host_ports.clone(),
        strip: reseed,
        ..Config::default()
    };
    Vm {
        name: wanted.name.clone(),
        qemu: on.qemu.clone(),
        arch: on.arch,
        board: on.board,
        accel: on.accel,
        cpus: cpus(declared.cpus),
        memory: declared.vm_memory().bytes(),
        balloon: declared.qemu.balloon.map(stead_file::size::Size::bytes),
        boot,
        disks: disks
            .iter()
            .map(|disk| spec::Disk {
                serial: disk.serial.into(),
                path: disk.path.clone(),
                format: disk.format,
                readonly: disk.readonly,
            })
            .collect(),
        shares,
        mac: Some(mac),
        folder: core.place.run(&wanted.name).join(super::KEEPER),
        console_log: core.console(&wanted.name).join(CONSOLE),
        ended: core.console(&wanted.name).join(ENDED),
        resume: on.resume.clone(),
        doubtful: false,
        config: Some(config),
        screen: declared.qemu.desktop.as_ref().map(|desktop| {
            let (width, height) = desktop.size();
            Screen { width, height }
        }),
        audio: on.audio.clone(),
    }
}

/// How many processors a guest sees: enough to use its share.
fn cpus(thousandths: Option<u32>) -> u32 {
    let all = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    thousandths.map_or(all, |t| t.div_ceil(1000)).clamp(1, 255)
}

/// The hardware address of a machine's network card: local, and as unlike others' as its id.
fn mac(wanted: &Wanted) -> String {
    let digits = wanted.id.get(..6).unwrap_or("000000");
    format!("52:54:00:{}:{}:{}", &digits[..2], &digits[2..4], &digits[4..])
}

/// Where the keeper sees the share with this tag.
pub fn seen_at(tag: &str) -> PathBuf {
    Path::new("/run/stead/share").join(tag)
}
