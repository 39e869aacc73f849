//! Root file systems for sandboxes whose base is not this host: made from a distribution's packages, once, and kept.
//!
//! An image is a folder with ids as inside (root is 0). It is made beside its place and renamed, so one that is there
//! is whole.

pub use crate::debian::{ImageError, Mirrors, Tools};

use crate::debian::{self, Job, PACKAGES};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder of the image `name` (`debian/12`) in `images`, which is made first if it is not there: some forty
/// seconds and 300 MB. `progress` gets a line for each step. Blocks; may be called by several at once.
///
/// # Errors
/// If it is not there and cannot be made. Nothing is left but a folder that the next call removes.
pub fn ensure(images: &Path, name: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, ImageError> {
    ensure_with(images, name, progress, &Tools::of_host())
}

/// [`ensure`] with other tools than the host's.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_with(
    images: &Path,
    name: &str,
    progress: &dyn Fn(&str),
    tools: &Tools,
) -> Result<PathBuf, ImageError> {
    let (number, suite) = release(name)?;
    let image = images.join(format!("debian-{number}"));
    if image.is_dir() {
        return Ok(image);
    }
    let program = maker(name, tools)?;

    // Closed to others: there are programs inside that run as root, of any age.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(images)
        .map_err(ImageError::at("make", images))?;
    let lock = debian::lock(&images.join(format!("debian-{number}.lock")), progress)?;
    if image.is_dir() {
        return Ok(image);
    }
    let part = images.join(format!("debian-{number}.part"));
    debian::discard(&part)?;
    make(&Job { name, lock: &lock, progress, tools }, &program, suite, &part)?;
    for of_host in ["etc/resolv.conf", "etc/hostname"] {
        // What was needed to make it is nothing for those who use it.
        match fs::remove_file(part.join(of_host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::at("remove", &part.join(of_host))(error));
            }
            _ => {}
        }
    }
    debian::in_place(&part, &image)?;
    Ok(image)
}

/// Whether the image `name` is there, or what it is made with; nothing is made.
///
/// # Errors
/// As [`ensure`] would fail before it begins.
pub fn check(images: &Path, name: &str) -> Result<(), ImageError> {
    check_with(images, name, &Tools::of_host())
}

/// [`check`] with other tools than the host's.
///
/// # Errors
/// As [`check`].
pub fn check_with(images: &Path, name: &str, tools: &Tools) -> Result<(), ImageError> {
    let (number, _) = release(name)?;
    if images.join(format!("debian-{number}")).is_dir() {
        return Ok(());
    }
    maker(name, tools).map(drop)
}

/// Number and name of the release that an image is made of.
fn release(name: &str) -> Result<(&'static str, &'static str), ImageError> {
    debian::release(name).ok_or_else(|| ImageError::Unknown(name.to_owned()))
}

/// The program that can make the image here.
fn maker(name: &str, tools: &Tools) -> Result<PathBuf, ImageError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ImageError::NotRoot(name.to_owned()));
    }
    let program = ["mmdebstrap", "debootstrap"].into_iter().find_map(|program| tools.find(program));
    program.ok_or_else(|| ImageError::NoProgram(name.to_owned()))
}

/// Makes the image in `part`.
fn make(job: &Job, program: &Path, suite: &str, part: &Path) -> Result<(), ImageError> {
    let mirrors = Mirrors::of(&job.tools.apt);
    let sources = mirrors.sources(suite);
    let mmdebstrap = program.ends_with("mmdebstrap");
    let mut arguments: Vec<OsString> =
        vec!["--variant=minbase".into(), format!("--include={PACKAGES}").into()];
    if mmdebstrap {
        arguments.push("--mode=root".into());
    }
    arguments.extend([suite.into(), part.into()]);
    if mmdebstrap {
        arguments.extend(sources.iter().map(OsString::from));
    } else {
        arguments.push(mirrors.main.into());
    }
    job.run(program, arguments, &[])?;
    if !mmdebstrap {
        let list = part.join("etc/apt/sources.list");
        fs::write(&list, sources.join("\n") + "\n").map_err(ImageError::at("write", &list))?;
    }
    Ok(())
}
