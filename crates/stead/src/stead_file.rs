//! The stead file as the command line reads it.

use crate::failure::Failure;
use ::stead_file::{Context, Declaration, HostFacts, Size};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A stead file that was read.
pub struct SteadFile {
    /// What it declares.
    pub declaration: Declaration,
    /// The file, absolute: whose machines they are.
    pub owner: String,
}

/// Reads the stead file at `path`, or the nearest above this folder. Warnings go to standard error.
///
/// # Errors
/// If there is none, or it has errors; all of them have been printed then.
pub fn read(path: Option<&Path>) -> Result<SteadFile, Failure> {
    match find(path)? {
        Some(path) => read_at(&path),
        None => Err(Failure::misused("there is no stead.toml here or in a folder above")
            .help("stead init writes a first one; -f names one that lies elsewhere")),
    }
}

/// Reads the stead file at `path`, or the nearest one if there is one.
///
/// # Errors
/// If it has errors.
pub fn read_if_there(path: Option<&Path>) -> Result<Option<SteadFile>, Failure> {
    find(path)?.map(|path| read_at(&path)).transpose()
}

fn find(path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    match path {
        Some(path) => Ok(Some(path.to_owned())),
        None => Ok(::stead_file::find(&std::env::current_dir()?)),
    }
}

fn read_at(path: &Path) -> Result<SteadFile, Failure> {
    let absolute = std::path::absolute(path)?;
    let bytes = bytes_of(&absolute).map_err(|e| {
        Failure::misused(format!("cannot read {}: {e}", path.display())).help(match e.kind() {
            ErrorKind::NotFound => {
                "stead init writes a first stead.toml; -f names one that lies elsewhere"
            }
            ErrorKind::IsADirectory => "-f names the file itself, for example DIR/stead.toml",
            _ => "it has to be a file that you may read",
        })
    })?;
    match ::stead_file::read_bytes(&bytes, &context(&absolute)) {
        Ok(checked) => {
            eprint!("{}", checked.warnings.plain());
            let owner = stead_machine::plan::owner(&checked.declaration, &absolute);
            let mut declaration = checked.declaration;
            settle_paths(&mut declaration);
            Ok(SteadFile { declaration, owner })
        }
        Err(report) => Err(wrong(&report)),
    }
}

/// Whether a text would be a good stead file at this path.
///
/// # Errors
/// If it has errors; all of them have been printed then.
pub fn check(text: &str, path: &Path) -> Result<(), Failure> {
    let absolute = std::path::absolute(path)?;
    match ::stead_file::read(text, &context(&absolute)) {
        Ok(checked) => eprint!("{}", checked.warnings.plain()),
        Err(report) => return Err(wrong(&report)),
    }
    Ok(())
}

fn wrong(report: &::stead_file::Report) -> Failure {
    eprint!("{}", report.plain());
    Failure::misused(report.to_string())
}

/// What reading this file needs to know.
fn context(absolute: &Path) -> Context<'static> {
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let shown = std::env::current_dir()
        .ok()
        .and_then(|here| absolute.strip_prefix(here).ok().map(ToOwned::to_owned))
        .unwrap_or_else(|| absolute.to_owned());
    Context {
        path: shown,
        folder,
        home: std::env::var_os("HOME").map(PathBuf::from),
        engines: stead_engines::NAMES.to_vec(),
        host: Some(host_facts()),
    }
}

/// The bytes of a file, no more than it takes to see that it is too large.
fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(::stead_file::MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Names the folders of this host as they really are: an engine follows no symbolic link, which somebody else may change.
/// A link in a folder that a machine may write is left as it is, and refused by the engine: the machine may have made it.
fn settle_paths(declaration: &mut Declaration) {
    let shares = declaration.machines.values().flat_map(|machine| &machine.shares);
    let written: Vec<PathBuf> = shares
        .filter(|share| share.writable)
        .filter_map(|share| share.host.canonicalize().ok())
        .collect();
    for machine in declaration.machines.values_mut() {
        let shares = machine.shares.iter_mut().map(|share| &mut share.host);
        for path in shares.chain(&mut machine.show) {
            let mut links = Vec::new();
            if let Some(real) = real(path, &mut links)
                && !links.iter().any(|at| written.iter().any(|folder| at.starts_with(folder)))
            {
                *path = real;
            }
        }
    }
}

/// What an absolute path leads to, if anything, and the folders in which the links lie that lead there.
fn real(path: &Path, links: &mut Vec<PathBuf>) -> Option<PathBuf> {
    let mut at = PathBuf::from("/");
    let mut rest: Vec<OsString> = path.iter().rev().map(ToOwned::to_owned).collect();
    while let Some(part) = rest.pop() {
        if part == "." {
            continue;
        }
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        if !next.symlink_metadata().ok()?.is_symlink() {
            at = next;
            continue;
        }
        links.push(at.clone());
        // As many as the kernel follows.
        if links.len() > 40 {
            return None;
        }
        let target = next.read_link().ok()?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        rest.extend(target.iter().rev().map(ToOwned::to_owned));
    }
    Some(at)
}

/// What this computer has. What cannot be told is left out of the comparison by being as large as can be.
fn host_facts() -> HostFacts {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(u64::MAX, |kib| kib * 1024);
    let cpus = std::thread::available_parallelism().map_or(u32::MAX, |n| n.get() as u32);
    let places = stead_hold::folder::Places::from_env().ok();
    let free = places.and_then(|places| {
        // The data folder may not be there yet: the first folder above it that is.
        let there = places.data.ancestors().find(|path| path.exists())?.to_owned();
        rustix::fs::statvfs(&there).ok()
    });
    let disk_free = free.map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let made = stead_hold::folder::Places::from_env()
        .ok()
        .and_then(|places| std::fs::read_dir(places.data.join("machines")).ok())
        .map(|entries| {
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
        })
        .unwrap_or_default();
    HostFacts { memory: Size(memory), cpus, disk_free: Size(disk_free), made }
}
