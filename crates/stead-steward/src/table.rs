//! The sessions as the steward sees them, in memory.

use crate::StewardError;
use crate::keeper::Request;
use crate::restart::Tries;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use stead_wire::session::Session;
use stead_wire::status::State;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

/// All sessions, and the names and ids that are being given away.
#[derive(Debug, Default)]
pub struct Table {
    pub entries: HashMap<String, Entry>,
    /// Names of sessions that are being made or renamed.
    pub reserved: HashSet<String>,
    /// Ids of sessions that are being made here, so that their folders are not taken for a stranger's.
    pub starting: HashSet<String>,
}

/// One session.
#[derive(Debug)]
pub struct Entry {
    pub session: Session,
    /// Held while a life is begun or the session is removed: no two lives may begin at once.
    pub gate: Arc<tokio::sync::Mutex<()>>,
    /// The task that looks after it, while there is something to look after.
    pub keeper: Option<Contact>,
    pub tries: Tries,
    /// A person asked for its end: even if its hold dies on the way, it is not started again.
    pub killed: bool,
    /// Its task has not yet had its first word from the hold.
    pub unasked: bool,
    /// The state that an earlier steward saw last, and since when: finding it so again is no news.
    pub before: Option<(State, u64)>,
    /// What a person should know of how its life was prepared.
    pub note: Option<String>,
}

/// The way to a session's task.
#[derive(Debug)]
pub struct Contact {
    pub requests: mpsc::Sender<Request>,
    pub wake: Arc<Notify>,
    /// Something has happened that the task has not yet looked at.
    pub again: bool,
    pub task: AbortHandle,
}

impl Entry {
    pub fn new(session: Session) -> Self {
        Entry {
            session,
            gate: Arc::default(),
            keeper: None,
            tries: Tries::default(),
            killed: false,
            unasked: false,
            before: None,
            note: None,
        }
    }
}

impl Table {
    /// The id of the session that a person means: by name, where one that lives comes first, or by id.
    pub fn find(&self, word: &str) -> Result<String, StewardError> {
        let named: Vec<&Session> =
            self.entries.values().map(|e| &e.session).filter(|s| s.name == word).collect();
        let living: Vec<&&Session> =
            named.iter().filter(|s| s.status.state != State::Exited).collect();
        match (living.as_slice(), named.as_slice()) {
            ([one], _) => Ok(one.id.clone()),
            ([], [one]) => Ok(one.id.clone()),
            ([], []) if self.entries.contains_key(word) => Ok(word.to_owned()),
            ([], []) => Err(StewardError::NotFound(shorten(word))),
            _ => {
                let ids: Vec<&str> = named.iter().map(|s| s.id.as_str()).collect();
                Err(StewardError::invalid(format!(
                    "{} sessions are called \"{word}\"",
                    named.len()
                ))
                .with_help(format!("use an id: {}", ids.join(", "))))
            }
        }
    }

    /// Whether a session has this name, or is about to.
    pub fn taken(&self, name: &str) -> bool {
        self.reserved.contains(name)
            || self.entries.values().any(|e| e.session.name == name || e.session.id == name)
    }

    /// Why a name cannot be given, if it cannot.
    pub fn refuse(&self, name: &str) -> Option<StewardError> {
        let holder = self.entries.values().find(|e| e.session.name == name);
        match holder {
            Some(e) if e.session.status.state == State::Exited => {
                Some(StewardError::Exists(name.to_owned(), " (it has ended)"))
            }
            Some(_) => Some(StewardError::Exists(name.to_owned(), "")),
            None if self.taken(name) => Some(StewardError::Exists(name.to_owned(), "")),
            None => None,
        }
    }

    /// All sessions, oldest first.
    pub fn all(&self) -> Vec<Session> {
        let mut all: Vec<Session> = self.entries.values().map(|e| e.session.clone()).collect();
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        all
    }
}

fn shorten(word: &str) -> String {
    let mut text: String = word.chars().take(60).flat_map(char::escape_debug).collect();
    if word.chars().count() > 60 {
        text.push('…');
    }
    text
}
