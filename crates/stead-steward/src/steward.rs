use crate::holds::Holds;
use crate::index::{Index, Store};
use crate::record;
use crate::remote::{Machines, NoMachines, Remote};
use crate::shared::Core;
use crate::table::{Entry, Table};
use crate::{Lock, StewardError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use stead_hold::clock::now_ms;
use stead_hold::folder::Places;
use stead_wire::api::{Event, Version};
use stead_wire::session::Session;
use stead_wire::status::{Source, State, Status};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};

/// Events that wait for a slow listener; one that is further behind is told everything again.
const EVENTS: usize = 256;
/// Changes of state that may wait to be told to people; in a storm the rest is not.
const NEWS: usize = 1024;
/// Holds that are being started at once.
const LAUNCHES: usize = 4;
/// Messages kept for people who ask later.
const MESSAGES: usize = 50;

/// What a steward needs to begin.
pub struct Options {
    /// Where things lie.
    pub places: Places,
    /// How holds are started and told from the dead.
    pub holds: Arc<dyn Holds>,
    /// The program that hands an agent's hook to its hold, with its arguments.
    pub hook_command: Vec<String>,
}

/// The daemon's core. Cheap to clone; all clones are the same steward.
#[derive(Clone)]
pub struct Steward {
    pub(crate) core: Arc<Core>,
}

impl Steward {
    /// Takes the lock, reads the index and the folders, and begins to look after every session. Must be
    /// called inside a tokio runtime; sessions that were lost are started again by tasks of their own.
    ///
    /// # Errors
    /// If another steward runs, or the folders cannot be used.
    pub fn start(options: Options) -> Result<Self, StewardError> {
        Self::start_with(options, Arc::new(NoMachines))
    }

    /// As [`Steward::start`], for a steward that has other machines than this host.
    ///
    /// # Errors
    /// As [`Steward::start`].
    pub fn start_with(options: Options, machines: Arc<dyn Machines>) -> Result<Self, StewardError> {
        let Options { places, holds, hook_command } = options;
        let lock = Lock::take(&places)?;
        let messages = Arc::new(Mutex::new(Vec::new()));
        let path = places.data.join("index.sqlite");
        let (store, known, remade) = match Store::open(&path, now_ms()) {
            Ok(opened) => (Some(opened.store), opened.sessions, opened.remade),
            Err(e) => (None, HashMap::new(), Some(e.to_string())),
        };
        let (table, damaged) = read_folders(&places, &known)?;
        for message in damaged {
            tell(&messages, message);
        }
        if let Some(why) = remade.filter(|_| !table.entries.is_empty()) {
            tell(&messages, format!("{why}; built again from {} sessions", table.entries.len()));
        }
        let changed: Vec<Session> = table
            .entries
            .values()
            .map(|e| &e.session)
            .filter(|s| known.get(&s.id) != Some(s))
            .cloned()
            .collect();
        let gone: Vec<String> =
            known.into_keys().filter(|id| !table.entries.contains_key(id)).collect();
        let table = Arc::new(Mutex::new(table));
        let index = {
            let (table, messages) = (table.clone(), messages.clone());
            Index::start(
                path,
                store,
                Box::new(move || lock_of(&table).all()),
                Box::new(move |text| tell(&messages, text)),
            )
            .map_err(StewardError::io("start the index's thread"))?
        };
        for session in &changed {
            index.put(session);
        }
        for id in &gone {
            index.remove(id);
        }
        let (news, heard) = mpsc::channel(NEWS);
        let core = Arc::new(Core {
            places,
            holds,
            remote: Remote::new(machines),
            hook_command,
            table,
            index,
            launches: Semaphore::new(LAUNCHES),
            stopping: watch::Sender::new(false),
            first_words: Notify::new(),
            events: broadcast::Sender::new(EVENTS),
            news,
            messages,
            started: now_ms(),
            myself: OnceLock::new(),
            _lock: lock,
        });
        let _ = core.myself.set(Arc::downgrade(&core));
        // Watching begins before looking, so that nothing that happens in between is missed.
        crate::finder::start(&core);
        crate::notify::start(&core, heard);
        let ids: Vec<String> = core.lock().entries.keys().cloned().collect();
        for id in ids {
            if core.needs_keeper(&id) {
                if let Some(entry) = core.lock().entries.get_mut(&id) {
                    entry.unasked = entry.session.exit.is_none();
                }
                core.wake(&id);
            }
        }
        Ok(Steward { core })
    }

