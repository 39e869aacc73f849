//! Memory that machines go on from.
//!
//! What was kept with a snapshot fits the disks as they were at that instant, and a machine of the same shape. A machine that
//! is put back to it, or made from it, has it in a folder of its own until it starts: it does not depend on the snapshot.

use super::base::Base;
use super::core::Core;
use super::ground::OnWhat;
use super::layers::{Disks, Parts, State};
use crate::common::files::{self, Sync, failed};
use crate::common::state::read_state;
use crate::common::store::Kind;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use stead_machine::EngineError;
use stead_machine::engine::Result;
use stead_vm::spec::{Accel, Arch, Board, Boot, Screen, ShareBy, Vm};

/// The memory in its folder.
pub const MEMORY: &str = "memory";
/// What it is the memory of: written last.
const ABOUT: &str = "vm.json";

/// What memory was kept of.
#[derive(Debug, Serialize, Deserialize)]
pub struct About {
    /// The machine as it was.
    pub vm: Vm,
    /// What must be the same for its memory to fit.
    pub shape: Shape,
    /// What its disks lay on from that instant.
    pub parts: Parts,
    /// Bytes of the file with the memory.
    pub bytes: u64,
    /// When that was last written to; nanoseconds since the Unix epoch.
    pub written: i64,
}

/// What a machine's devices and its processors depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    qemu: String,
    arch: Arch,
    board: Board,
    accel: Accel,
    processor: String,
    cpus: u32,
    memory: u64,
    boot: Option<(String, String, String)>,
    /// Serial, bytes, whether it is only read.
    disks: Vec<(String, u64, bool)>,
    /// Tag, whether QEMU serves it itself.
    shares: Vec<(String, bool)>,
    network: bool,
    screen: Option<Screen>,
    audio: bool,
}

impl Shape {
    /// Of this machine, whose disks have these sizes.
    pub fn of(vm: &Vm, on: &OnWhat, sizes: &[u64]) -> Self {
        // Where the data folder is does not matter; what a file of it is, its name says.
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let disks = vm.disks.iter().zip(sizes);
        Shape {
            qemu: on.version.clone(),
            arch: vm.arch,
            board: vm.board,
            accel: vm.accel,
            processor: if vm.accel == Accel::Kvm { processor() } else { String::new() },
            cpus: vm.cpus,
            memory: vm.memory,
            boot: match &vm.boot {
                Boot::Kernel { kernel, initramfs, line } => {
                    Some((name(kernel), name(initramfs), line.clone()))
                }
                Boot::Firmware => None,
            },
            disks: disks.map(|(disk, size)| (disk.serial.clone(), *size, disk.readonly)).collect(),
            shares: vm
                .shares
                .iter()
                .map(|share| (share.tag.clone(), share.by == ShareBy::NineP))
                .collect(),
            network: vm.mac.is_some(),
            screen: vm.screen.clone(),
            audio: vm.audio.is_some(),
        }
    }

    /// In what another differs, if it does.
    fn differs(&self, other: &Shape) -> Option<String> {
        let two = |what: &str, was: &str, is: &str| Some(format!("{what} was {was} and is {is}"));
        if self.qemu != other.qemu {
            return two("QEMU", &self.qemu, &other.qemu);
        }
        if self.accel != other.accel {
            return two("its processor", self.accel.name(), other.accel.name());
        }
        let differs = [
            (
                "its processor is another",
                (self.arch, &self.processor) != (other.arch, &other.processor),
            ),
            ("its board is another", self.board != other.board),
            ("it has another number of processors", self.cpus != other.cpus),
            ("it has another amount of memory", self.memory != other.memory),
            ("its kernel, or what that begins with, is another", self.boot != other.boot),
            ("its disks are others", self.disks != other.disks),
            ("its shares are others", self.shares != other.shares),
            ("its other devices differ", self != other),
        ];
        differs.into_iter().find_map(|(what, differs)| differs.then(|| what.to_owned()))
    }
}

/// What guests see of this computer's processors.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    format!("{} {}", line("model name"), line("flags"))
}

