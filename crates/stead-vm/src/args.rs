//! The command line of QEMU.

use crate::spec::{Accel, Arch, Board, Boot, Disk, Format, ShareBy, Vm};
use crate::{files, tsc};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// Descriptors that QEMU inherits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inherited {
    /// Its monitor.
    pub qmp: i32,
    /// The agent's line.
    pub line: i32,
    /// The serial console.
    pub console: i32,
    /// The tap, if it has a network card.
    pub tap: Option<i32>,
    /// `/dev/kvm`, opened for it.
    pub kvm: Option<i32>,
}

/// Who is at the other ends of what a machine is connected to.
enum Ends {
    /// Its keeper.
    Keeper(Inherited),
    /// Somebody at a terminal, and those who come to its screen there.
    Person(Option<SocketAddr>),
}

/// What follows QEMU's name. `inherited` are the descriptors that it finds open.
pub fn arguments(vm: &Vm, inherited: Inherited) -> Vec<OsString> {
    whole(vm, &Ends::Keeper(inherited))
}

/// What follows QEMU's name where it has no keeper: its console is the terminal that it is started from. What its network card
/// is connected to, `netdev=net`, is to be added. `screen`: where VNC listens, at 5900 or above.
pub fn by_hand(vm: &Vm, screen: Option<SocketAddr>) -> Vec<OsString> {
    whole(vm, &Ends::Person(screen))
}

