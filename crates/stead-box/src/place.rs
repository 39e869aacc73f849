//! Putting a process into the cgroups of a sandbox without waiting for the kernel.
//!
//! Writing to `cgroup.procs` makes the kernel wait for all processors (7 ms). A single thread that moves itself by
//! `tasks` does not, and a process that is made inside a version 2 group does not have to move.

use crate::cgroup;
use crate::failure::{Result, Tried};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::path::PathBuf;

/// The cgroups of a sandbox, opened by whoever may, joined by whoever shall.
pub struct Places {
    tasks: Vec<(OwnedFd, PathBuf)>,
    second: Option<(OwnedFd, PathBuf)>,
}

impl Places {
    /// Opens them, for somebody inside.
    pub fn open(folders: &[PathBuf]) -> Result<Self> {
        Self::open_these(folders.iter().map(|folder| cgroup::inside(folder)))
    }

    /// Opens them, for the process that serves the network.
    pub fn open_for_net(folders: &[PathBuf]) -> Result<Self> {
        Self::open_these(folders.iter().filter_map(|folder| cgroup::net(folder)))
    }

    fn open_these(folders: impl Iterator<Item = PathBuf>) -> Result<Self> {
        let mut places = Places { tasks: Vec::new(), second: None };
        for folder in folders {
            let tasks = folder.join("tasks");
            match open(&tasks, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(fd) => places.tasks.push((fd, tasks)),
                Err(rustix::io::Errno::NOENT) => {
                    let folder = cgroup::habitable(&folder);
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let fd = open(&folder, flags, Mode::empty()).tried(|| folder.display())?;
                    places.second = Some((fd, folder));
                }
                Err(e) => return Err(e).tried(|| tasks.display()),
            }
        }
        Ok(places)
    }

    /// The version 2 group, to make a process in.
    pub fn second(&self) -> Option<BorrowedFd<'_>> {
        self.second.as_ref().map(|(fd, _)| fd.as_fd())
    }

    /// Moves the caller, a process of one thread, into the version 1 groups.
    pub fn join_first(&self) -> Result<()> {
        for (fd, path) in &self.tasks {
            rustix::io::write(fd, b"0").tried(|| path.display())?;
        }
        Ok(())
    }
}
