//! Holds as processes: starting one, and telling whether one is alive.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use stead_hold::folder::Places;
use stead_hold::launch;
use stead_wire::session::{Run, Spec};

/// What the steward needs of holds as processes. A trait so that tests can play a hold that misbehaves.
pub trait Holds: Send + Sync + 'static {
    /// Starts a session's next life; returns once its command runs. Blocks.
    ///
    /// # Errors
    /// One line that says why it did not start.
    fn start(&self, places: &Places, spec: &Spec) -> Result<Run, String>;

    /// Whether the hold of this life runs: this very process, not another with its number.
    fn alive(&self, run: &Run) -> bool;

    /// A descriptor that becomes readable when the hold of this life ends; `None` if it has ended.
    fn watch(&self, run: &Run) -> Option<OwnedFd>;

    /// Has the hold of this life put its socket back.
    fn mend(&self, run: &Run);
}

/// The real ones.
#[derive(Debug, Clone)]
pub struct RealHolds {
    /// The `stead-hold` program.
    pub program: PathBuf,
}

impl Holds for RealHolds {
    fn start(&self, places: &Places, spec: &Spec) -> Result<Run, String> {
        launch::start(places, spec, &self.program).map_err(|e| e.to_string())
    }

    fn alive(&self, run: &Run) -> bool {
        launch::alive(run)
    }

    fn watch(&self, run: &Run) -> Option<OwnedFd> {
        launch::watch(run)
    }

    fn mend(&self, run: &Run) {
        launch::mend_socket(run);
    }
}
