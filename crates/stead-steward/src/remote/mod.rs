//! Sessions in other machines than this host.
//!
//! Each such machine with sessions that live has a task ([`machine`]) that holds a stream to the bridge inside. What
//! the bridge tells of a session is written into a folder on this host ([`mirror`]), which outlives the machine;
//! while the session lives, the truth is inside. For each living hold there is a socket on this host where the hold's
//! own would be ([`door`]), so that everybody reaches it as if it ran here.

mod check;
mod door;
mod life;
mod link;
mod machine;
mod mirror;
mod pipe;
mod requests;

pub use link::Ended;
pub use machine::Stopping;
pub use requests::{Exec, Running};

pub(crate) use check::{session as check_session, status as check_status};
pub(crate) use life::Begun;
pub(crate) use machine::Machine;

use crate::shared::Core;
use crate::steward::lock_of;
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use stead_wire::session::Run;

/// Why there is no stream to a bridge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// It could not be asked, or the bridge not be started: nothing is known of the machine.
    #[error("{0}")]
    Unreachable(String),
    /// The machine certainly does not run.
    #[error("it does not run")]
    NotRunning,
    /// There certainly is no such machine.
    #[error("there is no such machine")]
    NoSuchMachine,
}

/// The machines beside `host` that sessions can run in.
#[async_trait]
pub trait Machines: Send + Sync + 'static {
    /// A stream to a `stead-hold bridge` that runs inside; the bridge ends when the stream is closed.
    ///
    /// # Errors
    /// Why not. Only what is certain is [`BridgeError::NotRunning`] or [`BridgeError::NoSuchMachine`]: sessions are
    /// taken for lost then.
    async fn bridge(&self, machine: &str) -> Result<UnixStream, BridgeError>;

    /// The last line that the latest bridge into this machine has written to its standard error.
    fn last_words(&self, machine: &str) -> Option<String> {
        let _ = machine;
        None
    }

    /// Whether there is such a machine, running or not.
    fn exists(&self, machine: &str) -> bool;

    /// The folder inside that sessions start in when nothing else is asked for; `None` is the user's home.
    fn default_cwd(&self, machine: &str) -> Option<PathBuf>;

    /// The variables that all its sessions have.
    fn env(&self, _machine: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// No machines beside `host`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMachines;

#[async_trait]
impl Machines for NoMachines {
    async fn bridge(&self, _: &str) -> Result<UnixStream, BridgeError> {
        Err(BridgeError::NoSuchMachine)
    }

    fn exists(&self, _: &str) -> bool {
        false
    }

    fn default_cwd(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

/// Whether the hold of a session's life runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Alive {
    /// It runs.
    Yes,
    /// It certainly does not.
    No,
    /// That cannot be told, and why.
    Unknown(String),
}

/// All machines that sessions have been seen in.
pub(crate) struct Remote {
    pub machines: Arc<dyn Machines>,
    all: Mutex<HashMap<String, Arc<Machine>>>,
}

impl Remote {
    pub fn new(machines: Arc<dyn Machines>) -> Self {
        Remote { machines, all: Mutex::default() }
    }

    /// A machine by name, also one that there is no more.
    pub fn machine(&self, name: &str, core: &Weak<Core>) -> Arc<Machine> {
        let mut all = lock_of(&self.all);
        let machine = all.entry(name.to_owned());
        machine.or_insert_with(|| Machine::new(name, core.clone())).clone()
    }

    /// Every machine that has been asked for.
    pub fn all(&self) -> Vec<Arc<Machine>> {
        lock_of(&self.all).values().cloned().collect()
    }

    /// Lets go of all streams, sockets and tasks.
    pub fn end(&self) {
        for machine in self.all() {
            machine.end();
        }
        lock_of(&self.all).clear();
    }
}

impl Core {
    /// The machine of a session, unless it runs on this host.
    pub fn machine_of(&self, id: &str) -> Option<Arc<Machine>> {
        let name = self.lock().entries.get(id).map(|e| e.session.machine.clone())?;
        (name != "host").then(|| self.machine(&name))
    }

    /// A machine by name.
    pub fn machine(&self, name: &str) -> Arc<Machine> {
        let myself = self.myself.get().cloned().unwrap_or_default();
        self.remote.machine(name, &myself)
    }

    /// Whether the hold of a session's life runs.
    pub fn alive(&self, id: &str, run: &Run) -> Alive {
        match self.machine_of(id) {
            Some(machine) => machine.alive(id, Some(run)),
            None if self.holds.alive(run) => Alive::Yes,
            None => Alive::No,
        }
    }

    /// Whether a session's next life could begin now as far as its machine is concerned.
    pub fn could_begin(&self, id: &str) -> bool {
        self.machine_of(id)
            .is_none_or(|machine| machine.link_now().is_some() && !machine.is_stopping())
    }

    /// The sessions of a machine are looked at again.
    pub fn wake_machine(&self, name: &str) {
        let ids: Vec<String> = {
            let table = self.lock();
            let of = table.entries.values().filter(|e| e.session.machine == name);
            of.map(|e| e.session.id.clone()).collect()
        };
        for id in ids {
            let kept = self.lock().entries.get(&id).is_some_and(|e| e.keeper.is_some());
            if kept || self.needs_keeper(&id) {
                self.wake(&id);
            }
        }
    }

    /// Whether anybody wants to hear from a machine.
    pub fn wants(&self, name: &str) -> bool {
        let kept = {
            let table = self.lock();
            let mut of = table.entries.values().filter(|e| e.session.machine == name);
            of.any(|e| e.keeper.is_some())
        };
        kept || self.has_sessions_in(name)
    }
}
