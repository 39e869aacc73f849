//! All layers, and which of them belong to what.
//!
//! Keeping a state is to freeze its topmost layers and to put empty ones on them: whatever its size, that costs the same.

use super::files::{self, Sync as ToDisk};
use super::made;
use super::place::{Names, Place};
use super::state::{
    Frozen, Layer, Part, Parts, Stack, State, kept, machines_and_hidden, read_state,
};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs::File;
use std::marker::PhantomData;
use std::path::PathBuf;
use stead_machine::EngineError;

/// What an engine's states are made of.
pub trait Kind: Sized + Send + Sync + 'static {
    /// What is under all layers of a stack, as it is written down.
    type Base: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What is asked of a new layer.
    type Ask<'a>: Copy;
    /// What its files are called.
    const NAMES: &'static Names;
    /// Frozen layers that a stack may have.
    const DEEPEST: usize;

    /// The machine on whose own file system a new layer is to lie, if not in the common folder.
    fn disk(ask: Self::Ask<'_>) -> Option<String>;

    /// Makes an empty layer over others in a folder that is its own.
    ///
    /// # Errors
    /// If it cannot be made.
    fn fill(
        place: &Place,
        layer: &Layer,
        under: &Frozen<Self::Base>,
        part: Part,
        ask: Self::Ask<'_>,
    ) -> Result<(), EngineError>;

    /// Whether nothing was written to a layer.
    ///
    /// # Errors
    /// If that cannot be told.
    fn is_empty(place: &Place, layer: &Layer) -> Result<bool, EngineError>;

    /// Makes a layer such that nobody writes to it by accident.
    ///
    /// # Errors
    /// If it cannot be.
    fn seal(place: &Place, layer: &Layer) -> Result<(), EngineError>;
}

/// A state on which empty layers were put.
pub struct Raised<B> {
    /// As it was.
    pub before: State<B>,
    /// As it is.
    pub after: State<B>,
}

/// All states and layers of an engine. While one of these is held by a program, no other changes which layers belong to
/// what.
pub struct Store<'a, K> {
    place: &'a Place,
    _lock: File,
    _kind: PhantomData<K>,
}

