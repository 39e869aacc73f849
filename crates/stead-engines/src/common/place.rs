//! Where engines keep things.
//!
//! ```text
//! DATA/machines/NAME/ENGINE.json       what the machine was made from: it is there once this file is
//! DATA/machines/NAME/started.json      what its run.json says, while it runs: found whatever RUNTIME is
//! DATA/claims/NAME                     locked by whoever works on the machine
//! DATA/images/                         what machines are made on, made from packages
//! DATA/covers/                         layers that cover this host's secrets
//! RUNTIME/machines/NAME/               a running sandbox: run.json, net.sock; a long name is shortened
//! ```
//!
//! Of engine `sandbox`:
//!
//! ```text
//! DATA/machines/NAME/state.json        its state: which layers it consists of
//! DATA/machines/NAME/snapshots/        a file a snapshot: which layers it consists of
//! DATA/machines/NAME/persist/          folders of an ephemeral machine that survive
//! DATA/machines/NAME/disk.img          the file system of a machine whose disk is limited; mounted on disk/
//! DATA/layers/ID/{fs,work}             a layer; frozen ones are shared
//! ```
//!
//! Of engine `qemu`:
//!
//! ```text
//! DATA/machines/NAME/qemu/state.json   its state: which layers it consists of
//! DATA/machines/NAME/qemu/snapshots/   a file a snapshot, and a folder beside it if it has the memory, too
//! DATA/disks/ID/disk.qcow2             a layer; frozen ones are shared
//! ```

use super::state::Layer;
use std::path::{Path, PathBuf};

/// The longest path of a unix socket.
const LONGEST_SOCKET: usize = 107;
/// The longest name that is used as it is.
const LONGEST_NAME: usize = 24;

/// What the files of one engine are called. No two engines have one of these in common, so that neither takes what is the
/// other's for a leftover.
#[derive(Debug)]
pub struct Names {
    /// The engine.
    pub engine: &'static str,
    /// What a machine was made from, in its folder.
    pub made: &'static str,
    /// Its state.
    pub state: &'static str,
    /// Its snapshots.
    pub snapshots: &'static str,
    /// The folder of all layers.
    pub layers: &'static str,
    /// Whether a machine may have a file system of its own with layers on it.
    pub own_disks: bool,
}

/// Of engine `sandbox`.
pub const SANDBOX: Names = Names {
    engine: "sandbox",
    made: "sandbox.json",
    state: "state.json",
    snapshots: "snapshots",
    layers: "layers",
    own_disks: true,
};
/// Of engine `qemu`.
pub const QEMU: Names = Names {
    engine: "qemu",
    made: "qemu.json",
    state: "qemu/state.json",
    snapshots: "qemu/snapshots",
    layers: "disks",
    own_disks: false,
};
/// Of all engines whose machines run in sandboxes.
const ENGINES: [&Names; 2] = [&SANDBOX, &QEMU];

/// The folders of an engine.
#[derive(Debug, Clone)]
pub struct Place {
    data: PathBuf,
    runtime: PathBuf,
    names: &'static Names,
}

impl Place {
    /// Below these two.
    pub fn new(data: &Path, runtime: &Path, names: &'static Names) -> Self {
        Place { data: data.to_owned(), runtime: runtime.to_owned(), names }
    }

