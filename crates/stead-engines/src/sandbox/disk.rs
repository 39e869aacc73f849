//! The file system of a machine whose disk is limited: a sparse file on this host, mounted while it is in use.

use crate::common::bounded::Run;
use crate::common::claim::Claim;
use crate::common::files::{self, failed};
use crate::common::place::Place;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use stead_machine::EngineError;

/// Less than this is no file system worth having.
pub const LEAST: u64 = 16 << 20;
/// How long mounting may take.
const MOUNTING: Duration = Duration::from_mins(1);
/// How long checking, growing or making a file system may take.
const WORKING: Duration = Duration::from_hours(1);

/// Makes it if it is not there, grows it if it is smaller, mounts it if it is not mounted. Nobody may be using it, unless
/// it is there and has this size.
///
/// # Errors
/// If it cannot be had, or would have to shrink.
pub fn ensure(place: &Place, name: &str, bytes: u64, claim: &Claim) -> Result<(), EngineError> {
    let image = place.disk_image(name);
    let growing = growing(place, name);
    files::make(&place.disk(name))?;
    let size = match image.metadata() {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            make(place, name, bytes, claim)?;
            bytes
        }
        Err(e) => return Err(EngineError::Unreachable(format!("{}: {e}", image.display()))),
    };
    if size > bytes {
        return Err(EngineError::NotNow(format!(
            "disk: it has {size} bytes and cannot shrink to {bytes}: clone it into a smaller machine"
        )));
    }
    // One that was cut short has the size already, and the file system in it has not.
    if size < bytes || growing.exists() {
        release(place, name, claim)?;
        grow(&image, &growing, bytes, claim)?;
    }
    mount(place, name, claim)
}

/// Mounts the one that is there, if there is one.
///
/// # Errors
/// If it cannot be.
pub fn mount(place: &Place, name: &str, claim: &Claim) -> Result<(), EngineError> {
    let (image, folder) = (place.disk_image(name), place.disk(name));
    if !image.exists() {
        return Ok(());
    }
    files::make(&folder)?;
    if !is_mounted(place, name)? {
        let mut command = Command::new("mount");
        command.args(["-o", "loop,nosuid,nodev"]).arg(&image).arg(&folder);
        run(&mut command, "mount its disk", "mount", MOUNTING, claim, 0)?;
    }
    files::make(&folder.join("layers"))
}

/// Unmounts it; one that is not mounted is no error.
///
/// # Errors
/// If it is in use.
pub fn release(place: &Place, name: &str, claim: &Claim) -> Result<(), EngineError> {
    while is_mounted(place, name)? {
        let mut command = Command::new("umount");
        run(command.arg(place.disk(name)), "unmount its disk", "mount", MOUNTING, claim, 0)?;
    }
    Ok(())
}

/// Whether it is mounted.
///
/// # Errors
/// If that cannot be told.
pub fn is_mounted(place: &Place, name: &str) -> Result<bool, EngineError> {
    let device = |path: &Path| match path.metadata() {
        Ok(meta) => Ok(Some(meta.dev())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EngineError::Unreachable(format!("{}: {e}", path.display()))),
    };
    let inside = device(&place.disk(name))?;
    Ok(inside.is_some() && inside != device(&place.machine(name))?)
}

/// Removes it. It is not mounted.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(place: &Place, name: &str) -> Result<(), EngineError> {
    files::remove_file(&beside(place, name))?;
    files::remove_file(&growing(place, name))?;
    files::remove_file(&place.disk_image(name))?;
    files::remove(&place.disk(name))
}

fn beside(place: &Place, name: &str) -> PathBuf {
    place.disk_image(name).with_extension("next")
}

/// The mark that a file system is being made larger.
fn growing(place: &Place, name: &str) -> PathBuf {
    place.disk_image(name).with_extension("growing")
}

fn make(place: &Place, name: &str, bytes: u64, claim: &Claim) -> Result<(), EngineError> {
    let beside = beside(place, name);
    files::remove_file(&beside)?;
    let file = std::fs::File::create(&beside).map_err(failed(beside.display()))?;
    file.set_len(bytes).map_err(failed(beside.display()))?;
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-m", "1", "-E", "lazy_itable_init=1,lazy_journal_init=1"]);
    let made = run(command.arg(&beside), "make its disk", "e2fsprogs", WORKING, claim, 0);
    made.inspect_err(|_| drop(files::remove_file(&beside)))?;
    let image = place.disk_image(name);
    std::fs::rename(&beside, &image).map_err(failed(image.display()))
}

fn grow(image: &Path, growing: &Path, bytes: u64, claim: &Claim) -> Result<(), EngineError> {
    std::fs::write(growing, "").map_err(failed(growing.display()))?;
    let mut check = Command::new("e2fsck");
    // 1: what was wrong is mended.
    run(check.args(["-f", "-p"]).arg(image), "check its disk", "e2fsprogs", WORKING, claim, 1)?;
    std::fs::OpenOptions::new()
        .write(true)
        .open(image)
        .and_then(|file| file.set_len(bytes))
        .map_err(failed(image.display()))?;
    let mut resize = Command::new("resize2fs");
    run(resize.arg(image), "grow its disk", "e2fsprogs", WORKING, claim, 0)?;
    files::remove_file(growing)
}

fn run(
    command: &mut Command,
    what: &str,
    package: &str,
    limit: Duration,
    claim: &Claim,
    worst: i32,
) -> Result<(), EngineError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = Run {
        what,
        claim: Some(claim),
        input: None,
        limit: Some(limit),
        // A file system that is being changed is not left half way.
        killable: false,
        package: Some(package),
    }
    .output(command)?;
    if output.status.code().is_some_and(|code| code <= worst) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::Failed(format!("{what}: {program}: {}", said.trim())))
}
