//! The programs that serve shares.

use super::sys;
use crate::args::share_socket;
use crate::spec::{ShareBy, Vm};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

/// Starts the program of each share that has one. Each ends when QEMU lets go of it, or with this program.
///
/// # Errors
/// Which could not be started.
pub fn serve(vm: &Vm) -> io::Result<Vec<Child>> {
    let mut serving = Vec::new();
    for (n, share) in vm.shares.iter().enumerate() {
        let ShareBy::Virtiofs(program) = &share.by else { continue };
        let socket = share_socket(&vm.folder, n);
        let _ = std::fs::remove_file(&socket);
        // It listens before the program runs, so QEMU need not wait for it.
        let listener = UnixListener::bind(&socket)?;
        let mut command = Command::new(program);
        command
            .arg(format!("--fd={}", listener.as_raw_fd()))
            .arg("--shared-dir")
            .arg(&share.path)
            // The sandbox that this runs in sees no more than it is to see.
            .args(["--sandbox", "none", "--cache", "auto", "--xattr", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if !share.writable {
            command.arg("--readonly");
        }
        sys::inherit(&mut command, &[listener.as_raw_fd()]);
        let child = command.spawn().map_err(|e| {
            io::Error::other(format!("{} for the share {}: {e}", program.display(), share.tag))
        })?;
        serving.push(child);
    }
    Ok(serving)
}
