//! What all parts of the steward share: the table, and everybody who is told when it changes.

use crate::holds::Holds;
use crate::index::{Index, Transition};
use crate::keeper::{Keeper, Request};
use crate::notify::News;
use crate::remote::{Alive, Remote};
use crate::restart::Decision;
use crate::steward::{lock_of, tell};
use crate::table::{Contact, Entry, Table};
use crate::{Lock, Places};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use stead_wire::api::Event;
use stead_wire::session::{EndedBy, Exit, Restart, Run, Session};
use stead_wire::status::{State, Status};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};

/// Questions that may wait for one hold.
const REQUESTS: usize = 8;

/// The steward without its handles.
pub struct Core {
    pub places: Places,
    pub holds: Arc<dyn Holds>,
    /// Other machines than this host.
    pub remote: Remote,
    pub hook_command: Vec<String>,
    pub table: Arc<Mutex<Table>>,
    pub index: Index,
    pub launches: Semaphore,
    pub stopping: watch::Sender<bool>,
    /// Told whenever a session's task has had its first word from a hold.
    pub first_words: Notify,
    pub events: broadcast::Sender<Arc<Event>>,
    pub news: mpsc::Sender<News>,
    pub messages: Arc<Mutex<Vec<String>>>,
    pub started: u64,
    pub myself: OnceLock<std::sync::Weak<Core>>,
    /// Held for as long as any task of the steward is there.
    pub _lock: Lock,
}

