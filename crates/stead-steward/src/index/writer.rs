use super::{IndexError, Store, Transition};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use stead_hold::clock::now_ms;
use stead_wire::session::Session;
use tokio::sync::oneshot;

/// Changes that may wait for the disk; beyond this the sender waits too.
const QUEUE: usize = 1024;

/// Where to get every session as it is now, should the index have to be built again.
pub type Everything = Box<dyn Fn() -> Vec<Session> + Send>;
/// Where a message for a person goes.
pub type Tell = Box<dyn Fn(String) + Send>;

enum Change {
    Put(Box<Session>),
    Moved(Box<Transition>),
    Remove(String),
    Read { id: String, limit: u32, answer: oneshot::Sender<Vec<Transition>> },
    Check,
    Close,
}

/// The index behind a thread of its own, so that a slow disk slows nobody. Dropping it writes what waits.
#[derive(Debug)]
pub struct Index {
    changes: SyncSender<Change>,
    thread: Option<JoinHandle<()>>,
}

impl Index {
    /// Starts to write to `store`, the index at `path`; without one it is tried again at the next change.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        path: PathBuf,
        store: Option<Store>,
        everything: Everything,
        tell: Tell,
    ) -> std::io::Result<Self> {
        let (changes, queue) = sync_channel(QUEUE);
        let writer =
            Writer { stale: store.is_none(), path, store, everything, tell, silent: false };
        let thread = std::thread::Builder::new()
            .name("index".into())
            .stack_size(256 * 1024)
            .spawn(move || writer.run(&queue))?;
        Ok(Index { changes, thread: Some(thread) })
    }

    /// Writes a session as it is now.
    pub fn put(&self, session: &Session) {
        self.send(Change::Put(Box::new(session.clone())));
    }

    /// Writes a change of state.
    pub fn moved(&self, transition: Transition) {
        self.send(Change::Moved(Box::new(transition)));
    }

    /// Forgets a session.
    pub fn remove(&self, id: &str) {
        self.send(Change::Remove(id.to_owned()));
    }

    /// Looks whether the file is still in its place, and builds it again if not.
    pub fn check(&self) {
        self.send(Change::Check);
    }

    /// The newest changes of a session's state, newest first.
    pub async fn transitions(&self, id: &str, limit: u32) -> Vec<Transition> {
        let (answer, answered) = oneshot::channel();
        self.send(Change::Read { id: id.to_owned(), limit, answer });
        answered.await.unwrap_or_default()
    }

    fn send(&self, change: Change) {
        // The thread ends only with the index itself.
        let _ = self.changes.send(change);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.send(Change::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    path: PathBuf,
    store: Option<Store>,
    everything: Everything,
    tell: Tell,
    /// The database lacks something: it must be filled again before anything else is written.
    stale: bool,
    /// A person has been told that it cannot be written, and it has not worked since.
    silent: bool,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Change>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(QUEUE));
            let close = batch.iter().any(|change| matches!(change, Change::Close));
            self.take(batch);
            if close {
                return;
            }
        }
    }

    fn take(&mut self, batch: Vec<Change>) {
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        let mut check = false;
        for change in batch {
            match change {
                Change::Read { id, limit, answer } => reads.push((id, limit, answer)),
                Change::Check => check = true,
                Change::Close => {}
                write => writes.push(write),
            }
        }
        if check && self.store.as_ref().is_some_and(|store| !store.in_place()) {
            self.store = None;
            self.stale = true;
        }
        if self.stale || !writes.is_empty() {
            self.write(&writes);
        }
        for (id, limit, answer) in reads {
            let found = self.store.as_ref().and_then(|store| store.transitions(&id, limit).ok());
            let _ = answer.send(found.unwrap_or_default());
        }
    }

    fn write(&mut self, writes: &[Change]) {
        if !self.stale {
            match self.batch(writes) {
                Ok(()) => {
                    self.silent = false;
                    return;
                }
                Err(e) if is_damage(&e) => {
                    self.store = None;
                    self.stale = true;
                }
                Err(e) => return self.give_up(&e),
            }
        }
        if let Err(e) = self.refill(writes) {
            self.give_up(&e);
        }
    }

    /// Opens the index again if need be, and writes all that there is; what waited is part of that, except for
    /// the transitions.
    fn refill(&mut self, writes: &[Change]) -> Result<(), IndexError> {
        let mut why = None;
        if self.store.is_none() {
            let opened = Store::open(&self.path, now_ms())?;
            why = opened.remade;
            self.store = Some(opened.store);
        }
        let sessions = (self.everything)();
        let count = sessions.len();
        let mut all: Vec<Change> = sessions.into_iter().map(|s| Change::Put(Box::new(s))).collect();
        all.extend(writes.iter().filter_map(|change| match change {
            Change::Moved(transition) => Some(Change::Moved(transition.clone())),
            Change::Remove(id) => Some(Change::Remove(id.clone())),
            _ => None,
        }));
        self.batch(&all)?;
        self.stale = false;
        self.silent = false;
        if let Some(why) = why {
            (self.tell)(format!("{why} while the steward ran; built again with {count} sessions"));
        }
        Ok(())
    }

    fn batch(&self, writes: &[Change]) -> Result<(), IndexError> {
        let Some(store) = &self.store else { return Ok(()) };
        let result = (|| {
            store.begin()?;
            for change in writes {
                match change {
                    Change::Put(session) => store.put(session)?,
                    Change::Moved(transition) => store.add(transition)?,
                    Change::Remove(id) => store.remove(id)?,
                    Change::Read { .. } | Change::Check | Change::Close => {}
                }
            }
            store.commit()
        })();
        if result.is_err() {
            store.abandon();
        }
        result
    }

    fn give_up(&mut self, error: &IndexError) {
        self.stale = true;
        if !self.silent {
            self.silent = true;
            (self.tell)(format!("{error}; sessions are not affected, it is tried again later"));
        }
    }
}