fn written(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// A folder in which memory is being put.
pub struct Keeping {
    folder: PathBuf,
    /// The file, opened to be written.
    pub file: File,
}

impl Keeping {
    /// In this folder, made anew.
    pub fn begin(folder: &Path) -> Result<Self> {
        files::remove(folder)?;
        files::make(folder)?;
        let path = folder.join(MEMORY);
        let open = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = open.map_err(failed(format!("make {}", path.display())))?;
        Ok(Keeping { folder: folder.to_owned(), file })
    }

    /// Says what it is the memory of. It is on disk then.
    pub fn done(&self, vm: Vm, shape: Shape, parts: Parts) -> Result<()> {
        let tried = || failed(self.folder.join(MEMORY).display().to_string());
        self.file.sync_all().map_err(tried())?;
        let meta = self.file.metadata().map_err(tried())?;
        let about = About { vm, shape, parts, bytes: meta.len(), written: written(&meta) };
        files::write(&self.folder.join(ABOUT), &about, Sync::Now)
    }
}

/// What the memory in a folder is of; `None` if there is none.
pub fn about(folder: &Path) -> Result<Option<About>> {
    files::read(&folder.join(ABOUT))
}

impl Core {
    /// The folder with the memory that a machine's next start goes on from.
    pub fn resume(&self, name: &str) -> PathBuf {
        self.place.own_folder(name).join("resume")
    }

    /// Has a machine's next start go on from the memory in this folder, if there is one. A start looks whether it fits.
    pub fn resume_from(&self, name: &str, folder: &Path) -> Result<()> {
        let to = self.resume(name);
        files::remove(&to)?;
        if !folder.join(ABOUT).exists() {
            return Ok(());
        }
        let new = to.with_extension("new");
        files::remove(&new)?;
        files::make(&new)?;
        let about = about(folder)?;
        let (from, memory) = (folder.join(MEMORY), new.join(MEMORY));
        match std::fs::hard_link(&from, &memory) {
            // Without it, it boots.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => copy(&from, &memory)?,
            Ok(()) => {}
        }
        if let Some(mut about) = about {
            if let Ok(meta) = memory.metadata() {
                // Only a whole one is copied as such.
                let whole = from
                    .metadata()
                    .is_ok_and(|from| (from.len(), written(&from)) == (about.bytes, about.written));
                if whole {
                    about.written = written(&meta);
                }
            }
            files::write(&new.join(ABOUT), &about, Sync::Later)?;
        }
        std::fs::rename(&new, &to).map_err(failed(format!("make {}", to.display())))
    }

    /// The memory that a machine of this shape goes on from, if there is some that fits; or why it does not.
    pub fn fitting(
        &self,
        name: &str,
        shape: &Shape,
    ) -> Result<std::result::Result<Option<PathBuf>, String>> {
        let folder = self.resume(name);
        let about = match about(&folder) {
            Ok(Some(about)) => about,
            Ok(None) => return Ok(Ok(None)),
            Err(e) => return Ok(Err(e.to_string())),
        };
        let Some(state) = read_state::<Base>(&self.place, name)? else { return Ok(Ok(None)) };
        if state.under() != about.parts || !self.untouched(&state)? {
            return Ok(Err("its disks have changed since".into()));
        }
        let memory = folder.join(MEMORY);
        let as_it_was = memory
            .metadata()
            .is_ok_and(|meta| (meta.len(), written(&meta)) == (about.bytes, about.written));
        if !as_it_was {
            return Ok(Err(format!("{} is not as it was written", memory.display())));
        }
        Ok(match about.shape.differs(shape) {
            Some(what) => Err(what),
            None => Ok(Some(memory)),
        })
    }

    /// Whether nothing was written to the topmost layers of a state.
    fn untouched(&self, state: &State) -> Result<bool> {
        for (_, stack) in state.stacks() {
            if !Disks::is_empty(&self.place, &stack.top)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Copies a file with holes.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = std::process::Command::new("cp");
    let output =
        command.args(["--sparse=always", "--reflink=auto", "--"]).arg(from).arg(to).output();
    let output = output.map_err(failed("cp"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EngineError::Failed(format!("copy the memory {}: {said}", from.display())))
}
