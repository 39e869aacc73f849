//! Engine `qemu`: real virtual machines.
//!
//! A machine is a sandbox whose one program runs QEMU. This engine keeps states and snapshots as stacks of qcow2 files;
//! [`run`] makes a machine of them.

pub mod base;
mod core;
pub mod disks;
mod engine;
mod ground;
mod guests;
pub mod image;
mod images;
mod layers;
mod life;
mod memory;
mod moves;
mod persist;
mod qcow2;
mod reach;
mod remarks;
mod run;
mod script;
mod shorten;
mod snapshots;
mod sweep;
mod warm;

pub use ground::{GuestBoot, kvm_as_tried, virtiofsd};
pub use guests::Guests;
pub use images::Images;
pub use persist::LABEL as PERSIST_LABEL;

use self::core::Core;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is no `diff`.
const NO_DIFF: &str =
    "the disk of a virtual machine has blocks, and not files, for whoever is outside";

/// The programs that the engine needs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `stead-box`.
    pub sandbox: PathBuf,
    /// `stead-hold`, which every machine gets.
    pub hold: PathBuf,
    /// `stead-vm`, which runs QEMU outside and is the first process inside.
    pub vm: PathBuf,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Qemu {
    core: Arc<Core>,
}

impl Qemu {
    /// An engine that keeps its things below these two folders and gets its images from there.
    pub fn new(data: &Path, runtime: &Path, programs: Programs, images: Arc<dyn Images>) -> Self {
        Qemu { core: Arc::new(Core::new(data, runtime, programs, images)) }
    }

    /// The disks that a machine's next start gives to QEMU, after a look at each file of them.
    ///
    /// # Errors
    /// If a file of them is damaged, was changed, or leads elsewhere.
    pub fn disks(&self, name: &str) -> stead_machine::engine::Result<Vec<disks::Disk>> {
        self.core.disks(name)
    }

    /// The files that states and snapshots of this engine are made on: none of them may be removed.
    ///
    /// # Errors
    /// If a state or a snapshot cannot be read.
    pub fn bases(&self) -> stead_machine::engine::Result<Vec<PathBuf>> {
        self.core.bases()
    }
}

/// Where images lie: with what is made on them, which is as dear, or where `STEAD_IMAGES` says.
pub fn images(data: &Path) -> PathBuf {
    std::env::var_os("STEAD_IMAGES").map_or_else(|| data.join("images"), PathBuf::from)
}

/// The engine with the programs that lie beside this one, and [`images()`].
pub fn engine(data: &Path, runtime: &Path, hold: &Path) -> Qemu {
    let programs = Programs {
        sandbox: crate::beside("stead-box"),
        hold: hold.to_owned(),
        vm: crate::beside("stead-vm"),
    };
    let images = Arc::new(Guests::new(&images(data), &programs));
    Qemu::new(data, runtime, programs, images)
}