    /// What files are called here.
    pub fn names(&self) -> &'static Names {
        self.names
    }

    /// The same folders as each engine sees them, this one among them.
    pub fn of_all(&self) -> impl Iterator<Item = Place> {
        ENGINES.iter().map(|names| Place { names, ..self.clone() })
    }

    /// The folder of all data.
    pub fn data(&self) -> &Path {
        &self.data
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
        self.machine(name).join(self.names.made)
    }

    /// A machine's snapshots.
    pub fn snapshots(&self, name: &str) -> PathBuf {
        self.machine(name).join(self.names.snapshots)
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

    /// What engine `qemu` has of a machine besides the record of what it was made from.
    pub fn own_folder(&self, name: &str) -> PathBuf {
        self.machine(name).join("qemu")
    }

    /// What belongs to a snapshot besides the file that says that it is there: its memory.
    pub fn with_snapshot(&self, name: &str, snapshot: &str) -> PathBuf {
        self.snapshots(name).join(snapshot)
    }

    /// The state of a machine.
    pub fn state(&self, name: &str) -> PathBuf {
        self.machine(name).join(self.names.state)
    }

    /// The layers that are not on a machine's own file system.
    pub fn layers(&self) -> PathBuf {
        self.data.join(self.names.layers)
    }

    /// Where the layers are that lie on this machine's own file system, or in the common folder.
    pub fn pool(&self, disk: Option<&str>) -> PathBuf {
        match disk {
            None => self.layers(),
            Some(machine) => self.disk(machine).join("layers"),
        }
    }

    /// Where a layer lies.
    pub fn layer(&self, layer: &Layer) -> PathBuf {
        self.pool(layer.disk.as_deref()).join(&layer.id)
    }

    /// What machines are made on, made from packages.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    /// Layers that cover this host's secrets.
    pub fn covers(&self) -> PathBuf {
        self.data.join("covers")
    }

    /// The folders of all running sandboxes.
    pub fn runs(&self) -> PathBuf {
        self.runtime.join("machines")
    }

    /// The record of a sandbox that runs.
    pub fn started(&self, name: &str) -> PathBuf {
        self.machine(name).join("started.json")
    }

    /// The folder of a sandbox that is started by this program. Short whatever the name: the path of a socket in it has 107 bytes at most.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runs().join(short(name))
    }

    /// Whether that folder's path leaves room for a socket in it.
    ///
    /// # Errors
    /// What to do.
    pub fn check_run(&self, name: &str) -> Result<(), String> {
        let socket = self.run(name).join(stead_box::net::SOCKET);
        if socket.as_os_str().len() <= LONGEST_SOCKET {
            return Ok(());
        }
        Err(format!(
            "{}: the path of a socket has {LONGEST_SOCKET} bytes at most: set XDG_RUNTIME_DIR to a folder with a \
             shorter path",
            socket.display()
        ))
    }

    /// The locks of machines.
    pub fn claims(&self) -> PathBuf {
        self.data.join("claims")
    }

    /// What is locked by whoever works on a machine.
    pub fn claim(&self, name: &str) -> PathBuf {
        self.claims().join(name)
    }

    /// What the names of this place's control groups begin with: other programs of this user, or of others, have theirs
    /// beside them.
    pub fn groups(&self) -> String {
        format!("{:08x}-", hash(self.data.as_os_str().as_encoded_bytes()) >> 32)
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

/// A name of at most [`LONGEST_NAME`] bytes that no other name becomes.
fn short(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    // A dot is in no machine's name.
    let start = name.get(..10).unwrap_or("x");
    format!("{start}.{:013x}", hash(name.as_bytes()) >> 12)
}

/// FNV-1a, 64 bits: enough to keep apart the few names of one host.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_apart_and_fit() {
        let place = Place::new(Path::new("/d"), Path::new("/r"), &SANDBOX);
        let (one, other) = ("a".repeat(63), "a".repeat(62));
        assert_ne!(place.run(&one), place.run(&other));
        assert!(place.run(&one).file_name().unwrap().len() <= LONGEST_NAME);
        assert_eq!(place.run("box"), Path::new("/r/machines/box"));
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_told() {
        let runtime = |len: usize| PathBuf::from(format!("/{}", "x".repeat(len - 1)));
        let fits = LONGEST_SOCKET - "/machines/box/net.sock".len();
        assert_eq!(Place::new(Path::new("/d"), &runtime(fits), &SANDBOX).check_run("box"), Ok(()));
        let why =
            Place::new(Path::new("/d"), &runtime(fits + 1), &SANDBOX).check_run("box").unwrap_err();
        assert!(why.contains("XDG_RUNTIME_DIR"), "{why}");
    }

    #[test]
    fn two_places_have_groups_of_their_own() {
        let of = |data: &str| Place::new(Path::new(data), Path::new("/r"), &SANDBOX).groups();
        assert_ne!(of("/a"), of("/b"));
        assert_eq!(of("/a").len(), 9);
    }
}
