//! The journal of an operation that runs.

use super::{Event, EventKind, Operation, OperationStatus, Operations};
use crate::instants::instant;
use crate::steps::{Journal, Steps};
use crate::time;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A line of `ID.log`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// An operation that this program works on. Dropped without an end, it was cut short.
pub struct Recorder {
    operations: Operations,
    operation: Operation,
    /// Open, and locked, until the end.
    log: Arc<Log>,
    ended: bool,
}

/// What engines write into.
struct Log {
    /// `None` if it could not be opened: the steps are told and not kept.
    file: Option<Mutex<File>>,
    operations: Operations,
    id: String,
    machine: String,
    cancelled: watch::Receiver<bool>,
    listener: Option<Listener>,
}

/// Somebody who hears the events of one operation, each before the next, and none too many to keep.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

impl Recorder {
    pub(super) fn new(
        operations: Operations,
        operation: Operation,
        file: Option<File>,
        cancelled: watch::Receiver<bool>,
        listener: Option<Listener>,
    ) -> Self {
        let log = Log {
            file: file.map(Mutex::new),
            operations: operations.clone(),
            id: operation.id.clone(),
            machine: operation.machine.clone(),
            cancelled,
            listener,
        };
        log.tell(EventKind::Begun { kind: operation.kind });
        Recorder { operations, operation, log: Arc::new(log), ended: false }
    }

    /// The operation's id.
    pub fn id(&self) -> &str {
        &self.operation.id
    }

    /// What an engine tells its steps to.
    pub fn steps(&self) -> Steps {
        Steps::new(self.log.clone())
    }

    /// What is told the steps of taking something back: it goes on although an end was asked for.
    pub(crate) fn steps_to_the_end(&self) -> Steps {
        struct ToTheEnd(Arc<Log>);
        impl Journal for ToTheEnd {
            fn step(&self, what: &str) {
                self.0.step(what);
            }
            fn note(&self, text: &str) {
                self.0.note(text);
            }
            fn progress(&self, done: u64, total: u64) {
                self.0.progress(done, total);
            }
        }
        Steps::new(Arc::new(ToTheEnd(self.log.clone())))
    }

    /// Waits until somebody asks for an end.
    pub(crate) async fn cancelled(&self) {
        let mut cancelled = self.log.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Ends it, and returns it as it ended.
    pub fn end(mut self, status: OperationStatus) -> Operation {
        self.finish(status);
        self.operation.clone()
    }

    /// Ends one that found nothing to do: nothing of it is kept.
    pub(crate) fn end_as_nothing(mut self) {
        self.ended = true;
        self.operations.forget(&self.operation.id);
        self.log.tell(EventKind::Ended { status: OperationStatus::Done });
    }

    fn finish(&mut self, status: OperationStatus) {
        self.ended = true;
        instant();
        if status != OperationStatus::Interrupted {
            self.operation.ended = Some(time::now_ms());
        }
        self.operation.status = status.clone();
        self.operations.ended(&self.operation);
        self.log.tell(EventKind::Ended { status });
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(OperationStatus::Interrupted);
        }
    }
}

impl Log {
    fn write(&self, line: &Line) {
        let Some(file) = &self.file else { return };
        let Ok(mut bytes) = serde_json::to_vec(line) else { return };
        bytes.push(b'\n');
        // A full disk must not keep anybody from destroying what fills it.
        let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes);
    }

    fn tell(&self, what: EventKind) {
        let machine = self.machine.clone();
        let event = Event { operation: self.id.clone(), machine, what };
        if let Some(listener) = &self.listener {
            listener(event.clone());
        }
        self.operations.tell(event);
    }
}

impl Journal for Log {
    fn step(&self, what: &str) {
        instant();
        self.write(&Line { at: time::now_ms(), step: Some(what.into()), note: None });
        self.tell(EventKind::Step { what: what.into() });
        instant();
    }

    fn note(&self, text: &str) {
        self.write(&Line { at: time::now_ms(), step: None, note: Some(text.into()) });
        self.tell(EventKind::Note { text: text.into() });
    }

    fn progress(&self, done: u64, total: u64) {
        self.tell(EventKind::Progress { done, total });
    }

    fn cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }
}
