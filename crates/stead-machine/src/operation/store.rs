//! Operations on disk.

use super::recorder::{Line, Listener, Recorder};
use super::{Event, Kind, Operation, OperationStatus, StepRecord};
use crate::files::Sync;
use crate::lock::{lock_file, try_lock};
use crate::{Error, files, records, time};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// How many that have ended are kept. Those that were cut short are kept until they are finished or undone.
const KEPT: usize = 200;

/// How many events a listener may be behind before it misses some.
const BEHIND: usize = 4096;

/// The operations of one data folder. Cheap to clone.
#[derive(Clone)]
pub struct Operations(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Operation>>,
    running: Mutex<BTreeMap<String, watch::Sender<bool>>>,
    events: broadcast::Sender<Event>,
}

impl Operations {
    /// Those below `operations` of this data folder. Those that were cut short are put down as such.
    ///
    /// # Errors
    /// If the folder cannot be made or read. A file in it that cannot be is passed over.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let folder = data.join("operations");
        files::make_folder(&folder)?;
        let operations = Operations(Arc::new(Shared {
            folder,
            known: Mutex::default(),
            running: Mutex::default(),
            events: broadcast::channel(BEHIND).0,
        }));
        operations.refresh()?;
        Ok(operations)
    }

    /// Reads the folder again: what other programs did, and which of it was cut short.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn refresh(&self) -> Result<(), Error> {
        let io = |e: std::io::Error| Error::io("read", &self.0.folder, &e);
        let mut there = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(&self.0.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(id) = name.strip_suffix(".json") {
                there.insert(id.to_owned());
            } else if let Some(id) = name.strip_suffix(".log")
                && !self.path(id, "json").exists()
            {
                self.remove_lone_log(id)?;
            }
        }
        for id in &there {
            let ended = |o: &Operation| {
                matches!(o.status, OperationStatus::Done | OperationStatus::Undone)
                    || matches!(o.status, OperationStatus::Failed(_))
            };
            if self.known().get(id).is_some_and(ended) || self.running().contains_key(id) {
                continue;
            }
            let Some(mut operation) = self.read(id) else { continue };
            if operation.status == OperationStatus::Running && !self.is_held(id) {
                // It may have ended between the two looks.
                let Some(again) = self.read(id) else { continue };
                operation = again;
                if operation.status == OperationStatus::Running {
                    operation.status = OperationStatus::Interrupted;
                    self.write(&operation)?;
                }
            }
            self.known().insert(id.clone(), operation);
        }
        let running = self.running();
        self.known().retain(|id, _| there.contains(id) || running.contains_key(id));
        Ok(())
    }

    /// Every operation without its steps, oldest first.
    pub fn list(&self) -> Vec<Operation> {
        self.known().values().cloned().collect()
    }

    /// Those that were cut short and neither finished nor undone since, oldest first.
    pub fn interrupted(&self) -> Vec<Operation> {
        let interrupted = |o: &&Operation| o.status == OperationStatus::Interrupted;
        self.known().values().filter(interrupted).cloned().collect()
    }

    /// One operation with its steps.
    pub fn get(&self, id: &str) -> Option<Operation> {
        let mut operation = self.known().get(id).cloned().or_else(|| self.read(id))?;
        operation.steps = self.steps(id);
        Some(operation)
    }

    /// What happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Asks an operation of this program to end. Whether there is one.
    pub fn cancel(&self, id: &str) -> bool {
        self.running().get(id).is_some_and(|cancel| {
            cancel.send_replace(true);
            true
        })
    }

    /// Begins an operation.
    ///
    /// # Errors
    /// If it cannot be written. One that makes room ([`Kind::Destroy`], [`Kind::RemoveSnapshot`]) runs without a log where
    /// there is no room for one.
    pub fn begin(&self, kind: Kind, machine: &str, owner: Option<&str>) -> Result<Recorder, Error> {
        self.begin_heard(kind, machine, owner, None)
    }

    pub(crate) fn begin_heard(
        &self,
        kind: Kind,
        machine: &str,
        owner: Option<&str>,
        listener: Option<Listener>,
    ) -> Result<Recorder, Error> {
        let random = records::random_id()?;
        let started = time::now_ms();
        let operation = Operation {
            id: format!("{started:012x}-{}", &random[..8]),
            kind,
            machine: machine.into(),
            owner: owner.map(Into::into),
            started,
            ended: None,
            status: OperationStatus::Running,
            steps: Vec::new(),
        };
        let id = operation.id.clone();
        let (cancel, cancelled) = watch::channel(false);
        // Before the file is there: a refresh meanwhile leaves it alone.
        self.running().insert(id.clone(), cancel);
        let file = match self.start_log(&operation) {
            Ok(file) => Some(file),
            Err(Error::Io { full: true, .. })
                if matches!(kind, Kind::Destroy | Kind::RemoveSnapshot) =>
            {
                None
            }
            Err(e) => {
                self.running().remove(&id);
                return Err(e);
            }
        };
        self.known().insert(id, operation.clone());
        Ok(Recorder::new(self.clone(), operation, file, cancelled, listener))
    }

    /// Puts down that operations that were cut short are settled. Those of level-triggered kinds on this machine, and
    /// the one named.
    pub(crate) fn settle(&self, machine: &str, named: Option<&str>, status: &OperationStatus) {
        for mut operation in self.interrupted() {
            let level = matches!(
                operation.kind,
                Kind::Create
                    | Kind::Change
                    | Kind::Start
                    | Kind::Stop
                    | Kind::Restart
                    | Kind::Finish
                    | Kind::Destroy
            );
            if named == Some(&operation.id)
                || (named.is_none() && level && operation.machine == machine)
            {
                operation.status = status.clone();
                operation.ended = Some(time::now_ms());
                self.ended(&operation);
            }
        }
    }

    pub(super) fn ended(&self, operation: &Operation) {
        // On a full disk the end is not kept, and the operation counts as cut short: asking again does no harm.
        let _ = self.write(operation);
        self.known().insert(operation.id.clone(), operation.clone());
        self.running().remove(&operation.id);
        self.retain();
    }

    /// Removes one that has ended, with its log.
    pub(super) fn forget(&self, id: &str) {
        self.known().remove(id);
        self.running().remove(id);
        self.remove_files(id);
    }

    fn remove_files(&self, id: &str) {
        // The log last: one without the other is taken away by the next look.
        let _ = files::remove(&self.path(id, "json"));
        let _ = files::remove(&self.path(id, "log"));
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listens: nobody is told.
        let _ = self.0.events.send(event);
    }

    /// Removes the oldest that have ended.
    fn retain(&self) {
        let mut known = self.known();
        let old: Vec<String> = known
            .values()
            .filter(|o| o.ended.is_some())
            .map(|o| o.id.clone())
            .rev()
            .skip(KEPT)
            .collect();
        for id in old {
            known.remove(&id);
            self.remove_files(&id);
        }
    }

    fn start_log(&self, operation: &Operation) -> Result<std::fs::File, Error> {
        let path = self.path(&operation.id, "log");
        let file = lock_file(&path)?;
        if let Err(e) = self.write(operation) {
            let _ = files::remove(&path);
            return Err(e);
        }
        Ok(file)
    }

    /// Removes the log of one that was begun and killed before it said what it is: nothing was done.
    fn remove_lone_log(&self, id: &str) -> Result<(), Error> {
        let path = self.path(id, "log");
        let Ok(log) = std::fs::File::open(&path) else { return Ok(()) };
        // While it is locked, nobody begins with it.
        if try_lock(&log) && !self.path(id, "json").exists() {
            files::remove(&path)?;
        }
        Ok(())
    }

    /// Whether somebody works on it.
    fn is_held(&self, id: &str) -> bool {
        match std::fs::File::open(self.path(id, "log")) {
            Ok(file) => !try_lock(&file),
            Err(e) => e.kind() != std::io::ErrorKind::NotFound,
        }
    }

    fn write(&self, operation: &Operation) -> Result<(), Error> {
        let path = self.path(&operation.id, "json");
        let bytes = serde_json::to_vec(&Operation { steps: Vec::new(), ..operation.clone() })
            .map_err(|e| Error::io("write", &path, &e.into()))?;
        files::replace(&path, &bytes, Sync::Later)
    }

    fn read(&self, id: &str) -> Option<Operation> {
        let bytes = std::fs::read(self.path(id, "json")).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|o: &Operation| o.id == id)
    }

    /// The steps of a log. A last line that was cut short is passed over.
    fn steps(&self, id: &str) -> Vec<StepRecord> {
        let log = std::fs::read_to_string(self.path(id, "log")).unwrap_or_default();
        let mut steps: Vec<StepRecord> = Vec::new();
        for line in log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            match (line.step, line.note, steps.last_mut()) {
                (Some(what), ..) => steps.push(StepRecord { at: line.at, what, notes: Vec::new() }),
                (None, Some(note), Some(step)) => step.notes.push(note),
                (None, Some(note), None) => {
                    steps.push(StepRecord { at: line.at, what: "begin".into(), notes: vec![note] });
                }
                (None, None, _) => {}
            }
        }
        steps
    }

    fn path(&self, id: &str, suffix: &str) -> PathBuf {
        self.0.folder.join(format!("{id}.{suffix}"))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Operation>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, watch::Sender<bool>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
