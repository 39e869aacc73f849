//! Limits of memory, processors and processes, by cgroup v1 or v2, verified after they are set.
//!
//! Each controller is taken from whichever hierarchy this host has it on; hosts with both kinds at once are usual
//! enough. Our groups are `stead/NAME` below the group that was delegated to us, or below the root of the hierarchy
//! when we are root and nothing was delegated.
//!
//! A limit is believed only after it was read back ([`Group::make`]), after the process is seen in the group
//! ([`verify`]), and once per boot after a process really ran into it ([`probe()`]).

mod end;
mod hand;
mod hierarchy;
mod limit;
mod probe;
mod seats;
mod usage;

pub use end::{can_freeze, folders, freeze, leftovers, remove, thaw};
pub use hand::{habitable, hand_over};
pub use hierarchy::Hierarchies;
pub use probe::{Probe, probe};
pub(crate) use seats::{inside, net};
pub use usage::{Usage, usage};

use crate::spec::Limits;
use hierarchy::Hierarchy;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that holds our groups, in each hierarchy.
const OURS: &str = "stead";

/// Why a limit is not in force.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A name that cannot be a folder's.
    #[error(
        "`{0}` cannot be the name of a cgroup: use letters, digits, `-`, `_` and `.`, and no leading dot"
    )]
    Name(String),
    /// A limit was asked for and nothing here can keep it.
    #[error("a limit of {limit} was asked for, but {why}; {todo}, or remove the limit")]
    Cannot {
        /// Which limit.
        limit: &'static str,
        /// What is in the way.
        why: String,
        /// What to do.
        todo: &'static str,
    },
    /// The kernel refused a value.
    #[error("cannot write `{value}` to {path}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel took a value and has another.
    #[error("{path} was set to `{asked}` but reads `{found}`: the limit does not hold")]
    Differs {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        asked: String,
        /// What it reads.
        found: String,
    },
    /// A process is not in the group that limits it.
    #[error("process {pid} is not in the cgroup {folder} but in `{found}`: its limits do not hold")]
    Outside {
        /// The process.
        pid: i32,
        /// The group.
        folder: PathBuf,
        /// Where it is according to `/proc`.
        found: String,
    },
    /// A folder that is not one of our groups, so it is not touched.
    #[error("{0} is not a cgroup of Stead: it is left alone")]
    NotOurs(PathBuf),
    /// Processes outlive a kill.
    #[error(
        "processes {processes:?} in {path} do not end (they wait for a device?); try again later"
    )]
    Stay {
        /// The group.
        path: PathBuf,
        /// The processes.
        processes: Vec<i32>,
    },
    /// There is no way to freeze.
    #[error(
        "there is no control group that can be frozen: neither one of version 2 nor one of the v1 controller `freezer`"
    )]
    NoFreezer,
    /// Anything else that a file operation says.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What the functions here return.
pub type Result<T, E = CgroupError> = std::result::Result<T, E>;

/// The groups of one sandbox: one folder in each hierarchy that matters.
#[derive(Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
    paths: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Group {
    /// Makes the group `name` and sets its limits, each read back. Without a limit, a host on which no group can be
    /// made gives a group without folders, and a note.
    ///
    /// # Errors
    /// If a limit that was asked for cannot be set or does not read back. Nothing is left behind then.
    pub fn make(name: &str, limits: &Limits) -> Result<Self> {
        Self::make_in(&Hierarchies::of_host()?, name, limits)
    }

    /// As [`Group::make`], in hierarchies that were found before.
    ///
    /// # Errors
    /// As [`Group::make`].
    pub fn make_in(hierarchies: &Hierarchies, name: &str, limits: &Limits) -> Result<Self> {
        check_name(name)?;
        let mut group = Self { folders: Vec::new(), paths: Vec::new(), notes: Vec::new() };
        let mut places = Vec::new();
        let mut refusals = Vec::new();
        for hierarchy in hierarchies.list() {
            match hierarchy.make(name) {
                Ok(place) => {
                    group.folders.push(place.folder.clone());
                    group.paths.push((hierarchy.proc_key(), place.proc_path.clone()));
                    places.push(place);
                }
                Err(error) => refusals.push((hierarchy, error)),
            }
        }
        match limit::set(&places, &refusals, limits) {
            Ok(notes) => group.notes = notes,
            Err(error) => {
                // The first failure is the one to report; an empty group that stays is found by `leftovers`.
                let _ = group.remove();
                return Err(error);
            }
        }
        if group.folders.is_empty() {
            let why = why_not(&refusals);
            group.notes.push(format!("there are no limits and no count of what it uses: {why}"));
        }
        Ok(group)
    }

    /// Makes room below the group for everybody inside, apart from the process that serves the network.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn seat_apart(&self) -> Result<()> {
        let second = |folder: &&PathBuf| folder.join("cgroup.freeze").exists();
        self.folders.iter().find(second).map_or(Ok(()), |folder| seats::make(folder))
    }

    /// The folders that whoever enters must [`join`].
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// What does not hold although nobody asked for it.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Ends what is inside and removes the group.
    ///
    /// # Errors
    /// As [`remove`].
    pub fn remove(&self) -> Result<()> {
        remove(&self.folders)
    }
}

/// Moves the calling process, with all its threads, into the groups.
///
/// # Errors
/// If the kernel refuses one; the others may have been joined by then.
pub fn join(folders: &[PathBuf]) -> Result<()> {
    folders.iter().try_for_each(|folder| write(&folder.join("cgroup.procs"), "0"))
}

/// Checks with the kernel that `pid` is in each folder of the group.
///
/// # Errors
/// If it is in another, or has ended.
pub fn verify(pid: i32, group: &Group) -> Result<()> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = read(&path)?;
    let places = hierarchy::parse_proc_cgroup(&text);
    for ((key, wanted), folder) in group.paths.iter().zip(&group.folders) {
        let found = places.iter().find(|(k, _)| k == key).map_or("", |(_, path)| path);
        if !seats::is_inside(found, wanted) {
            return Err(CgroupError::Outside {
                pid,
                folder: folder.clone(),
                found: found.to_owned(),
            });
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(CgroupError::Name(name.to_owned()));
    }
    Ok(())
}

fn why_not(refusals: &[(&Hierarchy, CgroupError)]) -> String {
    refusals.first().map_or_else(
        || "this host has no cgroups mounted".to_owned(),
        |(_, error)| error.to_string(),
    )
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| CgroupError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, value: &str) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|source| CgroupError::Refused {
            path: path.to_owned(),
            value: value.to_owned(),
            source,
        })
}

/// The processes of one group, as numbers of our own process namespace; without those of groups below it.
fn processes(folder: &Path) -> Vec<i32> {
    fs::read_to_string(folder.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|line| line.trim().parse().ok()).collect())
        .unwrap_or_default()
}

/// `folder` and every group below it, the deepest first.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.extend(tree(&entry.path()));
            }
        }
        all.push(folder.to_owned());
    }
    all
}
