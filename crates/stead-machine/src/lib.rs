//! What a machine is, whatever it runs on.
//!
//! [`engine::Engine`] is what every engine can be asked; [`model`] what it answers; [`steps`] how work on a machine is
//! followed. [`records`] is what Stead knows of its machines, [`operation`] what was done to them and what was cut
//! short, [`system`] what they were brought to, [`plan`] what is to be done, and [`manager`] the one place through which everything changes. [`vm`] is what
//! engines of virtual machines have in common. This crate knows no engine and no transport.

pub mod engine;
mod error;
pub mod files;
mod instants;
mod lock;
pub mod manager;
pub mod model;
pub mod operation;
pub mod plan;
pub mod records;
pub mod steps;
pub mod system;
mod time;
pub mod vm;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "simple")]
pub mod hostile;
#[cfg(feature = "simple")]
pub mod simple;

pub use engine::{Engine, EngineError};
pub use error::Error;
pub use instants::KILL_AT_STEP;
pub use manager::Manager;
pub use operation::{Operation, Operations};
pub use plan::Plan;
pub use records::{Record, Records};
pub use steps::Steps;
