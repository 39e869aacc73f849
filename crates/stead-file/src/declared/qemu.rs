//! What a machine is as a virtual machine: `[machines.NAME.qemu]`.

use super::{Machine, Port};
use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What only a virtual machine has. `None` where it is decided by the rest, or by this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Qemu {
    /// What runs in it.
    pub guest: Guest,
    /// The computer that is emulated; see [`Qemu::board`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Board>,
    /// What executes its instructions. `None`: KVM where it really works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accel: Option<Accel>,
    /// Its processor. `None`: this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// It starts from its memory as it was just after its first boot.
    pub warm: bool,
    /// Least memory that is left to it when this host asks for some back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Size>,
    /// Size of the root in memory of one that is ephemeral.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_memory: Option<Size>,
    /// Size of the disk for what persists of one that is ephemeral.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persist_size: Option<Size>,
    /// It is heard on this host.
    pub audio: bool,
    /// It has a screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desktop: Option<Desktop>,
    /// What the image is, where its beginning is not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Sensitive folders that may be shared, and all below each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_sensitive: Vec<PathBuf>,
}

impl Qemu {
    /// Memory of a machine that names none, by its guest.
    pub const fn memory_of(guest: Guest) -> Size {
        match guest {
            Guest::Full => Size::gib(2),
            Guest::Light => Size(512 << 20),
        }
    }

    /// Size of the disk of a machine that names none.
    pub const DISK: Size = Size::gib(64);
    /// Size of the root in memory where none is named.
    pub const ROOT_MEMORY: Size = Size::gib(2);
    /// Size of the disk for what persists where none is named.
    pub const PERSIST_SIZE: Size = Size::gib(64);
    /// What a machine is made of that names no image.
    pub const IMAGE: &'static str = "debian/12";

    /// Whether nothing was said, so that it need not be written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The computer that is emulated for this processor.
    pub fn board(&self, arch: Arch) -> Board {
        self.machine.unwrap_or(match (arch, self.guest) {
            (Arch::Aarch64, _) => Board::Virt,
            (Arch::X86_64, Guest::Light) => Board::Microvm,
            (Arch::X86_64, Guest::Full) => Board::Q35,
        })
    }

    /// The ports of a machine that names none; each is left out where something else has it.
    pub fn default_ports(&self) -> Vec<Port> {
        // A light guest has no ssh.
        let ssh = (self.guest == Guest::Full).then_some((2222, 22));
        ssh.into_iter()
            .chain([(3001, 3001), (9080, 9080)])
            .map(|(host, inside)| Port { host, inside, optional: true, ..Port::default() })
            .collect()
    }
}

impl Machine {
    /// Its memory as a virtual machine, which always has some.
    pub fn vm_memory(&self) -> Size {
        self.memory.unwrap_or(Qemu::memory_of(self.qemu.guest))
    }

    /// The size of its disk as a virtual machine.
    pub fn vm_disk(&self) -> Size {
        self.disk.unwrap_or(Qemu::DISK)
    }
}

/// What runs in a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guest {
    /// A system with systemd and ssh.
    #[default]
    Full,
    /// Only a kernel and what Stead needs.
    Light,
}

/// The computer that QEMU emulates (its `-machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// A PC with PCI Express.
    Q35,
    /// A PC without PCI, which boots faster.
    Microvm,
    /// What `aarch64` has.
    Virt,
}

/// What executes a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// This host's processor.
    Kvm,
    /// QEMU itself, many times slower.
    Tcg,
}

impl Accel {
    /// As QEMU names it.
    pub const fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }
}

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// This host's.
    pub const fn of_host() -> Self {
        if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
    }

    /// As QEMU and the kernel name it.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }

    /// As Debian names it.
    pub const fn debian(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }
}

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The disk as it is.
    Raw,
    /// QEMU's.
    Qcow2,
}

impl Format {
    /// As QEMU names it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }
}

/// A screen, and how people come to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Desktop {
    /// `WIDTHxHEIGHT`.
    pub resolution: String,
    /// Where VNC listens on this host. `None`: on the loopback, at 5900 and the machine's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnc: Option<std::net::SocketAddr>,
    /// Where RDP is reached on this host: what listens at 3389 inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdp: Option<std::net::SocketAddr>,
}

impl Default for Desktop {
    fn default() -> Self {
        Desktop { resolution: "1920x1080".into(), vnc: None, rdp: None }
    }
}

impl Desktop {
    /// The resolutions there are.
    pub const RESOLUTIONS: [&'static str; 9] = [
        "1280x720",
        "1366x768",
        "1600x900",
        "1920x1080",
        "1920x1200",
        "2560x1440",
        "2560x1600",
        "3440x1440",
        "3840x2160",
    ];

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = self.resolution.split_once('x').unwrap_or_default();
        (width.parse().unwrap_or(1920), height.parse().unwrap_or(1080))
    }

    /// Where VNC listens, for the machine of this number.
    pub fn vnc_at(&self, number: u32) -> std::net::SocketAddr {
        self.vnc.unwrap_or_else(|| {
            let port = 5900 + u16::try_from(number % 50_000).unwrap_or(0);
            (std::net::Ipv4Addr::LOCALHOST, port).into()
        })
    }

    /// The port of this host that leads to RDP inside.
    pub fn rdp_port(&self) -> Option<Port> {
        let at = self.rdp?;
        Some(Port { address: at.ip(), host: at.port(), inside: 3389, optional: false })
    }
}
