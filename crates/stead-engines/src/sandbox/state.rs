//! States: what a machine's data consists of. The engine knows a state by the machine that it lies in; its name is the
//! manager's.
//!
//! A state is a stack of layers over a base. Only the topmost is written to; the others are frozen and never change
//! again, so that any number of states and snapshots can share them. Keeping a state is to freeze its topmost layer and
//! to put an empty one on it: whatever its size, that costs the same.

use super::files::{self, Sync};
use super::made;
use super::place::Place;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use stead_machine::EngineError;
use stead_machine::model::Snapshot;

/// Frozen layers that a state may have: the kernel's overlay takes 500.
pub const DEEPEST: usize = 400;

/// A layer: where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Layer {
    /// Its name among the layers of its disk.
    pub id: String,
    /// The machine on whose own file system it lies; `None` is the common folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The image under it.
    pub image: String,
    /// Frozen layers, topmost first.
    pub frozen: Vec<Layer>,
    /// The layer that is written to.
    pub top: Layer,
}

/// A snapshot and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What people see of it.
    pub snapshot: Snapshot,
    /// The image under it.
    pub image: String,
    /// Its layers, topmost first.
    pub layers: Vec<Layer>,
}

/// All states and layers. While one of these is held by a program, no other changes which layers belong to what.
pub struct Store<'a> {
    place: &'a Place,
    _lock: File,
}

impl<'a> Store<'a> {
    /// Waits until nobody else changes states.
    ///
    /// # Errors
    /// If the folder cannot be made or locked.
    pub fn lock(place: &'a Place) -> Result<Self, EngineError> {
        files::make(&place.layers())?;
        let path = place.layers().join(".lock");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(files::failed(format!("open {}", path.display())))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|e| files::failed(format!("lock {}", path.display()))(e.into()))?;
        Ok(Store { place, _lock: file })
    }

    /// An empty state over an image, its topmost layer on this machine's own file system or in the common folder.
    ///
    /// # Errors
    /// If the layer cannot be made.
    pub fn fresh(&self, image: &str, disk: Option<&str>) -> Result<State, EngineError> {
        Ok(State { image: image.into(), frozen: Vec::new(), top: self.layer(disk)? })
    }

    /// A state over layers that are frozen.
    ///
    /// # Errors
    /// If its topmost layer cannot be made.
    pub fn over(
        &self,
        image: &str,
        frozen: Vec<Layer>,
        disk: Option<&str>,
    ) -> Result<State, EngineError> {
        Ok(State { image: image.into(), frozen, top: self.layer(disk)? })
    }

    /// Freezes a state's topmost layer and puts an empty one on it. Nobody may be writing to it. One in which nothing
    /// was written stays as it is. Returns all frozen layers.
    ///
    /// # Errors
    /// If there are too many layers, or one cannot be made.
    pub fn freeze(&self, name: &str, disk: Option<&str>) -> Result<Vec<Layer>, EngineError> {
        let mut state = self.state(name)?;
        if is_empty(&layer_path(self.place, &state.top).join("fs"))? {
            return Ok(state.frozen);
        }
        if state.frozen.len() >= DEEPEST {
            return Err(EngineError::NotNow(format!(
                "the state of \"{name}\" has {DEEPEST} layers, which is all that can be stacked: \
                 copy what you need into a machine of its own"
            )));
        }
        let next = self.layer(disk)?;
        let frozen = std::mem::replace(&mut state.top, next);
        state.frozen.insert(0, frozen);
        self.write(name, &state)?;
        Ok(state.frozen)
    }

    /// Has a state written to the file system that its machine has now. Nobody may be writing to it.
    ///
    /// # Errors
    /// As [`Store::freeze`].
    pub fn put_on(&self, name: &str, disk: Option<&str>) -> Result<(), EngineError> {
        if self.state(name)?.top.disk.as_deref() == disk {
            return Ok(());
        }
        self.freeze(name, disk)?;
        let mut state = self.state(name)?;
        if state.top.disk.as_deref() != disk {
            state.top = self.layer(disk)?;
            self.write(name, &state)?;
        }
        Ok(())
    }

    /// Reads a state.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub fn state(&self, name: &str) -> Result<State, EngineError> {
        read_state(self.place, name)?
            .ok_or_else(|| EngineError::NotFound(format!("state of \"{name}\"")))
    }

    /// Writes a state down. The first of a machine is on disk soon; one that takes the place of another is at once, since
    /// what only the other refers to is removed next.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, state: &State) -> Result<(), EngineError> {
        let path = self.place.state(name);
        let sync = if path.exists() { Sync::Now } else { Sync::Later };
        files::write(&path, state, sync)
    }

    /// Where the layers are that lie on this machine's own file system, or in the common folder.
    pub fn pool(&self, disk: Option<&str>) -> PathBuf {
        pool_path(self.place, disk)
    }

    /// An empty layer that nothing refers to yet.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn layer(&self, disk: Option<&str>) -> Result<Layer, EngineError> {
        let layer = Layer { id: new_id()?, disk: disk.map(Into::into) };
        self.fill(&layer).inspect_err(|_| self.discard(&layer))?;
        Ok(layer)
    }

    /// Removes a layer that nothing refers to. That it cannot be is no reason to say more than what went wrong before: it
    /// is collected later.
    pub fn discard(&self, layer: &Layer) {
        let _ = files::remove(&layer_path(self.place, layer));
    }

    fn fill(&self, layer: &Layer) -> Result<(), EngineError> {
        let path = layer_path(self.place, layer);
        files::make(&path)?;
        for (part, mode) in [("fs", 0o755), ("work", 0o700)] {
            use std::os::unix::fs::PermissionsExt;
            let part = path.join(part);
            files::make(&part)?;
            std::fs::set_permissions(&part, std::fs::Permissions::from_mode(mode))
                .map_err(files::failed(format!("open {}", part.display())))?;
        }
        Ok(())
    }

    /// Removes the layers that no state and no snapshot refers to. If one of those cannot be read, or is not there although
    /// its machine is, nothing is removed.
    ///
    /// # Errors
    /// If something cannot be read, or not be removed.
    pub fn collect(&self) -> Result<Vec<String>, EngineError> {
        let mut used = BTreeSet::new();
        let machines = machines(self.place)?;
        for machine in &machines {
            match read_state(self.place, machine)? {
                Some(state) => {
                    used.extend(state.frozen);
                    used.insert(state.top);
                }
                None if made::read(self.place, machine)?.is_some() => return Ok(Vec::new()),
                None => {}
            }
            for kept in kept(self.place, machine)? {
                used.extend(kept.layers);
            }
        }
        let mut removed = Vec::new();
        let pools = std::iter::once(None).chain(machines.iter().map(Some));
        for disk in pools {
            let pool = pool_path(self.place, disk.map(String::as_str));
            for id in files::names(&pool)? {
                if id == ".lock" {
                    continue;
                }
                if id.starts_with('.') {
                    files::remove(&pool.join(id))?;
                    continue;
                }
                let layer = Layer { id: id.clone(), disk: disk.cloned() };
                if !used.contains(&layer) {
                    // Renamed first: a layer that is half removed must not look like one.
                    let going = pool.join(format!(".{id}"));
                    std::fs::rename(pool.join(&id), &going)
                        .map_err(files::failed(format!("remove the layer {id}")))?;
                    files::remove(&going)?;
                    removed.push(format!("layer {id}"));
                }
            }
        }
        Ok(removed)
    }
}

