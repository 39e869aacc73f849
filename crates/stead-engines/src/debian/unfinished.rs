use super::ImageError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Holds an image for us, once nobody else does.
///
/// # Errors
/// If the lock cannot be made.
pub fn lock(path: &Path, progress: &dyn Fn(&str)) -> Result<File, ImageError> {
    let lock = File::options().create(true).truncate(false).write(true).read(true).open(path);
    let lock = lock.map_err(ImageError::at("open", path))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        progress("somebody else is making this image; waiting for it");
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| ImageError::at("lock", path)(error.into()))?;
    }
    Ok(lock)
}

/// Removes an unfinished image.
///
/// # Errors
/// If it cannot be removed, or something is mounted in it.
pub fn discard(part: &Path) -> Result<(), ImageError> {
    let mounts = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(mounts).map_err(ImageError::at("read", mounts))?;
    let whole = fs::canonicalize(part).unwrap_or_else(|_| part.to_owned());
    // Ours are in a mount namespace of their own and die with it, so this is somebody else's.
    if mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|at| Path::new(at).starts_with(&whole))
    {
        return Err(ImageError::Mounted(part.to_owned()));
    }
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ImageError::at("remove", part)(error))
        }
        _ => Ok(()),
    }
}

/// Gives a finished image its name, once all of it is on disk.
///
/// # Errors
/// If that fails; it keeps the name of an unfinished one then.
pub fn in_place(part: &Path, image: &Path) -> Result<(), ImageError> {
    let folder = File::open(part).map_err(ImageError::at("open", part))?;
    rustix::fs::syncfs(&folder).map_err(|error| ImageError::at("write out", part)(error.into()))?;
    fs::rename(part, image).map_err(ImageError::at("put in place", image))
}
