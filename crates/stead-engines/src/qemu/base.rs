//! What disks are made on: files that nobody writes to.

use super::qcow2;
use crate::common::files;
use crate::common::place::Place;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use stead_file::declared::Format;
use stead_machine::EngineError;
use stead_machine::engine::Result;

/// What is under all layers of a stack, as it was when the first of them was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The image as it was declared: `debian/12`, or a path of a person's own.
    pub image: String,
    /// Which guest it was made for, where the same image has several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub guest: String,
    /// The file; below the data folder, from there: that may be moved as a whole.
    pub file: PathBuf,
    /// How it holds the disk.
    pub format: Format,
    /// Bytes of the disk.
    pub size: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// When the file was last written to; nanoseconds since the Unix epoch.
    pub written: i64,
}

/// Files that begin like this hold disks in ways that are not taken.
const OTHERS: [(&[u8], &str); 6] = [
    (b"KDMV", "a VMDK disk"),
    (b"vhdxfile", "a VHDX disk"),
    (b"conectix", "a VHD disk"),
    (&[0x1f, 0x8b], "compressed by gzip"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "compressed by zstd"),
];

impl Base {
    /// The base that this file is. What it is is told by how it begins, not by its name.
    ///
    /// # Errors
    /// Why it cannot be one, and what to do.
    pub fn of(
        place: &Place,
        image: &str,
        guest: &str,
        file: &Path,
    ) -> std::result::Result<Self, String> {
        let told = |what: String| format!("{}: {what}", file.display());
        let real = file.canonicalize().map_err(|e| told(e.to_string()))?;
        let ours = [place.layers(), place.machines()];
        if ours.iter().any(|ours| ours.canonicalize().is_ok_and(|ours| real.starts_with(ours))) {
            return Err(told("it is a machine's: clone that machine instead".into()));
        }
        let meta = real.metadata().map_err(|e| told(e.to_string()))?;
        if !meta.is_file() {
            return Err(told("it is no file: name the file of a disk, qcow2 or raw".into()));
        }
        let open = File::open(&real).map_err(|e| told(e.to_string()))?;
        let mut start = [0; 8];
        let got = open.read_at(&mut start, 0).map_err(|e| told(e.to_string()))?;
        let start = &start[..got];
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(told(format!(
                "it is {what}: make a qcow2 file of it (unpack it, or `qemu-img convert -O qcow2`)"
            )));
        }
        let (format, size) = if qcow2::is(start) {
            let header = qcow2::read(&open).map_err(told)?;
            if let Some(backing) = header.backing {
                return Err(told(format!(
                    "it is only what differs from {}, which the machine would then read, too: make a whole one of it \
                     (`qemu-img convert -O qcow2`)",
                    backing.display()
                )));
            }
            (Format::Qcow2, header.size)
        } else {
            (Format::Raw, meta.len())
        };
        if size == 0 {
            return Err(told("it is empty".into()));
        }
        Ok(Base {
            image: image.to_owned(),
            guest: guest.to_owned(),
            file: inward(place, &real),
            format,
            size,
            bytes: meta.len(),
            written: written(&meta),
        })
    }

    /// Where the file is.
    pub fn path(&self, place: &Place) -> PathBuf {
        place.data().join(&self.file)
    }

    /// Refuses a base that is not as it was: everything that was made on it would be garbage.
    ///
    /// # Errors
    /// What has become of it, and what to do.
    pub fn unchanged(&self, place: &Place) -> Result<()> {
        let path = self.path(place);
        let meta = path.metadata().map_err(|e| {
            EngineError::NotNow(format!(
                "{}, which its disk is made on, cannot be had ({e}): put it back where it was",
                path.display()
            ))
        })?;
        if (meta.len(), written(&meta)) == (self.bytes, self.written) {
            return Ok(());
        }
        Err(EngineError::NotNow(format!(
            "somebody wrote to {}, which its disk is made on, so that what is in it does not fit any more: put back the file \
             as it was (with its time), or destroy the machine and make it anew",
            path.display()
        )))
    }
}

impl Base {
    /// [`Base::unchanged`], and that nobody may write to a file of this engine's own. A person's is theirs.
    ///
    /// # Errors
    /// As [`Base::unchanged`].
    pub fn guard(&self, place: &Place) -> Result<()> {
        self.unchanged(place)?;
        let path = self.path(place);
        let open = path.metadata().is_ok_and(|meta| meta.mode() & 0o222 != 0);
        if self.file.is_relative() && open { protect(&path) } else { Ok(()) }
    }
}

/// Takes everybody's right to write to a file of this engine's own.
///
/// # Errors
/// If it cannot be.
pub fn protect(path: &Path) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o444))
        .map_err(files::failed(format!("protect {}", path.display())))
}

/// A path as it is written down: without the data folder, where it is below that.
fn inward(place: &Place, real: &Path) -> PathBuf {
    let data = place.data().canonicalize().unwrap_or_else(|_| place.data().to_owned());
    real.strip_prefix(data).unwrap_or(real).to_owned()
}

fn written(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}
