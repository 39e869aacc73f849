//! The first root of a guest: our init, the program that holds sessions, and what the kernel needs to get further.
//!
//! Its contract with the init: `/modules` has one path a line, to be loaded in this order before anything else is
//! looked for.

use super::Programs;
use super::base::{self, Base};
use super::cpio::Archive;
use super::lean;
use crate::debian::ImageError;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Folders that the init mounts something on.
const FOLDERS: [&str; 6] = ["dev", "proc", "sys", "run", "lib", "lib/modules"];
/// Another one for another way to pack the same.
const FORM: &[u8] = b"4";
/// Its length is a multiple of this. QEMU puts it at the end of a microvm's memory, at the beginning of a page, where the
/// firmware has put the ACPI tables before: in the last page, which is left alone only by a first root of whole pages. Without
/// its tables such a machine finds none of its devices.
const PAGE: u64 = 4096;
/// How many are kept of one base: other versions of the programs start guests from their own.
const KEPT: usize = 4;

/// The initramfs of a base with these programs, made first if it is not there. `base.lock` is held meanwhile.
pub fn ensure(
    base: &Base,
    programs: &Programs,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, ImageError> {
    let read = |path: &Path| fs::read(path).map_err(ImageError::at("read", path));
    let (vm, hold) = (read(&programs.vm)?, read(&programs.hold)?);
    // A base never changes once it has its name, so the name stands for all that comes from there.
    let stem = format!("{}.initramfs-", base.key);
    let path = base.images.join(format!("{stem}{}", hash([&vm, &hold, &FORM.to_vec()])));
    if path.is_file() {
        return Ok(path);
    }
    let _lock = base.hold(progress)?;
    let part = base.images.join(format!("{stem}part"));
    let write = || -> io::Result<()> {
        let file = write(BufWriter::new(File::create(&part)?), base, &vm, &hold)?;
        let file = file.into_inner()?;
        let length = file.metadata()?.len();
        file.set_len(length.next_multiple_of(PAGE))?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(ImageError::at("make", &path))?;
    forget(&base.images, &stem).map_err(ImageError::at("tidy up", &base.images))?;
    Ok(path)
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = String::new();
    for byte in &hash.finalize()[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn write<W: io::Write>(to: W, base: &Base, vm: &[u8], hold: &[u8]) -> io::Result<W> {
    let mut archive = Archive::new(to);
    for folder in FOLDERS {
        archive.folder(folder)?;
    }
    archive.console()?;
    let modules = base.folder().join(base::MODULES);
    let order = fs::read_to_string(modules.join(base::ORDER))?;
    let mut list = String::new();
    for module in order.lines() {
        let content = fs::read(modules.join(module))?;
        archive.file(&format!("lib/modules/{module}"), &lean::module(&content))?;
        let _ = writeln!(list, "/lib/modules/{module}");
    }
    archive.file("modules", list.as_bytes())?;
    archive.program("init", &lean::program(vm))?;
    archive.program("stead-hold", &lean::program(hold))?;
    archive.finish()
}

/// Removes all but the newest.
fn forget(images: &Path, stem: &str) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(images)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(stem) {
            all.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    all.sort();
    for (_, old) in all.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}
