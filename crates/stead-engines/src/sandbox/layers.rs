//! Layers of this engine: folders, which the kernel's overlay stacks.

use crate::common::files;
use crate::common::place::{Names, Place, SANDBOX};
use crate::common::state::{self, Frozen, Layer, Part};
use crate::common::store::{self, Kind};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use stead_machine::EngineError;

/// What is under all layers: an image by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `host`, or one made of packages.
    pub image: String,
}

/// A state of this engine.
pub type State = state::State<Image>;
/// All of them.
pub type Store<'a> = store::Store<'a, Folders>;

/// States as stacks of folders.
pub struct Folders;

impl Kind for Folders {
    type Base = Image;
    /// The machine on whose own file system the layer is to lie.
    type Ask<'a> = Option<&'a str>;
    const NAMES: &'static Names = &SANDBOX;
    /// The kernel's overlay takes 500.
    const DEEPEST: usize = 400;

    fn disk(ask: Option<&str>) -> Option<String> {
        ask.map(Into::into)
    }

    fn fill(
        place: &Place,
        layer: &Layer,
        _: &Frozen<Image>,
        _: Part,
        _: Option<&str>,
    ) -> Result<(), EngineError> {
        for (part, mode) in [("fs", 0o755), ("work", 0o700)] {
            let part = place.layer(layer).join(part);
            files::make(&part)?;
            std::fs::set_permissions(&part, std::fs::Permissions::from_mode(mode))
                .map_err(files::failed(format!("open {}", part.display())))?;
        }
        Ok(())
    }

    fn is_empty(place: &Place, layer: &Layer) -> Result<bool, EngineError> {
        let folder = place.layer(layer).join("fs");
        let mut entries = std::fs::read_dir(&folder)
            .map_err(files::failed(format!("read {}", folder.display())))?;
        Ok(entries.next().is_none())
    }

    /// Modes in it are part of what it holds.
    fn seal(_: &Place, _: &Layer) -> Result<(), EngineError> {
        Ok(())
    }
}
