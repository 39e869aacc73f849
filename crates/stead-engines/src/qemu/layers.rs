//! Layers of this engine: qcow2 files, each naming the one under it.

use super::base::{Base, protect};
use super::qcow2;
use crate::common::files::failed;
use crate::common::place::{Names, Place, QEMU};
use crate::common::state::{self, Frozen, Layer, Part};
use crate::common::store::{self, Kind};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use stead_file::declared::Format;
use stead_machine::EngineError;
use stead_machine::engine::Result;

/// A state of this engine.
pub type State = state::State<Base>;
/// One disk of a state.
pub type Stack = state::Stack<Base>;
/// Frozen layers of both disks.
pub type Parts = state::Parts<Base>;
/// All of them.
pub type Store<'a> = store::Store<'a, Disks>;

/// How large new layers are to be, at least; never smaller than what is under them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The root; 0 is as large as what is under it.
    pub root: u64,
    /// What survives of a machine whose root lies in memory.
    pub persist: u64,
}

impl Sizes {
    /// Of this part.
    pub const fn of(self, part: Part) -> u64 {
        match part {
            Part::Root => self.root,
            Part::Persist => self.persist,
        }
    }
}

/// States as stacks of qcow2 files.
pub struct Disks;

impl Kind for Disks {
    type Base = Base;
    type Ask<'a> = Sizes;
    const NAMES: &'static Names = &QEMU;
    /// What is deeper than [`super::shorten::DEEP`] is made shorter; that this was not possible is borne for a while.
    const DEEPEST: usize = 200;

    fn disk(_: Sizes) -> Option<String> {
        None
    }

    fn fill(
        place: &Place,
        layer: &Layer,
        under: &Frozen<Base>,
        part: Part,
        ask: Sizes,
    ) -> Result<()> {
        let size = size_of(place, under)?.max(ask.of(part));
        let (backing, format) = backing(place, under);
        let path = file(place, layer);
        qcow2::make(&path, size, &backing, format.name())
            .and_then(|()| File::open(place.layer(layer))?.sync_all())
            .map_err(failed(format!("make the disk {}", path.display())))
    }

    fn is_empty(place: &Place, layer: &Layer) -> Result<bool> {
        let path = file(place, layer);
        let open = open(&path)?;
        qcow2::is_empty(&open).map_err(|what| damaged(&path, &what))
    }

    fn seal(place: &Place, layer: &Layer) -> Result<()> {
        protect(&file(place, layer))
    }
}

/// The file of a layer.
pub fn file(place: &Place, layer: &Layer) -> PathBuf {
    place.layer(layer).join("disk.qcow2")
}

/// Bytes of the disk that frozen layers make.
///
/// # Errors
/// If the topmost cannot be read.
pub fn size_of(place: &Place, under: &Frozen<Base>) -> Result<u64> {
    under.layers.first().map_or(Ok(under.base.size), |layer| layer_size(place, layer))
}

/// Bytes of the disk that a layer makes.
///
/// # Errors
/// If it cannot be read.
pub fn layer_size(place: &Place, layer: &Layer) -> Result<u64> {
    let path = file(place, layer);
    qcow2::read(&open(&path)?).map(|header| header.size).map_err(|what| damaged(&path, &what))
}

/// What a layer over these names as the file under it, and how that holds a disk. Beside it or below the data folder, it is
/// named from where the layer lies, so that the folder can be moved.
pub fn backing(place: &Place, under: &Frozen<Base>) -> (PathBuf, Format) {
    if let Some(layer) = under.layers.first() {
        return (Path::new("..").join(&layer.id).join("disk.qcow2"), Format::Qcow2);
    }
    let named = Path::new("../..").join(&under.base.file);
    let whole = under.base.path(place);
    // Somebody may have put the folder of all disks elsewhere, and a link in its place.
    let layers = place.layers().canonicalize().ok();
    let from = layers.as_deref().and_then(Path::parent);
    let same = from.and_then(|from| from.join(&under.base.file).canonicalize().ok());
    let whole = whole.canonicalize().unwrap_or(whole);
    let inside = under.base.file.is_relative() && same.as_ref() == Some(&whole);
    (if inside { named } else { whole }, under.base.format)
}

/// Looks at every layer of a stack: each must be whole, name the one under it and nothing else, and the base must be as it
/// was. The topmost may have been written to by a machine that broke out of its sandbox's program: what it names, a program
/// of this host would open.
///
/// # Errors
/// What is wrong, and what to do.
pub fn verify(place: &Place, stack: &Stack) -> Result<()> {
    stack.base.guard(place)?;
    // From below: what is wrong is told of the file in which it is.
    let mut under = Frozen { base: stack.base.clone(), layers: Vec::new() };
    for layer in stack.frozen.iter().rev() {
        verify_one(place, layer, &under)?;
        let path = file(place, layer);
        let meta = path.metadata().map_err(failed(path.display()))?;
        // One that was cut short between two steps.
        if meta.permissions().mode() & 0o777 != 0o444 {
            Disks::seal(place, layer)?;
        }
        under.layers.insert(0, layer.clone());
    }
    verify_one(place, &stack.top, &under)
}

fn verify_one(place: &Place, layer: &Layer, under: &Frozen<Base>) -> Result<()> {
    let path = file(place, layer);
    let header = qcow2::read(&open(&path)?).map_err(|what| damaged(&path, &what))?;
    let folder = place.layer(layer);
    let wanted = match under.layers.first() {
        Some(layer) => file(place, layer),
        None => under.base.path(place),
    };
    let named = header.backing.map(|name| folder.join(name));
    let same = |named: &Path| match (named.canonicalize(), wanted.canonicalize()) {
        (Ok(named), Ok(wanted)) => named == wanted,
        _ => false,
    };
    if named.as_deref().is_some_and(same) {
        return Ok(());
    }
    let named = named.map_or("nothing".to_owned(), |named| named.display().to_string());
    Err(damaged(
        &path,
        &format!("it says that it lies on {named}, and it lies on {}", wanted.display()),
    ))
}

fn open(path: &Path) -> Result<File> {
    match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Err(damaged(path, "it is not there")),
        open => open.map_err(failed(format!("open {}", path.display()))),
    }
}

fn damaged(path: &Path, what: &str) -> EngineError {
    EngineError::Failed(format!(
        "the disk {} cannot be used, {what}: restore a snapshot that does not need it, or destroy the machine",
        path.display()
    ))
}
