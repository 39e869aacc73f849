//! A virtual machine's end of the tap device, played by a network namespace with a tap of its own: frames go from one to
//! the other as they are.

use super::world::unshare;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::UnshareFlags;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::thread::JoinHandle;
use stead_box::net::{GATEWAY, GATEWAY_MAC};

/// It plays until it is dropped.
pub struct Guest {
    pub space: File,
    /// The device of the sandbox, to write to besides.
    pub device: OwnedFd,
    stop: Option<OwnedFd>,
    pump: Option<JoinHandle<()>>,
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().expect("the program ip");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A tap device in this thread's namespace, as the sandbox's is.
#[allow(unsafe_code)]
fn tap(name: &str) -> OwnedFd {
    let device = File::options().read(true).write(true).open("/dev/net/tun").expect("tun");
    // SAFETY: the request lives through the call, and its name ends with a zero.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        assert_eq!(libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw const request), 0);
    }
    device.into()
}

/// Has the kernel hand over big segments and unfinished checksums, as QEMU does.
#[allow(unsafe_code)]
fn offload(device: &OwnedFd) {
    // SAFETY: a number is handed over.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD as _, 1u64 | 2 | 4) };
    assert_eq!(done, 0);
}

impl Guest {
    /// Takes the device, and is at `address`.
    pub fn new(device: OwnedFd, address: Ipv4Addr) -> Self {
        let (own, space) = std::thread::spawn(move || {
            unshare(UnshareFlags::NEWNET).expect("a namespace");
            let own = tap("eth0");
            ip("link set lo up");
            ip(&format!("addr add {address}/32 dev eth0"));
            ip("link set eth0 up");
            ip(&format!("route add {GATEWAY} dev eth0"));
            ip(&format!("route add default via {GATEWAY}"));
            (own, File::open("/proc/thread-self/ns/net").expect("it"))
        })
        .join()
        .expect("a guest");
        offload(&own);
        offload(&device);
        rustix::io::ioctl_fionbio(&own, true).expect("set");
        rustix::io::ioctl_fionbio(&device, true).expect("set");
        let (stopped, stop) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let theirs = device.try_clone().expect("a copy");
        let pump = std::thread::spawn(move || pump(&own, &theirs, &stopped));
        Guest { space, device, stop: Some(stop), pump: Some(pump) }
    }

    /// Sends a packet in a frame to the gateway, without any rule of a kernel's.
    pub fn packet(&self, kind: u16, packet: &[u8]) {
        self.frame(&[&GATEWAY_MAC[..], &[2, 0, 0, 0, 0, 9], &kind.to_be_bytes(), packet].concat());
    }

    /// Sends a frame.
    pub fn frame(&self, frame: &[u8]) {
        let all = [&[0u8; 10][..], frame].concat();
        rustix::io::write(&self.device, &all).expect("sent");
    }
}

fn pump(one: &OwnedFd, other: &OwnedFd, stopped: &OwnedFd) {
    let mut buffer = vec![0u8; 70_000];
    loop {
        let fds = [one.as_fd(), other.as_fd(), stopped.as_fd()];
        let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut fds, None).expect("polled");
        if !fds[2].revents().is_empty()
            || fds[..2].iter().any(|fd| fd.revents().contains(PollFlags::ERR))
        {
            return;
        }
        for (from, to) in [(one, other), (other, one)] {
            while let Ok(len) = rustix::io::read(from, &mut buffer) {
                // One that is not up takes nothing.
                let _ = rustix::io::write(to, &buffer[..len]);
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop = None;
        let pump = self.pump.take().map(JoinHandle::join);
        assert!(pump.is_none_or(|ended| ended.is_ok()));
    }
}
