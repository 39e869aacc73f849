//! The few calls of the guards (limits, filter, cover) for which there is no safe wrapper.
#![allow(unsafe_code)]

use crate::filter::bpf::Instruction;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a [`Worker`] does.
#[derive(Debug, Clone, Copy)]
pub enum Task {
    /// Write to so many bytes of memory.
    Touch(usize),
    /// Have a child.
    Fork,
    /// Compute for so long.
    Burn(Duration),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did it.
    Done,
    /// The kernel said no.
    Refused,
    /// The kernel ended it.
    Killed,
    /// Anything else.
    Broken,
}

/// A small process that waits for its word to run into a limit. It dies with this value.
#[derive(Debug)]
pub struct Worker {
    pid: i32,
    go: OwnedFd,
    waited: bool,
}

impl Worker {
    /// Makes the process; it does nothing before [`Worker::run`].
    pub fn start(task: Task) -> io::Result<Self> {
        let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let wait_fd = wait.as_raw_fd();
        // SAFETY: the child makes only system calls and allocates nothing, as is allowed after a fork of a process
        // with several threads; it never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => unsafe {
                // Nothing else stays open: no lock or socket of a parent that dies, and no end of the pipes of others
                // that were made meanwhile. So it notices that death.
                libc::dup2(wait_fd, 0);
                libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0);
                let mut byte = 0_u8;
                let n = libc::read(0, (&raw mut byte).cast(), 1);
                libc::_exit(if n == 1 { perform(task) } else { 2 })
            },
            pid => Ok(Self { pid, go, waited: false }),
        }
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Moves it into cgroups.
    pub fn enter(&self, folders: &[PathBuf]) -> io::Result<()> {
        for folder in folders {
            fs::OpenOptions::new()
                .write(true)
                .open(folder.join("cgroup.procs"))?
                .write_all(self.pid.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Lets it go on and waits for its end.
    pub fn run(mut self) -> io::Result<Outcome> {
        rustix::io::write(&self.go, &[1])?;
        let status = self.wait()?;
        Ok(if libc::WIFSIGNALED(status) {
            Outcome::Killed
        } else {
            match libc::WEXITSTATUS(status) {
                0 => Outcome::Done,
                1 => Outcome::Refused,
                _ => Outcome::Broken,
            }
        })
    }

    fn wait(&mut self) -> io::Result<i32> {
        let mut status = 0;
        loop {
            // SAFETY: the number is of our own child, which nobody else waits for.
            if unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == self.pid {
                self.waited = true;
                return Ok(status);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.waited {
            // SAFETY: our own child, not waited for, so the number is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            let _ = self.wait();
        }
    }
}

/// In the child: 0 done, 1 refused.
unsafe fn perform(task: Task) -> i32 {
    // SAFETY: only system calls, on memory that this child itself mapped.
    unsafe {
        match task {
            Task::Touch(bytes) => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let at = libc::mmap(
                    std::ptr::null_mut(),
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags,
                    -1,
                    0,
                );
                if at == libc::MAP_FAILED {
                    return 1;
                }
                for offset in (0..bytes).step_by(4096) {
                    at.cast::<u8>().add(offset).write_volatile(1);
                }
                0
            }
            Task::Fork => match libc::fork() {
                -1 => 1,
                0 => libc::_exit(0),
                _ => 0,
            },
            Task::Burn(time) => {
                let start = Instant::now();
                while start.elapsed() < time {}
                0
            }
        }
    }
}

fn prctl(option: i32, argument: u64) -> io::Result<i32> {
    // SAFETY: the options used here take numbers, not addresses.
    match unsafe { libc::prctl(option, argument, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// Leaves this thread, and what it starts, no more than the capabilities whose bits are set: in its bounding set,
/// and in those that it has. Inheritable and ambient sets are emptied.
pub fn limit_capabilities(kept: u64) -> io::Result<()> {
    // The bounding set first: this needs SETPCAP, which may go later. Its end is where the kernel knows no more.
    for number in 0..64 {
        match prctl(libc::PR_CAPBSET_READ, number) {
            Ok(1) if kept & (1 << number) == 0 => drop(prctl(libc::PR_CAPBSET_DROP, number)?),
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    // SAFETY: clearing takes no address.
    if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // Version 3 of the call: two words of effective, permitted and inheritable.
    let header = [0x2008_0522_u32, 0];
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: both addresses are of arrays of the size that version 3 has.
    if unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    for (index, set) in sets.iter_mut().enumerate() {
        let kept = (kept >> (32 * index)) as u32;
        *set = [set[0] & kept, set[1] & kept, 0];
    }
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Rules out that this thread, or what it starts, gets privileges by executing a program.
pub fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Puts a filter on the system calls of this thread and what it starts.
pub fn filter_calls(program: &[Instruction]) -> io::Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the program has the kernel's layout and length, and the kernel copies it.
    match unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
    } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
