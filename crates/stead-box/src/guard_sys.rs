//! The few calls of the guards (limits, filter, cover) for which there is no safe wrapper.
#![allow(unsafe_code)]

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
        let (wait_fd, go_fd) = (wait.as_raw_fd(), go.as_raw_fd());
        // SAFETY: the child makes only system calls and allocates nothing, as is allowed after a fork of a process
        // with several threads; it never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => unsafe {
                libc::close(go_fd);
                let mut byte = 0_u8;
                let n = libc::read(wait_fd, (&raw mut byte).cast(), 1);
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
