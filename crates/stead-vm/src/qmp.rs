//! QEMU's monitor, spoken over a stream: commands one at a time, events as they come.
//!
//! The protocol: <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use crate::control::send;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long QEMU may take to answer a command before it is taken to hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why QEMU did not do something.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// It said so.
    #[error("QEMU refuses {command}: {why}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        why: String,
    },
    /// It ended, or closed its monitor.
    #[error("QEMU has ended")]
    Gone,
    /// It does not answer.
    #[error("QEMU does not answer {0}: it hangs, or the disk does")]
    Silent(String),
}

/// What happened, unasked.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// `SHUTDOWN`, `RESET`, `MIGRATION`, …
    pub event: String,
    /// More about it.
    #[serde(default)]
    pub data: Value,
}

/// One line of QEMU's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Event(Event),
    Return {
        #[serde(rename = "return")]
        value: Value,
    },
    Error {
        error: Refusal,
    },
    Other(#[allow(dead_code)] Value),
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

/// A monitor.
pub struct Qmp {
    stream: UnixStream,
    answers: Receiver<Result<Value, String>>,
    /// Answers that nobody waits for any more: they come in the order of the commands.
    late: u32,
}

impl Qmp {
    /// Greets QEMU at the other end. Each event is given to `events`, and `None` at the end.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn greet(
        stream: UnixStream,
        events: impl Fn(Option<Event>) + Send + 'static,
    ) -> Result<Self, QmpError> {
        let (give, answers) = channel();
        let lines = BufReader::new(stream.try_clone().map_err(|_| QmpError::Gone)?);
        let reading = std::thread::Builder::new().name("qmp".into()).stack_size(256 << 10);
        reading.spawn(move || listen(lines, &give, &events)).map_err(|_| QmpError::Gone)?;
        let mut qmp = Qmp { stream, answers, late: 0 };
        qmp.ask("qmp_capabilities", &Value::Null)?;
        Ok(qmp)
    }

    /// Has QEMU do something; what it answers.
    ///
    /// # Errors
    /// If it refuses, hangs or has ended.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, QmpError> {
        self.ask_with(command, arguments, &[], PATIENCE)
    }

    /// The same of a command without arguments, of a QEMU that may hang.
    ///
    /// # Errors
    /// As [`Qmp::ask`].
    pub fn ask_within(&mut self, command: &str, limit: Duration) -> Result<Value, QmpError> {
        self.ask_with(command, &Value::Null, &[], limit)
    }

    /// Gives QEMU a file; the name by which it opens it.
    ///
    /// # Errors
    /// As [`Qmp::ask`].
    pub fn give(&mut self, file: BorrowedFd<'_>) -> Result<(u64, String), QmpError> {
        let added = self.ask_with("add-fd", &json!({}), &[file], PATIENCE)?;
        let set = added["fdset-id"].as_u64().unwrap_or_default();
        Ok((set, format!("/dev/fdset/{set}")))
    }

    /// Has QEMU open a file that it was given to be written from now on only by this descriptor, which can only be read.
    /// Whatever it has opened stays open. What it forgets keeps no lock.
    ///
    /// # Errors
    /// As [`Qmp::ask`].
    pub fn give_instead(&mut self, set: u64, file: BorrowedFd<'_>) -> Result<(), QmpError> {
        let added = self.ask_with("add-fd", &json!({ "fdset-id": set }), &[file], PATIENCE)?;
        let sets = self.ask("query-fdsets", &Value::Null)?;
        let ours = sets.as_array().into_iter().flatten().find(|of| of["fdset-id"] == set);
        let fds = ours.and_then(|of| of["fds"].as_array()).into_iter().flatten();
        for fd in fds.map(|of| &of["fd"]).filter(|fd| **fd != added["fd"]) {
            self.ask("remove-fd", &json!({ "fdset-id": set, "fd": fd }))?;
        }
        Ok(())
    }

    /// Has QEMU forget a file once it does not use it any more.
    pub fn take_back(&mut self, set: u64) {
        let _ = self.ask("remove-fd", &json!({ "fdset-id": set }));
    }

    fn ask_with(
        &mut self,
        command: &str,
        arguments: &Value,
        files: &[BorrowedFd<'_>],
        limit: Duration,
    ) -> Result<Value, QmpError> {
        let mut line = json!({ "execute": command });
        if !arguments.is_null() {
            line["arguments"] = arguments.clone();
        }
        let sent = send(&self.stream, format!("{line}\n").as_bytes(), files);
        sent.map_err(|_| QmpError::Gone)?;
        let deadline = Instant::now() + limit;
        loop {
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) if self.late > 0 => self.late -= 1,
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(why)) => {
                    return Err(QmpError::Refused { command: command.to_owned(), why });
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.late += 1;
                    return Err(QmpError::Silent(command.to_owned()));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(QmpError::Gone),
            }
        }
    }
}