fn whole(vm: &Vm, ends: &Ends) -> Vec<OsString> {
    let mut args = Args::default();
    let (tap, kvm) = match ends {
        Ends::Keeper(inherited) => (inherited.tap, inherited.kvm),
        Ends::Person(_) => (None, None),
    };
    args.put("-name", format!("guest={}", escaped(&vm.name)));
    args.flag("-nodefaults").flag("-no-user-config");
    args.put("-display", "none");
    // Whoever breaks into QEMU finds that it cannot start programs.
    args.put("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    board(&mut args, vm, kvm);
    args.put("-smp", vm.cpus.to_string());
    args.put("-m", format!("{}k", vm.memory.div_ceil(1024)));
    boot(&mut args, vm);
    match ends {
        Ends::Keeper(inherited) => {
            for (id, fd) in
                [("qmp", inherited.qmp), ("line", inherited.line), ("console", inherited.console)]
            {
                args.put("-chardev", format!("socket,id={id},fd={fd}"));
            }
            args.put("-mon", "chardev=qmp,mode=control");
        }
        Ends::Person(_) => {
            args.put("-chardev", "stdio,id=console,mux=on,signal=off");
            // Nobody asks by the line, and its agent is content with that.
            args.put("-chardev", "null,id=line");
            args.put("-mon", "chardev=console,mode=readline");
        }
    }
    args.put("-serial", "chardev:console");
    args.device(vm, "virtio-serial", "id=ports,max_ports=2");
    args.put("-device", "virtserialport,chardev=line,name=stead.0");
    args.put("-object", "rng-random,id=random,filename=/dev/urandom");
    args.device(vm, "virtio-rng", "rng=random");
    args.device(vm, "virtio-balloon", "id=balloon,deflate-on-oom=on,free-page-reporting=on");
    for (n, disk) in vm.disks.iter().enumerate() {
        args.disk(vm, n, disk);
    }
    for (n, share) in vm.shares.iter().enumerate() {
        match &share.by {
            ShareBy::Virtiofs(_) => {
                let socket = share_socket(&vm.folder, n);
                args.put("-chardev", format!("socket,id=fs{n},path={}", path(&socket)));
                args.device(vm, "vhost-user-fs", &format!("chardev=fs{n},tag={}", share.tag));
            }
            ShareBy::NineP => {
                let readonly = if share.writable { "" } else { ",readonly=on" };
                // Only who is root, at least of a sandbox, gives files away.
                let model = match ends {
                    Ends::Keeper(_) => "passthrough",
                    Ends::Person(_) => "none",
                };
                args.put(
                    "-fsdev",
                    format!(
                        "local,id=fs{n},path={},security_model={model}{readonly}",
                        path(&share.path)
                    ),
                );
                args.device(vm, "virtio-9p", &format!("fsdev=fs{n},mount_tag={}", share.tag));
            }
        }
    }
    if let Some(mac) = vm.mac.as_ref().filter(|_| tap.is_some() || matches!(ends, Ends::Person(_)))
    {
        if let Some(tap) = tap {
            args.put("-netdev", format!("tap,id=net,fd={tap},vhost=off"));
        }
        let no_rom = if vm.board == Board::Microvm { "" } else { ",romfile=" };
        args.device(vm, "virtio-net", &format!("netdev=net,mac={mac}{no_rom}"));
    }
    screen(&mut args, vm, ends);
    if vm.resume.is_some() {
        args.put("-incoming", "defer");
    }
    args.0
}

/// The socket of the program that serves a share.
pub fn share_socket(folder: &Path, n: usize) -> std::path::PathBuf {
    folder.join(format!("fs{n}.sock"))
}

fn board(args: &mut Args, vm: &Vm, kvm: Option<i32>) {
    let shared = vm.shares.iter().any(|share| matches!(share.by, ShareBy::Virtiofs(_)));
    let name = match vm.board {
        Board::Q35 => "q35,vmport=off,hpet=off",
        // The clock of a PC, and nothing else of one: what is left out is not waited for. Before a kernel that is not packed
        // nobody sets up the old interrupt controller, and its first interrupt would be a division by zero.
        Board::Microvm => "microvm,acpi=on,rtc=on,pic=off,pit=off,isa-serial=on",
        Board::Virt => "virt,gic-version=max",
    };
    args.put("-machine", format!("{name},graphics=off,memory-backend=memory"));
    // What a program beside QEMU reads must be memory that can be shared.
    let backend = if shared { "memory-backend-memfd,share=on" } else { "memory-backend-ram" };
    args.put("-object", format!("{backend},id=memory,size={}k", vm.memory.div_ceil(1024)));
    match (vm.accel, kvm) {
        (Accel::Kvm, Some(fd)) => {
            args.put("-add-fd", format!("fd={fd},set=1"));
            args.put("-accel", "kvm,device=/dev/fdset/1");
        }
        (Accel::Kvm, None) => args.put("-accel", "kvm"),
        (Accel::Tcg, _) => args.put("-accel", "tcg,thread=multi"),
    }
    let cpu = match (vm.accel, vm.arch) {
        (Accel::Kvm, _) => "host",
        // Without what makes kernels copy by single bytes, each of which is a round of a loop here, and walk five tables
        // instead of four.
        (Accel::Tcg, Arch::X86_64) => "max,-erms,-fsrm,-la57",
        (Accel::Tcg, Arch::Aarch64) => "cortex-a72",
    };
    args.put("-cpu", cpu);
    if vm.board == Board::Microvm {
        // The other firmware has its tables where the end of the first root goes.
        args.put("-bios", "qboot.rom");
    }
    if vm.arch == Arch::X86_64 && vm.board != Board::Microvm {
        // The guest sees that its memory is a copy, and has new random numbers.
        args.put("-device", "vmgenid,guid=auto");
    }
}

fn boot(args: &mut Args, vm: &Vm) {
    let Boot::Kernel { kernel, initramfs, line } = &vm.boot else { return };
    args.path("-kernel", kernel).path("-initrd", initramfs);
    let console = if vm.arch == Arch::Aarch64 { "ttyAMA0" } else { "ttyS0" };
    let mut whole = format!("console={console} panic=0 {line}");
    if vm.accel == Accel::Tcg {
        // Nobody shares an emulated processor's caches, and checking the own code costs a second.
        whole.push_str(" nokaslr mitigations=off cryptomgr.notests");
        if vm.arch == Arch::X86_64 {
            // On a busy computer emulated interrupts are late, and the kernel takes its timer for broken.
            whole.push_str(" no_timer_check");
            // Emulation hands on this computer's counter; measured inside, now and then it never comes to an end.
            if let Some(khz) = tsc::kilohertz() {
                let _ = write!(whole, " tsc_early_khz={khz} tsc=reliable");
            }
        }
    }
    args.put("-append", whole);
}

fn screen(args: &mut Args, vm: &Vm, ends: &Ends) {
    if let Some(screen) = &vm.screen {
        args.device(vm, "virtio-gpu", &format!("xres={},yres={}", screen.width, screen.height));
        match ends {
            Ends::Keeper(_) => {
                args.put("-vnc", format!("unix:{}", path(&vm.folder.join(files::VNC))));
            }
            // QEMU counts from 5900 on.
            Ends::Person(Some(at)) => {
                let host = match at {
                    SocketAddr::V4(at) => at.ip().to_string(),
                    SocketAddr::V6(at) => format!("[{}]", at.ip()),
                };
                args.put("-vnc", format!("{host}:{}", at.port().saturating_sub(5900)));
            }
            Ends::Person(None) => {}
        }
        args.device(vm, "virtio-keyboard", "");
        args.device(vm, "virtio-tablet", "");
    }
    if let Some(server) = &vm.audio {
        args.put("-audiodev", format!("pa,id=sound,server=unix:{}", path(server)));
        args.put("-device", "intel-hda");
        args.put("-device", "hda-duplex,audiodev=sound");
    }
}

#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn put(&mut self, option: &str, value: impl AsRef<str>) {
        self.0.push(option.into());
        self.0.push(value.as_ref().into());
    }

    fn path(&mut self, option: &str, path: &Path) -> &mut Self {
        self.0.push(option.into());
        self.0.push(path.into());
        self
    }

    /// A virtio device, on the bus that the board has.
    fn device(&mut self, vm: &Vm, name: &str, more: &str) {
        let bus = if vm.board == Board::Microvm { "device" } else { "pci" };
        let comma = if more.is_empty() { "" } else { "," };
        self.put("-device", format!("{name}-{bus}{comma}{more}"));
    }

    fn disk(&mut self, vm: &Vm, n: usize, disk: &Disk) {
        let readonly = if disk.readonly { "on" } else { "off" };
        let file = path(&disk.path);
        let discard = if disk.readonly { "ignore" } else { "unmap" };
        // Nobody but this QEMU writes to it, which the engine sees to by its claim; for what is only read no lock is needed.
        let locking = if disk.readonly { "off" } else { "auto" };
        let node = format!("disk{n}");
        // Counts of references are always right on disk (no lazy-refcounts): a layer that was marked as dirty when QEMU was
        // killed could not be opened anew to be read, nor could any on top of it, and QEMU says nothing of that.
        let driver = match disk.format {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        };
        self.put(
            "-blockdev",
            format!(
                "driver={driver},node-name={node},read-only={readonly},discard={discard},\
                 file.driver=file,file.filename={file},file.locking={locking}"
            ),
        );
        self.device(vm, "virtio-blk", &format!("drive={node},serial={}", disk.serial));
    }
}

/// A path as a value: QEMU reads a comma as the end of one unless there are two.
fn path(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn escaped(text: &str) -> String {
    text.replace(',', ",,")
}
