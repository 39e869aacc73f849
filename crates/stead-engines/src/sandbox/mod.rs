//! Engine `sandbox`: a copy-on-write clone of this computer, or a root file system made of packages, in namespaces of
//! its own.
//!
//! What runs is the work of `stead-box`; this engine keeps states and snapshots, says what a sandbox is made of, and
//! finds it again.

mod copy;
mod core;
mod diff;
mod disk;
mod engine;
mod identity;
pub mod image;
mod in_use;
mod layers;
mod life;
mod made;
mod moves;
mod snapshots;
mod sweep;

pub use made::{DATA_INSIDE, HOLD_INSIDE, RUNTIME_INSIDE};

use self::core::Core;
#[cfg(test)]
pub(crate) use self::layers::Image;
use crate::common::place::{Place, SANDBOX};
use crate::common::running;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The programs that the engine needs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `stead-box`.
    pub sandbox: PathBuf,
    /// `stead-hold`, which every machine sees at [`HOLD_INSIDE`].
    pub hold: PathBuf,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<Core>,
}

impl Sandbox {
    /// An engine that keeps its things below these two folders.
    pub fn new(data: &Path, runtime: &Path, programs: Programs) -> Self {
        Sandbox { core: Arc::new(Core::new(data, runtime, programs)) }
    }
}

/// The program `stead-box` that lies beside this one.
pub fn program() -> PathBuf {
    crate::beside("stead-box")
}

/// The command of a bridge inside a machine.
pub fn bridge() -> Vec<String> {
    [HOLD_INSIDE, "bridge", "--data", DATA_INSIDE, "--runtime", RUNTIME_INSIDE]
        .map(String::from)
        .to_vec()
}

/// Where the run folder of a machine's sandbox is unless it was started with another runtime folder, for a program that
/// enters it without asking anybody.
/// `None` if it is no machine of this engine.
pub fn run_folder(data: &Path, runtime: &Path, name: &str) -> Option<PathBuf> {
    let place = Place::new(data, runtime, &SANDBOX);
    place.made(name).exists().then(|| place.run(name))
}

/// The socket that hands out connections into a machine that runs.
pub fn socket(data: &Path, runtime: &Path, name: &str) -> PathBuf {
    let place = Place::new(data, runtime, &SANDBOX);
    let found = running::find(&place, name).ok().flatten();
    found.map_or_else(|| place.run(name), |(run, _)| run).join(stead_box::net::SOCKET)
}
