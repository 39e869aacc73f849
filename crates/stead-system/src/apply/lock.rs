//! One switch of a machine at a time: whoever asked for the one before may be gone, and it still goes on.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

/// Where nothing is left after a restart, when no switch goes on either. Only root makes files there.
const PATH: &str = "/run/stead-system.lock";

/// Waits until no other switch of this machine goes on; says so first if it has to. The lock goes with the file.
pub(super) fn taken(waits: impl FnOnce()) -> Result<File, String> {
    let open = || -> std::io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(PATH)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits();
                file.lock()?;
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
        Ok(file)
    };
    open().map_err(|e| format!("{PATH} cannot be locked: {e}"))
}
