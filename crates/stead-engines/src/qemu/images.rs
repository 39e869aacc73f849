//! Where disks come from that machines are made on.

use super::ground::GuestBoot;
use super::persist;
use std::path::PathBuf;
use stead_machine::Steps;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_vm::spec::Board;

/// What a machine's disk is made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file, raw or qcow2; nobody writes to it any more.
    pub file: PathBuf,
}

/// Somebody who makes images. Paths of people's own files are none of it.
pub trait Images: Send + Sync + 'static {
    /// Which guest a machine is to have, where one image has several: `light`, `full`. A state keeps its guest.
    fn guest(&self, wanted: &Wanted) -> String;

    /// Whether the image of a machine is there, or can be made; nothing is made.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn check(&self, wanted: &Wanted) -> std::result::Result<(), String>;

    /// The image of a machine, made first if it is not there. Blocks; may be called by several at once.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn ensure(&self, wanted: &Wanted, steps: &Steps) -> Result<Image>;

    /// What a machine boots from on this board, made first if it is not there; `None` is its own disk. Blocks.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn boot(&self, wanted: &Wanted, board: Board, steps: &Steps) -> Result<Option<GuestBoot>>;

    /// Bytes that a machine's root has at least if its disk is not limited.
    fn root_size(&self, _: &Wanted) -> u64 {
        64 << 30
    }

    /// Bytes of what survives of a machine whose root lies in memory.
    fn persist_size(&self, _: &Wanted) -> u64 {
        persist::SIZE
    }
}
