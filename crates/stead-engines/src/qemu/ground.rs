//! What a machine runs on here: QEMU, processors or their emulation, the files that it boots from.

use super::core::Core;
use crate::common::files::{self, Sync};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};
use stead_vm::accel;
use stead_vm::spec::{Accel, Arch, Board};

/// What a guest of ours boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestBoot {
    /// Its kernel.
    pub kernel: PathBuf,
    /// Its first root.
    pub initramfs: PathBuf,
    /// What the kernel is told.
    pub line: String,
    /// The partition of its disk that is the root; `None`: the disk is.
    pub partition: Option<u32>,
}

/// What a machine runs on.
#[derive(Debug, Clone)]
pub struct OnWhat {
    /// QEMU.
    pub qemu: PathBuf,
    /// Its version.
    pub version: String,
    /// Its processors.
    pub arch: Arch,
    /// Its board.
    pub board: Board,
    /// How its processors run.
    pub accel: Accel,
    /// What it boots from; `None`: by firmware from its own disk.
    pub guest: Option<GuestBoot>,
    /// What serves its shares, if not QEMU itself.
    pub virtiofsd: Option<PathBuf>,
    /// The sound server that it plays on.
    pub audio: Option<PathBuf>,
    /// The memory that it goes on from.
    pub resume: Option<PathBuf>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Whether KVM works for a guest's kernel, as it was found since this computer was booted.
#[derive(Serialize, Deserialize)]
struct Probed {
    /// QEMU and the kernel that it was tried with, and when they were last changed.
    with: String,
    /// Why it does not.
    why_not: Option<String>,
}

impl Core {
    /// What a machine runs on. What must be made first is made.
    pub fn on_what(&self, wanted: &Wanted, steps: &Steps) -> Result<OnWhat> {
        let declared = &wanted.declared;
        let arch = arch_of(wanted);
        let (qemu, version) = accel::qemu(arch).map_err(EngineError::NotNow)?;
        let board = declared.qemu.board(arch);
        let guest = self.images.boot(wanted, board, steps)?;
        let mut notes = Vec::new();
        let accel = match declared.qemu.accel {
            Some(Accel::Tcg) => {
                notes.push(
                    "its processors are emulated, as `accel` says: some ten times slower".into(),
                );
                Accel::Tcg
            }
            asked => match self.kvm(&qemu, arch, guest.as_ref(), steps)? {
                None => Accel::Kvm,
                Some(why) if asked.is_some() => {
                    return Err(EngineError::NotNow(format!("accel: {why}")));
                }
                Some(why) => {
                    notes.push(format!(
                        "its processors are emulated, some ten times slower: {why} (`accel = \"tcg\"` says that this is meant)"
                    ));
                    Accel::Tcg
                }
            },
        };
        let virtiofsd = if declared.shares.is_empty() { None } else { virtiofsd() };
        let audio = if declared.qemu.audio { Some(sound()?) } else { None };
        Ok(OnWhat {
            qemu,
            version,
            arch,
            board,
            accel,
            guest,
            virtiofsd,
            audio,
            resume: None,
            notes,
        })
    }

    /// Why KVM does not work for this kernel, if it does not: tried once a boot of this computer.
    fn kvm(
        &self,
        qemu: &Path,
        arch: Arch,
        guest: Option<&GuestBoot>,
        steps: &Steps,
    ) -> Result<Option<String>> {
        let stamp = |path: &Path| {
            let written = path.metadata().and_then(|meta| meta.modified()).ok();
            let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            format!("{} {}", path.display(), since.map_or(0, |since| since.as_nanos()))
        };
        let with = match guest {
            Some(guest) => format!("{}, {}", stamp(qemu), stamp(&guest.kernel)),
            None => stamp(qemu),
        };
        let path = self.place.probe().with_file_name(format!("kvm-{}.json", arch.name()));
        if let Ok(Some(probed)) = files::read::<Probed>(&path)
            && probed.with == with
        {
            return Ok(probed.why_not);
        }
        steps.step("see whether KVM works")?;
        let works = match guest {
            Some(guest) => accel::kvm_boots(qemu, arch, &guest.kernel, &guest.initramfs),
            None => accel::kvm(qemu, arch),
        };
        let probed = Probed { with, why_not: works.err() };
        files::make(path.parent().unwrap_or(Path::new("/")))?;
        files::write(&path, &probed, Sync::Later)?;
        Ok(probed.why_not)
    }
}

/// Whether KVM works, as the last machine that wanted it found since this computer was booted; `None` if none did. `runtime`
/// is the engine's.
pub fn kvm_as_tried(runtime: &Path, arch: Arch) -> Option<std::result::Result<(), String>> {
    let path = runtime.join(format!("kvm-{}.json", arch.name()));
    let probed = files::read::<Probed>(&path).ok()??;
    Some(probed.why_not.map_or(Ok(()), Err))
}

/// A machine's processors.
pub fn arch_of(wanted: &Wanted) -> Arch {
    wanted.declared.qemu.arch.unwrap_or(Arch::of_host())
}

/// The program that serves shares four times as fast as QEMU itself, where it is.
pub fn virtiofsd() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/libexec", "/usr/lib/qemu", "/usr/local/bin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join("virtiofsd"))
        .find(|path| path.is_file())
}

/// The sound server of whoever runs this.
fn sound() -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let socket = runtime.map(|folder| folder.join("pulse/native"));
    socket.filter(|socket| socket.exists()).ok_or_else(|| {
        EngineError::NotNow(
            "audio: there is no PulseAudio (or PipeWire) of yours: log in where there is one, or leave `audio` out".into(),
        )
    })
}
