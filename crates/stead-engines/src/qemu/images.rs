//! Where disks come from that machines are made on.

use super::ground::GuestBoot;
use super::persist;
use std::path::{Path, PathBuf};
use stead_machine::Steps;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_vm::guest::config::Config;
use stead_vm::spec::Board;

/// Somebody who makes images. Paths of people's own files are none of it.
pub trait Images: Send + Sync + 'static {
    /// Which guest a machine is to have, where one image has several: `light`, `full`. A state keeps its guest.
    fn guest(&self, wanted: &Wanted) -> String;

    /// Whether the image of a machine is there, or can be made; nothing is made.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn check(&self, wanted: &Wanted) -> std::result::Result<(), String>;

    /// The file of a machine's image, raw or qcow2, made first if it is not there; nobody writes to it any more. Blocks;
    /// may be called by several at once.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn ensure(&self, wanted: &Wanted, steps: &Steps) -> Result<PathBuf>;

    /// What a machine boots from on this board, made first if it is not there; `None` is its own disk. Blocks.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn boot(&self, wanted: &Wanted, board: Board, steps: &Steps) -> Result<Option<GuestBoot>>;

    /// Writes the disk by which an image of a person's own learns who it is and gets an agent, if it has cloud-init.
    ///
    /// # Errors
    /// If it cannot be written.
    fn seed(&self, wanted: &Wanted, config: &Config, path: &Path) -> Result<()>;

    /// Bytes that a machine's root has at least if its disk is not limited.
    fn root_size(&self, _: &Wanted) -> u64 {
        64 << 30
    }

    /// Bytes of what survives of a machine whose root lies in memory.
    fn persist_size(&self, _: &Wanted) -> u64 {
        persist::SIZE
    }
}
