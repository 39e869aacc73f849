//! What a machine is, whatever it runs on.
//!
//! [`engine::Engine`] is what every engine can be asked; [`model`] what it answers; [`steps`] how work on a machine is
//! followed and found again after a crash. This crate knows no engine and no transport.

pub mod engine;
pub mod model;
pub mod steps;

pub use engine::{Engine, EngineError};
pub use steps::Steps;
