//! Limits of memory, processors and processes, by cgroup v1 or v2, verified after they are set.
//!
//! A STAND-IN with the signatures that `start` and `stop` use: the version of branch `guards` replaces it.
#![allow(clippy::unnecessary_wraps, clippy::unused_self, missing_docs)]

use crate::spec::Limits;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[error("cgroup: {0}")]
pub struct CgroupError(std::io::Error);

pub struct Group(Vec<PathBuf>);

impl Group {
    pub fn make(name: &str, _limits: &Limits) -> Result<Group, CgroupError> {
        let mut made = Vec::new();
        for kind in ["memory", "pids", "unified"] {
            let folder = PathBuf::from(format!("/sys/fs/cgroup/{kind}/stead-{name}"));
            if std::fs::create_dir(&folder).is_ok() || folder.exists() {
                made.push(folder);
            }
        }
        Ok(Group(made))
    }
    pub fn folders(&self) -> &[PathBuf] {
        &self.0
    }
    pub fn notes(&self) -> &[String] {
        &[]
    }
    pub fn remove(&self) -> Result<(), CgroupError> {
        remove(&self.0)
    }
}

pub fn remove(folders: &[PathBuf]) -> Result<(), CgroupError> {
    for folder in folders {
        match std::fs::remove_dir(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(CgroupError(e)),
            _ => {}
        }
    }
    Ok(())
}

pub fn verify(_pid: i32, _group: &Group) -> Result<(), CgroupError> {
    Ok(())
}
