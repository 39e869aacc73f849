//! What engines have in common whose machines run in sandboxes of `stead-box`: who works on a machine, whether it runs,
//! and states as stacks of layers. What a layer is, each engine says by a [`store::Kind`].

pub mod bounded;
pub mod claim;
pub mod files;
pub mod ground;
mod halt;
mod limits;
mod look;
pub mod made;
mod moves;
mod peers;
pub mod place;
pub mod running;
pub mod snapshots;
pub mod state;
pub mod still;
pub mod stopping;
pub mod store;
mod sweep;

pub use ground::{Ground, Standing};