fn listen(
    lines: BufReader<UnixStream>,
    answers: &Sender<Result<Value, String>>,
    events: &impl Fn(Option<Event>),
) {
    for line in lines.lines() {
        let Ok(line) = line else { break };
        let told = match serde_json::from_str(&line) {
            Ok(Said::Event(event)) => {
                events(Some(event));
                continue;
            }
            Ok(Said::Return { value }) => Ok(value),
            Ok(Said::Error { error }) => Err(error.desc),
            // Its greeting.
            Ok(Said::Other(_)) | Err(_) => continue,
        };
        if answers.send(told).is_err() {
            break;
        }
    }
    events(None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn other(says: &'static [&'static str]) -> (Qmp, Receiver<Option<Event>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut out = theirs.try_clone().unwrap();
            out.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n").unwrap();
            let mut lines = BufReader::new(theirs).lines();
            lines.next();
            out.write_all(b"{\"return\": {}}\n").unwrap();
            for said in says {
                if lines.next().is_none() {
                    return;
                }
                out.write_all(format!("{said}\n").as_bytes()).unwrap();
            }
        });
        let (give, events) = channel();
        let qmp = Qmp::greet(ours, move |event| {
            let _ = give.send(event);
        });
        (qmp.unwrap(), events)
    }

    #[test]
    fn answers_and_events_are_told_apart() {
        let (mut qmp, events) = other(&[
            "{\"timestamp\": {}, \"event\": \"STOP\"}\n{\"return\": {\"status\": \"paused\"}}",
        ]);
        let status = qmp.ask("query-status", &Value::Null).unwrap();
        assert_eq!(status["status"], "paused");
        assert_eq!(events.recv().unwrap().unwrap().event, "STOP");
    }

    #[test]
    fn an_answer_that_comes_too_late_is_no_answer_to_what_is_asked_next() {
        let (mut qmp, _events) = other(&[
            "",
            "{\"return\": {\"status\": \"late\"}}\n{\"return\": {\"status\": \"now\"}}",
        ]);
        let silent = qmp.ask_within("query-status", Duration::ZERO);
        assert!(matches!(silent, Err(QmpError::Silent(_))), "{silent:?}");
        assert_eq!(qmp.ask("query-status", &Value::Null).unwrap()["status"], "now");
    }

    #[test]
    fn a_refusal_is_told_and_an_end_is_one() {
        let (mut qmp, events) =
            other(&["{\"error\": {\"class\": \"GenericError\", \"desc\": \"no disk0\"}}"]);
        let refused = qmp.ask("blockdev-del", &json!({"node-name": "disk0"})).unwrap_err();
        assert_eq!(refused.to_string(), "QEMU refuses blockdev-del: no disk0");
        assert!(events.recv().unwrap().is_none());
        assert!(matches!(qmp.ask("quit", &Value::Null), Err(QmpError::Gone)));
    }
}