fn is_damage(error: &IndexError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error, IndexError::Sqlite(e)
        if matches!(e.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use stead_wire::session::Spec;
    use stead_wire::status::Status;

    fn session(id: &str) -> Session {
        let spec: Spec = serde_json::from_value(serde_json::json!(
            {"id": id, "name": id, "command": ["sh"], "cwd": "/", "created": 1}
        ))
        .unwrap();
        crate::record::from_spec(&spec, None)
    }

    struct Rig {
        dir: tempfile::TempDir,
        told: Arc<Mutex<Vec<String>>>,
        index: Option<Index>,
    }

    impl Rig {
        fn new(all: &'static [&'static str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let told = Arc::new(Mutex::new(Vec::new()));
            let path = dir.path().join("index.sqlite");
            let store = Store::open(&path, 1).unwrap().store;
            let tell = told.clone();
            let index = Index::start(
                path,
                Some(store),
                Box::new(|| all.iter().map(|id| session(id)).collect()),
                Box::new(move |text| tell.lock().unwrap().push(text)),
            )
            .unwrap();
            Rig { dir, told, index: Some(index) }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("index.sqlite")
        }

        /// Closes the index and returns the ids in the file.
        fn ids(&mut self) -> Vec<String> {
            self.index = None;
            let mut ids: Vec<_> =
                Store::open(&self.path(), 2).unwrap().sessions.into_keys().collect();
            ids.sort();
            ids
        }
    }

    #[tokio::test]
    async fn changes_arrive_in_order() {
        let mut rig = Rig::new(&[]);
        let index = rig.index.as_ref().unwrap();
        index.put(&session("a"));
        index.put(&session("b"));
        index.remove("a");
        let before = Status::unknown(0, "");
        index.moved(Transition::new("b", &before, &Status { since: 5, ..before.clone() }));
        assert_eq!(index.transitions("b", 9).await[0].at, 5);
        assert_eq!(rig.ids(), ["b"]);
        assert!(rig.told.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_index_that_is_deleted_comes_back_whole() {
        let mut rig = Rig::new(&["a", "b"]);
        let index = rig.index.as_ref().unwrap();
        index.put(&session("a"));
        index.transitions("a", 1).await;
        std::fs::remove_file(rig.path()).unwrap();
        index.check();
        index.transitions("a", 1).await;
        assert_eq!(rig.ids(), ["a", "b"]);
        let told = rig.told.lock().unwrap();
        assert!(told[0].contains("missing") && told[0].contains("2 sessions"), "{told:?}");
    }

    #[tokio::test]
    async fn an_index_that_is_overwritten_comes_back_whole() {
        let mut rig = Rig::new(&["a", "b"]);
        let index = rig.index.as_ref().unwrap();
        index.put(&session("a"));
        index.transitions("a", 1).await;
        for end in ["", "-wal", "-shm"] {
            let path = rig.dir.path().join(format!("index.sqlite{end}"));
            std::fs::write(path, vec![0xa5; 40_000]).unwrap();
        }
        index.put(&session("b"));
        index.transitions("a", 1).await;
        assert_eq!(rig.ids(), ["a", "b"]);
        let told = rig.told.lock().unwrap();
        assert!(told[0].contains("damaged"), "{told:?}");
    }
}
