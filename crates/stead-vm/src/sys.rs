//! The few calls for which there is no safe wrapper: requests to file systems and the random pool, signals, what a child does
//! before it becomes a command.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `EXT4_IOC_RESIZE_FS`
const RESIZE_FS: libc::c_ulong = 0x4008_6610;
const FIFREEZE: libc::c_ulong = 0xc004_5877;
const FITHAW: libc::c_ulong = 0xc004_5878;
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

fn result(code: libc::c_int) -> io::Result<()> {
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the ext4 that is mounted at the folder behind `fd` have `blocks` blocks.
pub fn resize_ext4(fd: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    // SAFETY: the request reads one 64 bit number.
    result(unsafe { libc::ioctl(fd.as_raw_fd(), RESIZE_FS as _, &raw const blocks) })
}

/// Lets nobody write to the file system that the folder behind `fd` is in.
pub fn freeze(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request has no argument.
    result(unsafe { libc::ioctl(fd.as_raw_fd(), FIFREEZE as _, 0) })
}

/// Ends [`freeze`].
pub fn thaw(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request has no argument.
    result(unsafe { libc::ioctl(fd.as_raw_fd(), FITHAW as _, 0) })
}

/// Stirs `bytes` into the random pool behind `fd`, and has all that is drawn from here on depend on them.
pub fn stir(fd: BorrowedFd<'_>, bytes: &[u8; 64]) -> io::Result<()> {
    #[repr(C)]
    struct Entropy {
        bits: libc::c_int,
        size: libc::c_int,
        bytes: [u8; 64],
    }
    let entropy = Entropy { bits: 512, size: 64, bytes: *bytes };
    // SAFETY: the structure is the one that the request reads, and says its own size.
    result(unsafe { libc::ioctl(fd.as_raw_fd(), RNDADDENTROPY as _, &raw const entropy) })?;
    // SAFETY: the request has no argument. Only since the pool has begun has it any effect.
    let _ = unsafe { libc::ioctl(fd.as_raw_fd(), RNDRESEEDCRNG as _, 0) };
    Ok(())
}

/// Has the process that becomes `command` lead a session of its own, with standard stream `terminal`, if any, as its terminal,
/// and with no signal blocked.
pub fn lead_session(command: &mut Command, terminal: Option<OwnedFd>) {
    let lead = move || {
        unblock();
        rustix::process::setsid()?;
        if let Some(terminal) = &terminal {
            rustix::process::ioctl_tiocsctty(terminal)?;
        }
        Ok(())
    };
    // SAFETY: after the fork only system calls are made.
    unsafe { command.pre_exec(lead) };
}

/// Has no signal blocked in the process that becomes `command`, whatever is blocked in this one.
pub fn unblocked(command: &mut Command) {
    let unblock = || {
        unblock();
        Ok(())
    };
    // SAFETY: after the fork only a system call is made.
    unsafe { command.pre_exec(unblock) };
}

fn unblock() {
    let set = set_of(&[]);
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: the set is initialised before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

/// Blocks `signals` in this thread, so that they arrive at a [`signal_fd`].
pub fn block(signals: &[i32]) {
    let set = set_of(signals);
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// A descriptor that becomes readable when one of `signals`, which must be blocked, arrives.
pub fn signal_fd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: the set is initialised, and the descriptor that the kernel returns is ours alone.
    unsafe {
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// A signal that arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    /// Its number.
    pub number: i32,
    /// Whether the kernel sent it by itself, as a terminal does to everybody in front of it.
    pub by_kernel: bool,
}

/// The signal that has arrived at such a descriptor.
pub fn read_signal(arrivals: &OwnedFd) -> Option<Arrived> {
    let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(arrivals, &mut record).ok()?;
    // The record's first fields are the number, an error, and the sender's code.
    let field = |at: usize| record[at..].first_chunk::<4>().copied().map(i32::from_ne_bytes);
    let (number, code) = (field(0)?, field(8)?);
    (read == record.len()).then_some(Arrived { number, by_kernel: code > 0 })
}

/// Has the kernel take partition `number` of `disk` to be there, in bytes.
pub fn resize_partition(
    disk: BorrowedFd<'_>,
    number: u32,
    start: u64,
    length: u64,
) -> io::Result<()> {
    /// BLKPG, and what of it: `BLKPG_RESIZE_PARTITION`.
    const CHANGE: libc::Ioctl = 0x1269;
    const RESIZE: i32 = 3;
    #[repr(C)]
    struct Partition {
        start: i64,
        length: i64,
        number: i32,
        names: [u8; 128],
    }
    #[repr(C)]
    struct Asked {
        what: i32,
        flags: i32,
        size: i32,
        partition: *const Partition,
    }
    let partition = Partition {
        start: start as i64,
        length: length as i64,
        number: number as i32,
        names: [0; 128],
    };
    let size = size_of::<Partition>() as i32;
    let asked = Asked { what: RESIZE, flags: 0, size, partition: &raw const partition };
    // SAFETY: both are what the kernel reads for this, and live until it has.
    result(unsafe { libc::ioctl(disk.as_raw_fd(), CHANGE, &raw const asked) })
}

/// Sends `signal` to process `pid`, to everybody in its group if `group`, and to everybody but this one if `pid` is -1.
pub fn kill(pid: i32, group: bool, signal: i32) -> io::Result<()> {
    if pid == 0 || pid < -1 || pid == 1 && group {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a plain system call.
    result(unsafe { libc::kill(if group { -pid } else { pid }, signal) })
}
