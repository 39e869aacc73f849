//! Waiting for descriptors that are no sockets: inotify queues and pidfds.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// Lets tokio wait for `fd`. Must be called inside a runtime.
///
/// # Errors
/// If the kernel cannot wait for this kind of descriptor.
pub fn waitable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always names the same open descriptor, and closes it only when the `AsyncFd` that
    // owns it is dropped, which ends the registration first.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}
