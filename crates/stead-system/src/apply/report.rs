//! What is said of what was done: a JSON line each.

use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{self, Write};
use std::time::Instant;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How much was changed, or would be.
    pub changed: usize,
    /// How much could not be.
    pub failed: usize,
}

/// Says what is done.
pub(super) struct Report<'o> {
    out: &'o mut dyn Write,
    summary: Summary,
    check: bool,
    begun: Instant,
    /// That nobody reads it any more keeps nothing from being done to its end.
    broken: Option<io::Error>,
}

impl<'o> Report<'o> {
    pub fn new(out: &'o mut dyn Write, check: bool) -> Self {
        Report { out, summary: Summary::default(), check, begun: Instant::now(), broken: None }
    }

    /// Something is otherwise than before: `how` is `written`, `removed`, `installed`, ...
    pub fn changed(&mut self, kind: &str, what: &str, how: &str) {
        self.summary.changed += 1;
        let key = if self.check { "would" } else { "change" };
        self.line(&json!({ key: kind, "what": what, "how": how }));
    }

    /// Something could not be done.
    pub fn failed(&mut self, what: &str, why: &str) {
        self.summary.failed += 1;
        self.line(&json!({ "failed": what, "why": why }));
    }

    /// Something a person should know.
    pub fn remark(&mut self, text: &str) {
        self.line(&json!({ "remark": text }));
    }

    pub fn finish(mut self) -> io::Result<Summary> {
        let Summary { changed, failed } = self.summary;
        let seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.line(
            &json!({ "summary": { "changed": changed, "failed": failed, "seconds": seconds } }),
        );
        match self.broken {
            Some(error) => Err(error),
            None => Ok(self.summary),
        }
    }

    fn line(&mut self, value: &serde_json::Value) {
        if self.broken.is_none() {
            self.broken = writeln!(self.out, "{value}").and_then(|()| self.out.flush()).err();
        }
    }
}
