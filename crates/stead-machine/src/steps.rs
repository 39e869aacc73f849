//! Following work on a machine.

use std::sync::Arc;

/// Somebody who is told what is about to be done, before it is done.
pub trait Journal: Send + Sync + 'static {
    /// A step begins: "mount the root".
    fn step(&self, what: &str);

    /// Something worth keeping happened within a step: "18 MiB copied".
    fn note(&self, text: &str);

    /// How far a long step is; `total` 0 if that cannot be told.
    fn progress(&self, done: u64, total: u64);

    /// Whether somebody has asked for an end. Work looks between steps.
    fn cancelled(&self) -> bool {
        false
    }
}

/// The journal of one operation, as engines see it. Cheap to clone.
#[derive(Clone)]
pub struct Steps(Arc<dyn Journal>);

impl Steps {
    /// Into this journal.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Steps(journal)
    }

    /// Into nowhere.
    pub fn none() -> Self {
        struct Nowhere;
        impl Journal for Nowhere {
            fn step(&self, _: &str) {}
            fn note(&self, _: &str) {}
            fn progress(&self, _: u64, _: u64) {}
        }
        Steps(Arc::new(Nowhere))
    }

    /// A step begins.
    ///
    /// # Errors
    /// [`crate::EngineError::Cancelled`] if an end was asked for: nothing more is to be done.
    pub fn step(&self, what: &str) -> crate::engine::Result<()> {
        self.go_on()?;
        self.0.step(what);
        Ok(())
    }

    /// Whether to go on within a long step.
    ///
    /// # Errors
    /// As [`Steps::step`].
    pub fn go_on(&self) -> crate::engine::Result<()> {
        if self.0.cancelled() { Err(crate::EngineError::Cancelled) } else { Ok(()) }
    }

    /// Something worth keeping happened.
    pub fn note(&self, text: &str) {
        self.0.note(text);
    }

    /// How far a long step is.
    pub fn progress(&self, done: u64, total: u64) {
        self.0.progress(done, total);
    }
}
