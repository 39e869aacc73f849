//! The few calls for which there is no safe wrapper.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The processor's time stamp counter.
#[cfg(target_arch = "x86_64")]
pub fn ticks() -> u64 {
    // SAFETY: every 64-bit PC has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Blocks signals in this thread and those that it starts; they are read from the descriptor. A program that it executes
/// has them blocked unless it is started by [`inherit`].
pub fn signals(numbers: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: a set of zeroes is valid memory for sigemptyset, which makes it a set.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for number in numbers {
            libc::sigaddset(&raw mut set, *number);
        }
        set
    };
    // SAFETY: the set lives; no old mask is asked for.
    let masked =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if masked != 0 {
        return Err(io::Error::from_raw_os_error(masked));
    }
    // SAFETY: the set lives; the descriptor is ours alone.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next signal.
pub fn next_signal(signals: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: a signalfd_siginfo of zeroes is valid, and read fills at most its size.
    unsafe {
        let mut info: libc::signalfd_siginfo = std::mem::zeroed();
        loop {
            let read = libc::read(signals.as_raw_fd(), (&raw mut info).cast(), size_of_val(&info));
            if read == -1 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return if read == size_of_val(&info) as isize {
                Ok(info.ssi_signo as i32)
            } else {
                Err(io::Error::last_os_error())
            };
        }
    }
}

/// The command inherits these descriptors under their numbers, has no signal blocked, and is killed when this thread ends.
pub fn inherit(command: &mut Command, fds: &[i32]) {
    let fds = fds.to_vec();
    let parent = std::process::id();
    // SAFETY: only calls that are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 != parent {
                return Err(io::Error::other("its keeper has ended"));
            }
            for fd in &fds {
                if libc::fcntl(*fd, libc::F_SETFD, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// Takes a descriptor that this program was started with.
pub fn take(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: only asks about it.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever started this program gave it to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
