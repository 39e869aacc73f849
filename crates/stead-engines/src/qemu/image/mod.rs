//! What guests are made of: a kernel, a first root with our init, and a disk that nobody writes to.
//!
//! A base, which is the disk with its kernel, is made of Debian's packages once and kept; guests write to a layer of
//! their own above it. The initramfs is made again for other programs. A [`Guest::Light`] has no init of its own; a
//! [`Guest::Full`] is a whole Debian.

mod base;
mod bootable;
pub mod cpio;
mod ext4;
mod initramfs;
mod iso;
mod kernel;
mod lean;
pub mod masked;
mod modules;
mod recipe;
pub mod seed;
mod unpack;

pub use crate::debian::{ImageError, Tools};
pub use stead_file::declared::{Arch, Guest};

use self::base::Base;
use self::recipe::Recipe;
use crate::debian;
use std::path::{Path, PathBuf};

/// What a guest is to be made of.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The image: `debian/12`.
    pub name: &'a str,
    /// For which kind of guest.
    pub guest: Guest,
    /// For which processor.
    pub arch: Arch,
}

/// The programs of ours that every guest gets, made for its processor.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `stead-vm`.
    pub vm: PathBuf,
    /// `stead-hold`.
    pub hold: PathBuf,
}

/// What a guest is started with. Nobody may write to any of it.
#[derive(Debug, Clone)]
pub struct GuestFiles {
    /// The kernel for q35: unpacked, because that boots seconds earlier where the processor is emulated.
    pub kernel_q35: PathBuf,
    /// The kernel for microvm, unpacked too. It takes `pic=off,pit=off`, because nobody sets up the old interrupt
    /// controller before it and its first interrupt would be a division by zero; and `-bios qboot.rom`, because with
    /// the other firmware the end of the initramfs is put over the tables of ACPI.
    pub kernel_microvm: PathBuf,
    /// The same kernel as Debian has it, which unpacks itself; for machines that cannot start the other.
    pub kernel_packed: PathBuf,
    /// The first root.
    pub initramfs: PathBuf,
    /// The disk that guests have a layer above, in format raw.
    pub base: PathBuf,
    /// What of the disk is the root: all of it, or the partition with this number, which is the last.
    pub partition: Option<u32>,
    /// The release of the kernel.
    pub release: String,
}

/// What the guest is started with, made first if it is not there: some minutes for a base. `progress` gets a line for
/// each step. Blocks; may be called by several at once.
///
/// # Errors
/// If it is not there and cannot be made. Nothing is left but what the next call removes.
pub fn ensure(
    images: &Path,
    request: &Request,
    programs: &Programs,
    progress: &dyn Fn(&str),
) -> Result<GuestFiles, ImageError> {
    ensure_with(images, request, programs, progress, &Tools::of_host())
}

/// [`ensure`] with other tools than the host's.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_with(
    images: &Path,
    request: &Request,
    programs: &Programs,
    progress: &dyn Fn(&str),
    tools: &Tools,
) -> Result<GuestFiles, ImageError> {
    let (recipe, base) = plan(images, request)?;
    base.ensure(&recipe, progress, tools)?;
    let facts = base.facts()?;
    let folder = base.folder();
    let initramfs = initramfs::ensure(&base, programs, progress)?;
    Ok(GuestFiles {
        kernel_q35: folder.join(base::UNPACKED),
        kernel_microvm: folder.join(base::UNPACKED),
        kernel_packed: folder.join(base::KERNEL),
        initramfs,
        base: folder.join(base::DISK),
        partition: facts.partition,
        release: facts.release,
    })
}

/// Whether it is there, or what it is made with; nothing is made.
///
/// # Errors
/// As [`ensure`] would fail before it begins.
pub fn check(images: &Path, request: &Request) -> Result<(), ImageError> {
    check_with(images, request, &Tools::of_host())
}

/// [`check`] with other tools than the host's.
///
/// # Errors
/// As [`check`].
pub fn check_with(images: &Path, request: &Request, tools: &Tools) -> Result<(), ImageError> {
    let (recipe, base) = plan(images, request)?;
    if base.there() { Ok(()) } else { recipe.check(tools) }
}

/// How a base is made, and where it is.
fn plan<'a>(images: &Path, request: &Request<'a>) -> Result<(Recipe<'a>, Base), ImageError> {
    let Some((number, suite)) = debian::release(request.name) else {
        return Err(ImageError::UnknownGuest(request.name.to_owned()));
    };
    let Request { name, guest, arch } = *request;
    let kind = match guest {
        Guest::Light => "light",
        Guest::Full => "full",
    };
    let key = format!("vm-debian-{number}-{kind}-{}-{}", arch.debian(), recipe::NUMBER);
    Ok((Recipe { name, suite, guest, arch }, Base { images: images.to_owned(), key }))
}
