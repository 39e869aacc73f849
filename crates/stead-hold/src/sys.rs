//! The few calls for which there is no safe wrapper: forking into the background, a command on a
//! terminal of its own, and signals as a file descriptor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Which of the two processes returned from [`fork`].
pub enum Forked {
    /// The one that called.
    Parent,
    /// The new one.
    Child,
}

/// Forks this process.
///
/// # Errors
/// If the kernel refuses.
///
/// # Panics
/// If this process has more than one thread: the others would vanish from the child with their locks held.
pub fn fork() -> io::Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert_eq!(threads, 1, "fork with {threads} threads");
    // SAFETY: with one thread, the child inherits a consistent process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => Ok(Forked::Parent),
    }
}

/// Starts `command` as the leader of a new session whose controlling terminal is its standard input, with
/// every signal at its default and unblocked.
///
/// # Errors
/// What the kernel says, also of the exec itself.
pub fn spawn_on_terminal(command: &mut Command) -> io::Result<Child> {
    // SAFETY: only async-signal-safe calls are made between fork and exec, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(BorrowedFd::borrow_raw(0))?;
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Signals that arrive as bytes on a file descriptor instead of interrupting the program.
pub struct Signals(File);

impl Signals {
    /// Blocks `signals` for the process and takes them in here.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn take(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: the set is initialised before use, and the descriptor that the kernel returns is ours alone.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) == -1 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Signals(File::from(fd)))
    }

    /// The number of the next signal that has arrived, if any.
    pub fn next(&mut self) -> Option<i32> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        match self.0.read(&mut info) {
            Ok(n) if n == info.len() => {
                let number = u32::from_ne_bytes(info[..4].try_into().expect("four bytes"));
                Some(number as i32)
            }
            _ => None,
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
