//! The few calls for which there is no safe wrapper: transparent sockets, namespaces, Landlock, the lifeline.
#![allow(unsafe_code)]

use rustix::thread::UnshareFlags;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Moves the calling thread into namespaces of its own.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only user and network namespaces are asked for; file descriptors stay shared.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Takes the descriptor with this number, if it is open. Call it once, before any thread is started.
pub fn take_fd(number: i32) -> Option<OwnedFd> {
    // SAFETY: the caller started us with this descriptor and nobody else in this program uses it.
    unsafe {
        if libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) == -1 {
            return None;
        }
        Some(OwnedFd::from_raw_fd(number))
    }
}

/// Keeps all threads on one heap: a second one costs more than it saves here.
pub fn one_heap() {
    // SAFETY: mallopt only sets a number.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory that was freed back to the kernel.
pub fn trim_memory() {
    // SAFETY: malloc_trim touches only the allocator's own free lists.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets a socket stand for addresses that are not this host's.
pub fn set_transparent(socket: impl AsFd) -> io::Result<()> {
    set_ip_flag(socket, libc::IP_TRANSPARENT)
}

/// Has a datagram socket tell where each datagram was sent to.
pub fn tell_destination(socket: impl AsFd) -> io::Result<()> {
    set_ip_flag(socket, libc::IP_RECVORIGDSTADDR)
}

fn set_ip_flag(socket: impl AsFd, flag: i32) -> io::Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the value lives through the call and its size is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            flag,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        )
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A datagram that somebody sent somewhere.
pub struct Datagram {
    /// How many bytes of the buffer it takes.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Where it was to go.
    pub to: SocketAddrV4,
}

/// Takes the next datagram of a socket that [`tell_destination`] was called on. `None`: it did not say where to.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    #[repr(align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    // SAFETY: every pointer in the message refers to a local that outlives the call, with its size; the control
    // messages are walked by the macros made for it and read unaligned.
    unsafe {
        let mut from: libc::sockaddr_in = std::mem::zeroed();
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        let len = libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        if len == -1 {
            return Err(io::Error::last_os_error());
        }
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::IPPROTO_IP
                && (*header).cmsg_type == libc::IP_ORIGDSTADDR
            {
                let to: libc::sockaddr_in =
                    libc::CMSG_DATA(header).cast::<libc::sockaddr_in>().read_unaligned();
                return Ok(Some(Datagram { len: len as usize, from: plain(from), to: plain(to) }));
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        Ok(None)
    }
}

fn plain(address: libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(
        Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
        u16::from_be(address.sin_port),
    )
}

/// Makes `device`, `/dev/net/tun` just opened, a tap with this name in the network namespace of the calling thread: frames
/// with the header of virtio before them. The number of its interface.
pub fn make_tap(device: &OwnedFd, name: &str) -> io::Result<u32> {
    // SAFETY: an ifreq of zeroes is valid; the name is shorter than its place and ends with a zero.
    let index = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = *from as libc::c_char;
        }
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        if libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) == -1 {
            return Err(io::Error::last_os_error());
        }
        libc::if_nametoindex(request.ifr_name.as_ptr())
    };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}

const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Every right to files that the first Landlock knew.
const ALL_FILES: u64 = (1 << 13) - 1;

#[repr(C)]
struct Ruleset {
    files: u64,
    ports: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Closes the file system for this thread and all that it starts: `writable` and what is below stays open, below
/// `readable` only reading. Needs `no_new_privs`. Tells whether the kernel knows Landlock.
pub fn close_files(writable: &[&Path], readable: &[&Path]) -> io::Result<bool> {
    // SAFETY: the structures are laid out as the kernel's, live through the calls, and their sizes are given.
    unsafe {
        let version = libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, 1u32);
        if version < 1 {
            return Ok(false);
        }
        // Refer (2), truncate (3); signals and abstract sockets of others (6).
        let files = ALL_FILES
            | if version >= 2 { 1 << 13 } else { 0 }
            | if version >= 3 { 1 << 14 } else { 0 };
        let ruleset = Ruleset { files, ports: 0, scoped: if version >= 6 { 3 } else { 0 } };
        let size = match version {
            1..4 => 8usize,
            4..6 => 16,
            _ => 24,
        };
        let fd = libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0u32);
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        let rules = OwnedFd::from_raw_fd(fd as i32);
        let each = writable
            .iter()
            .map(|path| (path, files))
            .chain(readable.iter().map(|path| (path, READ_FILE | READ_DIR)));
        for (path, allowed) in each {
            let Ok(folder) = rustix::fs::open(
                *path,
                rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            ) else {
                continue;
            };
            let rule = Beneath { allowed, parent: folder.as_raw_fd() };
            if libc::syscall(
                libc::SYS_landlock_add_rule,
                rules.as_raw_fd(),
                1u32,
                &raw const rule,
                0u32,
            ) == -1
            {
                return Err(io::Error::last_os_error());
            }
        }
        if libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0u32) == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(true)
}