impl<'a, K: Kind> Store<'a, K> {
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
        Ok(Store { place, _lock: file, _kind: PhantomData })
    }

    /// An empty stack over a base.
    ///
    /// # Errors
    /// If its topmost layer cannot be made.
    pub fn fresh(
        &self,
        base: K::Base,
        part: Part,
        ask: K::Ask<'_>,
    ) -> Result<Stack<K::Base>, EngineError> {
        self.on(Frozen { base, layers: Vec::new() }, part, ask)
    }

    /// A stack on layers that are frozen.
    ///
    /// # Errors
    /// If its topmost layer cannot be made.
    pub fn on(
        &self,
        under: Frozen<K::Base>,
        part: Part,
        ask: K::Ask<'_>,
    ) -> Result<Stack<K::Base>, EngineError> {
        let top = self.layer(&under, part, ask)?;
        Ok(Stack { base: under.base, frozen: under.layers, top })
    }

    /// A state on layers that are frozen.
    ///
    /// # Errors
    /// If a topmost layer cannot be made.
    pub fn over(
        &self,
        parts: Parts<K::Base>,
        ask: K::Ask<'_>,
    ) -> Result<State<K::Base>, EngineError> {
        let root = self.on(parts.root, Part::Root, ask)?;
        let persist = parts.persist.map(|under| self.on(under, Part::Persist, ask)).transpose()?;
        Ok(State { root, persist })
    }

    /// Freezes a state's topmost layers and puts empty ones on them. Nobody may be writing to them. Those in which nothing
    /// was written stay as they are. Returns all frozen layers.
    ///
    /// # Errors
    /// If there are too many layers, or one cannot be made.
    pub fn freeze(&self, name: &str, ask: K::Ask<'_>) -> Result<Parts<K::Base>, EngineError> {
        let written = |_, top: &Layer| Ok(!K::is_empty(self.place, top)?);
        let Raised { before, after } = self.raise(name, ask, written)?;
        // Not before: until then it is the one that is written to.
        for ((_, was), (_, is)) in before.stacks().zip(after.stacks()) {
            if was.top != is.top {
                K::seal(self.place, &was.top)?;
            }
        }
        Ok(after.under())
    }

    /// Puts empty layers on those topmost ones of which this is said, and writes it down.
    /// What is written to the former ones afterwards is lost to nobody: they are under the new ones.
    ///
    /// # Errors
    /// If there are too many layers, or one cannot be made.
    pub fn raise(
        &self,
        name: &str,
        ask: K::Ask<'_>,
        which: impl Fn(Part, &Layer) -> Result<bool, EngineError>,
    ) -> Result<Raised<K::Base>, EngineError> {
        let before = self.state(name)?;
        let mut after = before.clone();
        for (part, stack) in after.stacks_mut() {
            if !which(part, &stack.top)? {
                continue;
            }
            if stack.frozen.len() >= K::DEEPEST {
                return Err(EngineError::NotNow(format!(
                    "the state of \"{name}\" has {} layers, which is all that can be stacked: \
                     copy what you need into a machine of its own",
                    K::DEEPEST
                )));
            }
            let mut under = stack.under();
            under.layers.insert(0, stack.top.clone());
            *stack = self.on(under, part, ask)?;
        }
        if before != after {
            self.write(name, &after)?;
        }
        Ok(Raised { before, after })
    }

    /// Reads a state.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub fn state(&self, name: &str) -> Result<State<K::Base>, EngineError> {
        read_state(self.place, name)?
            .ok_or_else(|| EngineError::NotFound(format!("state of \"{name}\"")))
    }

    /// Writes a state down. The first of a machine is on disk soon; one that takes the place of another is at once, since
    /// what only the other refers to is removed next.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, state: &State<K::Base>) -> Result<(), EngineError> {
        let path = self.place.state(name);
        let sync = if path.exists() { ToDisk::Now } else { ToDisk::Later };
        files::write(&path, state, sync)
    }

    /// Where the layers are that lie on this machine's own file system, or in the common folder.
    pub fn pool(&self, disk: Option<&str>) -> PathBuf {
        self.place.pool(disk)
    }

    /// An empty layer that nothing refers to yet.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn layer(
        &self,
        under: &Frozen<K::Base>,
        part: Part,
        ask: K::Ask<'_>,
    ) -> Result<Layer, EngineError> {
        let layer = Layer { id: new_id()?, disk: K::disk(ask) };
        files::make(&self.place.layer(&layer))
            .and_then(|()| K::fill(self.place, &layer, under, part, ask))
            .inspect_err(|_| self.discard(&layer))?;
        Ok(layer)
    }

    /// Removes a layer that nothing refers to. That it cannot be is no reason to say more than what went wrong before: it
    /// is collected later.
    pub fn discard(&self, layer: &Layer) {
        let _ = files::remove(&self.place.layer(layer));
    }

    /// Removes the layers that no state and no snapshot refers to. If one of those cannot be read, or is not there although
    /// its machine is, nothing is removed.
    ///
    /// # Errors
    /// If something cannot be read, or not be removed.
    pub fn collect(&self) -> Result<Vec<String>, EngineError> {
        let mut used = BTreeSet::new();
        let machines = machines_and_hidden(self.place)?;
        for machine in &machines {
            match read_state::<K::Base>(self.place, machine)? {
                Some(state) => {
                    used.extend(state.stacks().flat_map(|(_, stack)| stack.layers()).cloned());
                }
                None if made::read(self.place, machine)?.is_some() => return Ok(Vec::new()),
                None => {}
            }
            for kept in kept::<K::Base>(self.place, machine)? {
                used.extend(kept.parts.layers().cloned());
            }
        }
        let mut removed = Vec::new();
        let pools = std::iter::once(None).chain(machines.iter().map(Some));
        let pools = pools.filter(|disk| disk.is_none() || K::NAMES.own_disks);
        for disk in pools {
            let pool = self.place.pool(disk.map(String::as_str));
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

/// 16 hexadecimal digits that nobody else has.
///
/// # Errors
/// If the kernel has no random numbers.
fn new_id() -> Result<String, EngineError> {
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