impl Core {
    pub fn lock(&self) -> MutexGuard<'_, Table> {
        lock_of(&self.table)
    }

    pub fn tell(&self, message: String) {
        tell(&self.messages, message);
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn myself(&self) -> Option<Arc<Core>> {
        self.myself.get().and_then(std::sync::Weak::upgrade)
    }

    /// Every session as an event, the last one first.
    pub fn everything(&self) -> Vec<Arc<Event>> {
        let all = self.lock().all();
        all.into_iter().rev().map(|session| Arc::new(Event::Session { session })).collect()
    }

    /// Changes what is known of a session, and tells the index and the listeners. Returns it as it is then.
    pub fn change(&self, id: &str, how: impl FnOnce(&mut Session)) -> Option<Session> {
        let (before, session) = {
            let mut table = self.lock();
            let entry = table.entries.get_mut(id)?;
            let before = entry.session.clone();
            how(&mut entry.session);
            if std::mem::take(&mut entry.unasked) {
                self.first_words.notify_waiters();
            }
            // The same state from the same source keeps its age.
            let (old, new) = (&before.status, &mut entry.session.status);
            if old.state == State::Unknown && new.state == old.state && new.source == old.source {
                new.since = old.since;
            }
            if before == entry.session {
                return Some(before);
            }
            let status = &entry.session.status;
            let news = entry.before.take() != Some((status.state, status.since));
            (news.then_some(before.status), entry.session.clone())
        };
        self.announce(before.as_ref(), &session);
        Some(session)
    }

    /// Takes a session into the table.
    pub fn insert(&self, session: &Session) {
        self.lock()
            .entries
            .entry(session.id.clone())
            .or_insert_with(|| Entry::new(session.clone()));
        self.announce(None, session);
    }

    // The table must not be locked: the index's thread may need it before it makes room in its queue.
    fn announce(&self, before: Option<&Status>, session: &Session) {
        self.index.put(session);
        let now = &session.status;
        let _ = self.events.send(Arc::new(Event::Session { session: session.clone() }));
        if let Some(before) = before.filter(|before| before.state != now.state) {
            self.index.moved(Transition::new(&session.id, before, now));
            let _ = self.news.try_send(News::Moved(Box::new(session.clone())));
            let (before, now) = (before.clone(), now.clone());
            let _ =
                self.events.send(Arc::new(Event::Status { id: session.id.clone(), before, now }));
        }
    }

    /// Forgets a session whose folder is gone.
    pub fn forget(&self, id: &str) {
        let Some(entry) = self.lock().entries.remove(id) else { return };
        if let Some(keeper) = entry.keeper {
            keeper.task.abort();
        }
        self.index.remove(id);
        let _ = self.news.try_send(News::Removed(id.to_owned()));
        let _ = self.events.send(Arc::new(Event::Removed { id: id.to_owned() }));
    }

    /// Whether there is anything to look after: a hold, or an end that the policy answers.
    pub fn needs_keeper(&self, id: &str) -> bool {
        let folder = self.places.session(id);
        match (folder.run(), folder.exit()) {
            // On this host whoever starts a session writes down its life at once.
            (Ok(None), Ok(None)) => self.machine_of(id).is_some(),
            (Ok(None), _) => false,
            (Ok(Some(run)), Ok(Some(exit))) => {
                let restart = self.lock().entries.get(id).map(|e| e.session.restart);
                (restart == Some(Restart::Always) && exit.by != EndedBy::Person)
                    || (restart == Some(Restart::Resume) && exit.by == EndedBy::Lost)
                    || self.lingers(id, &run)
            }
            _ => true,
        }
    }

    /// Whether the hold of an ended session is still there, as far as is known without asking a machine.
    fn lingers(&self, id: &str, run: &Run) -> bool {
        match self.machine_of(id) {
            None => self.holds.alive(run),
            Some(machine) => {
                machine.link_now().is_some() && machine.alive(id, Some(run)) == Alive::Yes
            }
        }
    }

    /// Something has happened to a session: its task looks at it, or one is started that does.
    pub fn wake(&self, id: &str) {
        let Some(core) = self.myself() else { return };
        let mut table = self.lock();
        let Some(entry) = table.entries.get_mut(id) else { return };
        if let Some(keeper) = &mut entry.keeper {
            keeper.again = true;
            keeper.wake.notify_one();
            return;
        }
        let (requests, queue) = mpsc::channel(REQUESTS);
        let wake = Arc::new(Notify::new());
        let keeper = Keeper::new(core, id.to_owned(), queue, wake.clone());
        let task = tokio::spawn(keeper.run()).abort_handle();
        entry.keeper = Some(Contact { requests, wake, again: false, task });
    }

    /// A session's task is about to look at everything.
    pub fn looked(&self, id: &str) {
        if let Some(keeper) = self.lock().entries.get_mut(id).and_then(|e| e.keeper.as_mut()) {
            keeper.again = false;
        }
    }

    /// A session's task has nothing more to do. `false`: something has happened meanwhile.
    pub fn rest(&self, id: &str) -> bool {
        let mut table = self.lock();
        let Some(entry) = table.entries.get_mut(id) else { return true };
        if entry.keeper.as_ref().is_some_and(|keeper| keeper.again) {
            return false;
        }
        entry.keeper = None;
        drop(table);
        if let Some(machine) = self.machine_of(id) {
            machine.rested();
        }
        true
    }

    /// The lock under which a session's lives begin and end.
    pub fn gate(&self, id: &str) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.lock().entries.get(id).map(|e| e.gate.clone())
    }

    /// Whether a person has asked for this session's end.
    pub fn was_killed(&self, id: &str) -> bool {
        self.lock().entries.get(id).is_some_and(|e| e.killed)
    }

    /// Keeps what a person should know of how a session's life was prepared.
    pub fn set_note(&self, id: &str, note: Option<String>) {
        if let Some(entry) = self.lock().entries.get_mut(id) {
            entry.note = note;
        }
    }

    /// What was kept by [`Core::set_note`].
    pub fn note(&self, id: &str) -> Option<String> {
        self.lock().entries.get(id).and_then(|e| e.note.clone())
    }

    /// What follows from a session's end.
    pub fn decide(&self, id: &str, restart: Restart, exit: &Exit, lived: Duration) -> Decision {
        match self.lock().entries.get_mut(id) {
            Some(entry) if !entry.killed => entry.tries.decide(restart, exit, lived),
            _ => Decision::Stay,
        }
    }

    /// The ids of all sessions that have a hold to be asked.
    pub fn living(&self) -> Vec<String> {
        let table = self.lock();
        let living =
            table.entries.values().filter(|e| e.session.exit.is_none() && e.keeper.is_some());
        living.map(|e| e.session.id.clone()).collect()
    }

    /// The way to a session's hold.
    pub fn requests(&self, id: &str) -> Option<mpsc::Sender<Request>> {
        self.lock().entries.get(id).and_then(|e| e.keeper.as_ref()).map(|k| k.requests.clone())
    }
}
