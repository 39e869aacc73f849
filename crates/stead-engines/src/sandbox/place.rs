//! Where the engine keeps things.
//!
//! ```text
//! DATA/machines/NAME/sandbox.json      what the machine was made from: it is there once this file is
//! DATA/machines/NAME/snapshots/        a file a snapshot: which layers it consists of
//! DATA/machines/NAME/persist/          folders of an ephemeral machine that survive
//! DATA/machines/NAME/disk.img          the file system of a machine whose disk is limited; mounted on disk/
//! DATA/states/NAME.json                a state: its layers
//! DATA/layers/ID/{fs,work}             a layer; frozen ones are shared
//! DATA/images/                         root file systems made from packages
//! DATA/covers/                         layers that cover this host's secrets
//! RUNTIME/machines/NAME/               a running sandbox: run.json, net.sock
//! ```

use std::path::{Path, PathBuf};

/// The folders of the engine.
#[derive(Debug, Clone)]
pub struct Place {
    data: PathBuf,
    runtime: PathBuf,
}

impl Place {
    /// Below these two.
    pub fn new(data: &Path, runtime: &Path) -> Self {
        Place { data: data.to_owned(), runtime: runtime.to_owned() }
    }

    /// The folder above all machines.
    pub fn machines(&self) -> PathBuf {
        self.data.join("machines")
    }

    /// A machine's folder.
    pub fn machine(&self, name: &str) -> PathBuf {
        self.machines().join(name)
    }

    /// What a machine was made from.
    pub fn made(&self, name: &str) -> PathBuf {
        self.machine(name).join("sandbox.json")
    }

    /// A machine's snapshots.
    pub fn snapshots(&self, name: &str) -> PathBuf {
        self.machine(name).join("snapshots")
    }

    /// Where the folders of an ephemeral machine lie that survive.
    pub fn persist(&self, name: &str) -> PathBuf {
        self.machine(name).join("persist")
    }

    /// A machine's own file system, as a file.
    pub fn disk_image(&self, name: &str) -> PathBuf {
        self.machine(name).join("disk.img")
    }

    /// Where that file system is mounted.
    pub fn disk(&self, name: &str) -> PathBuf {
        self.machine(name).join("disk")
    }

    /// All states.
    pub fn states(&self) -> PathBuf {
        self.data.join("states")
    }

    /// A state.
    pub fn state(&self, name: &str) -> PathBuf {
        self.states().join(format!("{name}.json"))
    }

    /// The layers that are not on a machine's own file system.
    pub fn layers(&self) -> PathBuf {
        self.data.join("layers")
    }

    /// Root file systems made from packages.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    /// Layers that cover this host's secrets.
    pub fn covers(&self) -> PathBuf {
        self.data.join("covers")
    }

    /// The folder of a running sandbox.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runtime.join("machines").join(name)
    }

    /// Whether limits hold on this host, as it was found since it was booted: the runtime folder goes with a reboot.
    pub fn probe(&self) -> PathBuf {
        self.runtime.join("limits.json")
    }

    /// Everything that this program keeps: never to be seen inside.
    pub fn own(&self) -> [&Path; 2] {
        [&self.data, &self.runtime]
    }
}
