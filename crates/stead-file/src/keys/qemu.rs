//! The keys of a virtual machine.

use crate::amount::Bytes;
use crate::declared::{Accel, Arch, Board, Desktop, Format, Guest, Qemu};
use crate::form::{Choice, Flag, Form, List, Word};
use crate::path::OfHost;
use crate::port::At;
use crate::size::Size;
use crate::table::{Key, Table, rows};
use std::path::PathBuf;

pub(crate) static QEMU: Table<Qemu> = Table {
    what: "`qemu`",
    header: "[machines.NAME.qemu]",
    doc: "What only a virtual machine has: a machine whose `engine` is `qemu`.",
    keys: rows!(Qemu {
        /// What runs in it: `full` is a system with systemd and ssh, `light` only a kernel and what Stead needs, which is
        /// there in a fraction of the time.
        guest: Word(&[("full", Guest::Full), ("light", Guest::Light)]), "\"full\"", "\"light\"",
            elsewhere ["kind", "flavor"]
            => |qemu, guest| qemu.guest = guest;
        /// The computer that is emulated: `q35` is a PC, `microvm` one without PCI, which has neither screen nor sound,
        /// `virt` what `aarch64` has.
        machine: Word(&[("q35", Board::Q35), ("microvm", Board::Microvm), ("virt", Board::Virt)]),
            "`\"microvm\"` for a light guest, else `\"q35\"`; on aarch64 `\"virt\"`", "\"q35\"",
            elsewhere ["board", "chipset", "machine_type"]
            => |qemu, board| qemu.machine = Some(board);
        /// What executes its instructions: `kvm` is this computer's processor, `tcg` QEMU itself, many times slower.
        accel: Word(&[("kvm", Accel::Kvm), ("tcg", Accel::Tcg)]),
            "`\"kvm\"` where it works, else `\"tcg\"`, which you are told", "\"tcg\"",
            elsewhere ["accelerator", "kvm", "hypervisor"]
            => |qemu, accel| qemu.accel = Some(accel);
        /// Its processor. One that this computer does not have is emulated.
        arch: Word(&[("x86_64", Arch::X86_64), ("aarch64", Arch::Aarch64)]), "this computer's", "\"aarch64\"",
            elsewhere ["architecture", "cpu", "platform"]
            => |qemu, arch| qemu.arch = Some(arch);
        /// It starts from its memory as it was just after its first boot.
        warm: Flag, "false", "true" => |qemu, flag| qemu.warm = flag;
        /// Least memory that is left to it when this computer asks for some back.
        balloon: Bytes(Size::mib(64), Size::gib(1024)), "all of it stays its own", "\"512MiB\"",
            elsewhere ["min_memory", "memory_min"]
            => |qemu, least| qemu.balloon = Some(least);
        /// Size of the root in memory, if it is `ephemeral`.
        root_memory: Bytes(Size::mib(64), Size::gib(1024)), "2 GiB", "\"4GiB\"",
            elsewhere ["root_size", "tmpfs_size"]
            => |qemu, size| qemu.root_memory = Some(size);
        /// Size of the disk for what persists, if it is `ephemeral`.
        persist_size: Bytes(Size::mib(64), Size::gib(10 * 1024)), "64 GiB", "\"20GiB\"",
            elsewhere ["persist_disk"]
            => |qemu, size| qemu.persist_size = Some(size);
        /// What it plays is heard on this computer, through PulseAudio.
        audio: Flag, "false", "true",
            elsewhere ["sound"]
            => |qemu, flag| qemu.audio = flag;
        /// What an image of your own is, if its first bytes are not to be trusted.
        format: Word(&[("raw", Format::Raw), ("qcow2", Format::Qcow2)]), "what its first bytes say", "\"raw\"",
            elsewhere ["image_format"]
            => |qemu, format| qemu.format = Some(format);
        /// Sensitive folders of this computer that it may share, with all below each. Without this, `stead apply` asks.
        allow_sensitive: List { of: OfHost, once: "folder", same: PathBuf::clone }, "[]", "[\"/etc/nginx\"]"
            => |qemu, folders| qemu.allow_sensitive = folders;
    } tables {
        /// A screen.
        desktop: DESKTOP, "none", "{ resolution = \"1920x1080\" }",
            elsewhere ["display", "graphics", "screen", "vnc", "rdp"]
            => |qemu| qemu.desktop.get_or_insert_default();
    }),
};

pub(crate) static DESKTOP: Table<Desktop> = Table {
    what: "`desktop`",
    header: "desktop = { ... }",
    doc: "A virtual machine's screen, and the ports of this computer that lead to it.",
    keys: rows!(Desktop {
        /// Its width and height.
        resolution: Choice(&Desktop::RESOLUTIONS), "\"1920x1080\"", "\"2560x1440\""
            => |desktop, resolution| desktop.resolution = resolution;
        /// The port of VNC, on the loopback unless an address is named. There is no password: whoever reaches it sits there.
        vnc: At, "5900 and the machine's number", "5901" => |desktop, at| desktop.vnc = Some(at);
        /// The port that leads to RDP inside (3389), if something there serves it.
        rdp: At, "none", "33890" => |desktop, at| desktop.rdp = Some(at);
    }),
};
