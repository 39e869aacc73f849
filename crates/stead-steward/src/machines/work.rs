//! Work that takes time, told in lines.

use super::Machines;
use super::api::Line;
use crate::StewardError;
use serde_json::Value;
use stead_machine::operation::Event;
use tokio::sync::{broadcast, mpsc};

/// What goes on, a line at a time; the last is the result or a problem. The work is finished even if this is dropped.
pub struct Lines {
    lines: mpsc::UnboundedReceiver<Line>,
}

/// Where work tells what goes on.
#[derive(Clone)]
pub struct Tell {
    lines: mpsc::UnboundedSender<Line>,
}

impl Tell {
    /// Something happened. Nobody may be listening.
    pub fn event(&self, event: Event) {
        let _ = self.lines.send(Line::Event(event));
    }
}

impl Lines {
    /// The lines of this work; with them go the events of all operations on these machines meanwhile.
    pub fn of<W, F>(machines: &Machines, names: Vec<String>, work: W) -> Self
    where
        W: FnOnce(Tell) -> F + Send + 'static,
        F: Future<Output = Result<Value, StewardError>> + Send + 'static,
    {
        let (tell, lines) = mpsc::unbounded_channel();
        let mut events = machines.manager.operations().listen();
        let tell = Tell { lines: tell };
        tokio::spawn(async move {
            let work = work(tell.clone());
            tokio::pin!(work);
            let result = loop {
                tokio::select! {
                    result = &mut work => break result,
                    event = events.recv() => pass_on(&tell, &names, event),
                }
            };
            while let Ok(event) = events.try_recv() {
                pass_on(&tell, &names, Ok(event));
            }
            let last = match result {
                Ok(done) => Line::Done { done },
                Err(e) => Line::Problem { problem: e.problem() },
            };
            let _ = tell.lines.send(last);
        });
        Lines { lines }
    }

    /// The events of all operations, until nobody reads them or the steward ends.
    pub fn of_everything(machines: &Machines) -> Self {
        let (tell, lines) = mpsc::unbounded_channel();
        let mut events = machines.manager.operations().listen();
        let steward = machines.steward.clone();
        tokio::spawn(async move {
            let ended = steward.stopped();
            tokio::pin!(ended);
            loop {
                let event = tokio::select! {
                    () = &mut ended => return,
                    () = tell.closed() => return,
                    event = events.recv() => event,
                };
                match event {
                    Ok(event) => drop(tell.send(Line::Event(event))),
                    // Whoever listens asks how it is now after any event.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Lines { lines }
    }

    /// The next line; `None` after the last.
    pub async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }
}

/// A listener that lags misses how far something is, not what comes of it.
fn pass_on(tell: &Tell, names: &[String], event: Result<Event, broadcast::error::RecvError>) {
    if let Ok(event) = event
        && names.contains(&event.machine)
    {
        tell.event(event);
    }
}
