//! Waiting for devices: the kernel tells of each that it finds.

use crate::failure::{Result, Tried, VmError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::time::{Duration, Instant};

/// How long a device may take to be there.
const LIMIT: Duration = Duration::from_mins(1);

/// What the kernel tells of devices from now on.
pub struct Arrivals(OwnedFd);

impl Arrivals {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let say = || "the kernel's word of devices";
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))
                .tried(say)?;
        bind(&socket, &SocketAddrNetlink::new(0, 1)).tried(say)?;
        Ok(Arrivals(socket))
    }

    /// Waits until `find` finds what is looked for; `what` it is, is said if it does not come.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = find() {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(VmError::refused(format!("{what} did not appear in {LIMIT:?}")));
            }
            // Should the kernel drop word of something, it is looked for again.
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&second));
            let mut word = [0; 8192];
            while recv(&self.0, &mut word[..], RecvFlags::DONTWAIT).is_ok() {}
        }
    }
}