    /// Who this is.
    pub fn version(&self) -> Version {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id() as i32,
            started: self.core.started,
            messages: lock_of(&self.core.messages).clone(),
        }
    }

    /// Keeps a message for people who ask, and writes it to the log.
    pub fn tell(&self, message: impl Into<String>) {
        tell(&self.core.messages, message.into());
    }

    /// Where things lie.
    pub fn places(&self) -> &Places {
        &self.core.places
    }

    /// Asks the steward to end. Sessions go on.
    pub fn stop(&self) {
        self.core.stopping.send_replace(true);
    }

    /// Ends the steward: nothing is looked after any more, and the lock is free once its tasks are gone. Sessions
    /// go on.
    pub fn end(self) {
        self.stop();
        self.core.remote.end();
        for entry in self.core.lock().entries.values() {
            if let Some(contact) = &entry.keeper {
                contact.task.abort();
            }
        }
    }

    /// Returns once somebody has asked the steward to end.
    pub async fn stopped(&self) {
        let mut stopping = self.core.stopping.subscribe();
        // An error means that the steward is gone, which is the same.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// Every session as it is now, and from then on what happens.
    pub fn listen(&self) -> Listener {
        let events = self.core.events.subscribe();
        Listener { events, backlog: self.core.everything(), core: self.core.clone() }
    }
}

/// Somebody who is told what happens.
pub struct Listener {
    events: broadcast::Receiver<Arc<Event>>,
    backlog: Vec<Arc<Event>>,
    core: Arc<Core>,
}

impl Listener {
    /// The next event; `None` once the steward ends. A listener that was too slow gets every session as
    /// it is now instead of what it missed.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(event) = self.backlog.pop() {
            return Some(event);
        }
        let mut stopping = self.core.stopping.subscribe();
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = stopping.wait_for(|stop| *stop) => return None,
            };
            match event {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Closed) => return None,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.events = self.core.events.subscribe();
                    self.backlog = self.core.everything();
                    if let Some(event) = self.backlog.pop() {
                        return Some(event);
                    }
                }
            }
        }
    }
}

/// The status of a session whose command has just been started.
pub(crate) fn just_started(at: u64) -> Status {
    Status {
        state: State::Running,
        source: Source::Process,
        since: at,
        detail: "it has just been started".into(),
    }
}

fn read_folders(
    places: &Places,
    known: &HashMap<String, Session>,
) -> Result<(Table, Vec<String>), StewardError> {
    let mut table = Table::default();
    let mut damaged = Vec::new();
    for folder in places.all_sessions()? {
        match record::from_folder(&folder, known.get(folder.id())) {
            Ok(session) if session.id == folder.id() => {
                let known = known.get(&session.id).map(|s| (s.status.state, s.status.since));
                let entry = Entry { before: known, ..Entry::new(session.clone()) };
                table.entries.insert(session.id, entry);
            }
            Ok(session) => damaged.push(format!(
                "the folder {} is of another session, {}: it was copied or renamed and is left alone",
                folder.path().display(),
                session.id
            )),
            Err(e) => damaged.push(format!("a session is left out: {e}")),
        }
    }
    Ok((table, damaged))
}

/// The lock's content also after a panic elsewhere: every change of a table is whole before it is unlocked.
pub(crate) fn lock_of<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn tell(messages: &Mutex<Vec<String>>, message: String) {
    eprintln!("stead steward: {message}");
    let mut messages = lock_of(messages);
    messages.push(message);
    if messages.len() > MESSAGES {
        messages.remove(0);
    }
}
