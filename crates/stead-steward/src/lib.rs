//! The daemon's core: it finds every hold, keeps the index, starts sessions again and raises alerts.
//!
//! It knows no transport to clients: [`Steward`] is called by the gate, and its methods are the requests of
//! [`stead_wire::api`]. Nothing that a session needs to live is kept here; a steward may die at any
//! instant, and the next one finds everything in the folders and at the holds' sockets.
//!
//! Nothing here polls. A hold's connection brings its changes, inotify tells of sockets and folders that
//! come and go, a pidfd tells of a hold's end, and timers run only while something is due.

pub mod agents;
pub mod holds;
pub mod inotify;
pub mod machines;
pub mod remote;
pub mod restart;
pub mod settings;
pub mod unit;

mod create;
mod environment;
mod error;
mod finder;
mod index;
mod keeper;
mod limits;
mod link;
mod lock;
mod names;
mod notify;
mod ops;
mod orphan;
mod prepared;
mod record;
mod shared;
mod steward;
mod table;
mod waitable;
mod worktree;

pub use error::StewardError;
pub use limits::raise_file_limit;
pub use lock::Lock;
pub use stead_hold::folder::Places;
pub use steward::{Listener, Options, Steward};
