//! What QEMU is told about its disks and its memory while it runs.

use crate::qmp::{Qmp, QmpError};
use crate::spec::Vm;
use serde_json::{Value, json};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long QEMU may take to tidy up after it wrote a guest's memory.
const FINISH: Duration = Duration::from_secs(10);

/// Which overlay lies on which disk: node names of QEMU. A disk begins as `diskN`; each overlay is another node.
#[derive(Debug)]
pub struct Disks {
    /// Serial, and the node that the guest writes to.
    tops: Vec<(String, String)>,
    made: u32,
}

impl Disks {
    /// As [`crate::args::arguments`] names them.
    pub fn of(vm: &Vm) -> Self {
        let tops = vm.disks.iter().enumerate();
        let tops = tops.map(|(n, disk)| (disk.serial.clone(), format!("disk{n}"))).collect();
        Disks { tops, made: 0 }
    }

    /// Puts overlays on disks, all at once. Each file is given twice, to be written and only to be read: what a later overlay
    /// lies on is opened anew to be read, and were it not, its lock would keep other machines from it.
    ///
    /// # Errors
    /// If QEMU refuses; all is as before then.
    pub fn overlay(
        &mut self,
        qmp: &mut Qmp,
        overlays: &[(&str, [BorrowedFd<'_>; 2])],
    ) -> Result<(), QmpError> {
        let mut after = self.tops.clone();
        let mut added = Vec::new();
        let mut actions = Vec::new();
        let result = overlays.iter().try_for_each(|(serial, [file, to_read])| {
            let Some((_, top)) = after.iter_mut().find(|(of, _)| of == serial) else {
                return Err(refused("an overlay", &format!("there is no disk {serial}")));
            };
            self.made += 1;
            let node = format!("over{}", self.made);
            let (set, name) = qmp.give(*file)?;
            // Without a backing file of its own: what lies under it is the node that the snapshot puts there.
            let add = json!({
                "driver": "qcow2", "node-name": node, "backing": Value::Null, "discard": "unmap",
                "file": { "driver": "file", "filename": name },
            });
            if let Err(e) = qmp.ask("blockdev-add", &add) {
                qmp.take_back(set);
                return Err(e);
            }
            added.push((node.clone(), set));
            qmp.give_instead(set, *to_read)?;
            let under = std::mem::replace(top, node.clone());
            actions.push(json!({
                "type": "blockdev-snapshot", "data": { "node": under, "overlay": node },
            }));
            Ok(())
        });
        let done = result.and_then(|()| qmp.ask("transaction", &json!({ "actions": actions })));
        match done {
            Ok(_) => {
                self.tops = after;
                Ok(())
            }
            Err(e) => {
                for (node, set) in added {
                    let _ = qmp.ask("blockdev-del", &json!({ "node-name": node }));
                    qmp.take_back(set);
                }
                Err(e)
            }
        }
    }
}

/// What this program itself refuses.
pub fn refused(what: &str, why: &str) -> QmpError {
    QmpError::Refused { command: what.to_owned(), why: why.to_owned() }
}

/// Begins to write memory and devices to a file, by the name that QEMU opens it by.
///
/// # Errors
/// If QEMU refuses.
pub fn save(qmp: &mut Qmp, file: &str) -> Result<(), QmpError> {
    prepare(qmp)?;
    qmp.ask("migrate", &json!({ "uri": format!("file:{file}") })).map(drop)
}

/// Begins to read them.
///
/// # Errors
/// If QEMU refuses.
pub fn load(qmp: &mut Qmp, file: &Path) -> Result<(), QmpError> {
    prepare(qmp)?;
    qmp.ask("migrate-incoming", &json!({ "uri": format!("file:{}", file.display()) })).map(drop)
}

/// Gives up writing memory, and has a guest go on that was to stand still meanwhile: whatever went wrong, whether it stands still
/// or is only about to.
///
/// # Errors
/// If QEMU refuses.
pub fn go_on(qmp: &mut Qmp, written: bool) -> Result<(), QmpError> {
    if !written {
        // Where nothing is being written there is nothing to give up.
        let _ = qmp.ask("migrate_cancel", &Value::Null);
    }
    // QEMU says that all is written a moment before it lets the guest go on, and has no event for that moment.
    let deadline = Instant::now() + FINISH;
    while qmp.ask("query-status", &Value::Null).is_ok_and(|now| now["status"] == "finish-migrate")
        && Instant::now() < deadline
    {
        std::thread::yield_now();
    }
    qmp.ask("cont", &Value::Null).map(drop)
}

fn prepare(qmp: &mut Qmp) -> Result<(), QmpError> {
    let capabilities: Vec<Value> = ["events", "mapped-ram"]
        .iter()
        .map(|name| json!({ "capability": name, "state": true }))
        .collect();
    qmp.ask("migrate-set-capabilities", &json!({ "capabilities": capabilities }))?;
    // The file is on this computer: as fast as it goes.
    let fast = json!({ "max-bandwidth": 0u64, "downtime-limit": 2_000_000u64 });
    qmp.ask("migrate-set-parameters", &fast).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    /// A QEMU that answers each command with one of these lines, and says at its end what was asked.
    fn qemu(answers: &'static [&'static str]) -> (Qmp, std::thread::JoinHandle<Vec<String>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let plays = std::thread::spawn(move || {
            let mut out = theirs.try_clone().unwrap();
            let mut lines = BufReader::new(theirs).lines().map_while(Result::ok);
            let mut asked = Vec::new();
            for answer in std::iter::once(&"{\"return\": {}}").chain(answers) {
                let Some(line) = lines.next() else { break };
                let line: Value = serde_json::from_str(&line).unwrap();
                asked.push(line["execute"].as_str().unwrap().to_owned());
                writeln!(out, "{answer}").unwrap();
            }
            asked
        });
        (Qmp::greet(ours, |_| {}).unwrap(), plays)
    }

    const DONE: &str = "{\"return\": {}}";
    const FINISHING: &str = "{\"return\": {\"status\": \"finish-migrate\"}}";
    const PAUSED: &str = "{\"return\": {\"status\": \"paused\"}}";
    const NO: &str = "{\"error\": {\"desc\": \"no\"}}";

    #[test]
    fn a_guest_goes_on_whatever_went_wrong() {
        let (mut qmp, plays) = qemu(&[FINISHING, PAUSED, DONE]);
        go_on(&mut qmp, true).unwrap();
        let all = ["qmp_capabilities", "query-status", "query-status", "cont"];
        assert_eq!(plays.join().unwrap(), all);
        let (mut qmp, plays) = qemu(&[NO, NO, DONE]);
        go_on(&mut qmp, false).unwrap();
        let all = ["qmp_capabilities", "migrate_cancel", "query-status", "cont"];
        assert_eq!(plays.join().unwrap(), all);
    }
}
