//! What a session is doing, judged from everything that speaks of it.
//!
//! [`Judge`] is told of hooks, output, terminal signals, typing, looks at the process and the screen, and of the
//! end; it answers with a [`stead_wire::status::Status`] that names its source. It does no input or output and has no
//! timer: [`Judge::wants_probe`] says when the next look is worth its cost. Only [`probe`] reads `/proc`.

pub mod probe;

mod claim;
mod hooks;
mod judge;
mod looks;
mod program;
mod screen;
mod stream;

pub use judge::Judge;
pub use probe::{ProbeResult, Target, TtyModes, look};

#[cfg(test)]
mod tests;