/// The names of all machines that there is anything of.
///
/// # Errors
/// If the folder cannot be read.
pub fn machines(place: &Place) -> Result<Vec<String>, EngineError> {
    let mut names = files::names(&place.machines())?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

/// Reads the state of a machine; `None` if there is none.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read_state(place: &Place, name: &str) -> Result<Option<State>, EngineError> {
    files::read(&place.state(name))
}

/// A machine's snapshots, oldest first.
///
/// # Errors
/// If one cannot be read.
pub fn kept(place: &Place, machine: &str) -> Result<Vec<Kept>, EngineError> {
    let folder = place.snapshots(machine);
    let mut all: Vec<Kept> = Vec::new();
    for name in files::names(&folder)? {
        if Path::new(&name).extension().is_some_and(|e| e == "json") {
            all.extend(files::read::<Kept>(&folder.join(name))?);
        }
    }
    all.sort_by_key(|kept| kept.snapshot.at);
    Ok(all)
}

/// Where a layer lies.
pub fn layer_path(place: &Place, layer: &Layer) -> PathBuf {
    pool_path(place, layer.disk.as_deref()).join(&layer.id)
}

fn pool_path(place: &Place, disk: Option<&str>) -> PathBuf {
    match disk {
        None => place.layers(),
        Some(machine) => place.disk(machine).join("layers"),
    }
}

fn is_empty(folder: &Path) -> Result<bool, EngineError> {
    let mut entries =
        std::fs::read_dir(folder).map_err(files::failed(format!("read {}", folder.display())))?;
    Ok(entries.next().is_none())
}

/// 16 hexadecimal digits that nobody else has.
///
/// # Errors
/// If the kernel has no random numbers.
pub fn new_id() -> Result<String, EngineError> {
    use std::fmt::Write as _;
    use std::io::Read;
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(files::failed("read /dev/urandom"))?;
    Ok(bytes.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    }))
}
