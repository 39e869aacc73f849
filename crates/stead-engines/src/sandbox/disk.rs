//! The file system of a machine whose disk is limited: a sparse file on this host, mounted while it is in use.

use super::files::{self, failed};
use super::place::Place;
use stead_machine::EngineError;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

/// Less than this is no file system worth having.
pub const LEAST: u64 = 16 << 20;

/// Makes it if it is not there, grows it if it is smaller, mounts it if it is not mounted.
///
/// # Errors
/// If it cannot be had, or would have to shrink.
pub fn ensure(place: &Place, name: &str, bytes: u64) -> Result<(), EngineError> {
    let image = place.disk_image(name);
    let folder = place.disk(name);
    files::make(&folder)?;
    match image.metadata() {
        Err(_) => make(place, name, bytes)?,
        Ok(meta) if meta.len() > bytes => {
            return Err(EngineError::NotNow(format!(
                "disk: it has {} bytes and cannot shrink to {bytes}: clone it into a smaller machine",
                meta.len()
            )));
        }
        Ok(meta) if meta.len() < bytes => {
            release(place, name)?;
            resize(&image, bytes)?;
        }
        Ok(_) => {}
    }
    if !is_mounted(place, name)? {
        run(
            Command::new("mount").args(["-o", "loop,nosuid,nodev"]).arg(&image).arg(&folder),
            "mount its disk",
        )?;
    }
    files::make(&folder.join("layers"))
}

/// Unmounts it; one that is not mounted is no error.
///
/// # Errors
/// If it is in use.
pub fn release(place: &Place, name: &str) -> Result<(), EngineError> {
    if is_mounted(place, name)? {
        run(Command::new("umount").arg(place.disk(name)), "unmount its disk")?;
    }
    Ok(())
}

/// Whether it is mounted.
///
/// # Errors
/// If that cannot be told.
pub fn is_mounted(place: &Place, name: &str) -> Result<bool, EngineError> {
    let device = |path: &std::path::Path| match path.metadata() {
        Ok(meta) => Ok(Some(meta.dev())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EngineError::Unreachable(format!("{}: {e}", path.display()))),
    };
    let inside = device(&place.disk(name))?;
    Ok(inside.is_some() && inside != device(&place.machine(name))?)
}

fn make(place: &Place, name: &str, bytes: u64) -> Result<(), EngineError> {
    let image = place.disk_image(name);
    let beside = image.with_extension("next");
    files::remove_file(&beside)?;
    let file = std::fs::File::create(&beside).map_err(failed(beside.display()))?;
    file.set_len(bytes).map_err(failed(beside.display()))?;
    run(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"])
            .arg(&beside),
        "make its disk",
    )?;
    std::fs::rename(&beside, &image).map_err(failed(image.display()))
}

fn resize(image: &std::path::Path, bytes: u64) -> Result<(), EngineError> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(image)
        .map_err(failed(image.display()))?;
    run(Command::new("e2fsck").args(["-f", "-p"]).arg(image), "check its disk")?;
    file.set_len(bytes).map_err(failed(image.display()))?;
    run(Command::new("resize2fs").arg(image), "grow its disk")
}

fn run(command: &mut Command, what: &str) -> Result<(), EngineError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| {
        EngineError::Failed(format!("{what}: {program}: {e} (Debian: apt install e2fsprogs mount)"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::Failed(format!("{what}: {program}: {}", said.trim())))
}
