//! What the tests share: one imagined computer, and texts kept beside the tests.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use stead_file::{Context, HostFacts, Size};

/// Ana's computer: 8 processors, 16 GiB, 100 GiB free.
pub fn context() -> Context<'static> {
    Context {
        path: "stead.toml".into(),
        folder: "/home/ana/farm".into(),
        home: Some("/home/ana".into()),
        engines: vec!["host", "sandbox", "qemu"],
        host: Some(HostFacts {
            memory: Size::gib(16),
            cpus: 8,
            disk_free: Size::gib(100),
            made: vec!["made".into()],
        }),
    }
}

/// A path within the workspace.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The example files, relative to their folder.
pub fn examples() -> Vec<PathBuf> {
    let root = workspace("examples");
    let mut files = Vec::new();
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let path = if path.is_dir() { path.join("stead.toml") } else { path };
        files.push(path.strip_prefix(&root).unwrap().to_owned());
    }
    files
}

/// The TOML files of a folder of tests, by name.
pub fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

/// Whether kept texts are to be written anew.
fn update() -> bool {
    std::env::var_os("STEAD_UPDATE").is_some()
}

/// Holds `found` against the text kept at `path`: the difference, if there is one.
pub fn compare(path: &Path, found: &str) -> Option<String> {
    let kept = fs::read_to_string(path).unwrap_or_default();
    if kept == found {
        return None;
    }
    if update() {
        fs::write(path, found).unwrap();
        return None;
    }
    Some(format!(
        "{}:\n--- kept\n{kept}--- found\n{found}--- (STEAD_UPDATE=1 keeps what is found)\n",
        path.display()
    ))
}
