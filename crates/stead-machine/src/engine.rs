//! What every engine can be asked.

use crate::model::{Abilities, Change, NewSnapshot, Observed, Remark, Snapshot, Wanted};
use crate::steps::Steps;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Why an engine did not do something.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It cannot be asked, so nothing is known.
    #[error("{0}")]
    Unreachable(String),
    /// It can never do this, and has not begun.
    #[error("{what}: {why}")]
    Cannot {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// There is no such machine or snapshot; nothing was begun.
    #[error("there is no {0}")]
    NotFound(String),
    /// The machine is not in a state for this: "it runs", and what to do.
    #[error("{0}")]
    NotNow(String),
    /// It tried and failed.
    #[error("{0}")]
    Failed(String),
    /// A person or the program asked it to end.
    #[error("cancelled")]
    Cancelled,
}

/// What an engine answers.
pub type Result<T> = std::result::Result<T, EngineError>;

/// A command to run inside a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exec {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Folder inside; `None` is the home of root.
    pub cwd: Option<PathBuf>,
    /// Environment beside what the machine has of its own.
    pub env: BTreeMap<String, String>,
}

/// Where a machine's serial console is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// A unix socket that is there while the machine runs: its bytes both ways, as they are.
    pub socket: PathBuf,
    /// Everything that it ever printed.
    pub log: PathBuf,
}

/// Something that machines run on.
///
/// Everything that changes the world is level-triggered: it brings the machine from wherever it is to where it is wanted,
/// so that whatever was cut short by a crash is finished by asking again. It tells each step to [`Steps`] before it does it.
///
/// A machine's folder below `machines` may be the engine's to fill; `machine.json` in it is not: it is written and removed
/// by [`crate::Records`], and an engine leaves it in place even when it destroys the machine.
///
/// Nothing is destroyed because something could not be seen: a look that fails is [`EngineError::Unreachable`] or
/// [`crate::model::Phase::Unknown`], never "not there".
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Its name in stead files.
    fn name(&self) -> &'static str;

    /// What it can do here, for this user, and why not where it cannot.
    fn abilities(&self) -> Abilities;

    /// What it has to say of a machine before anything is done.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>>;

    /// Every machine that it has.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn observe(&self) -> Result<Vec<Observed>>;

    /// One machine; `None` only if it is certain that there is none.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn look(&self, name: &str) -> Result<Option<Observed>>;

    /// Makes a machine, stopped, or finishes what was begun.
    ///
    /// # Errors
    /// Why not; what is left can be finished or destroyed.
    async fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()>;

    /// Starts a machine; one that runs already is left alone.
    ///
    /// # Errors
    /// Why not; it is stopped then, with nothing left over.
    async fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()>;

    /// Stops a machine: its processes are asked to end, and killed after a while. One that does not run is left alone; of
    /// one that is [`crate::model::Phase::Partial`], whatever still runs is stopped.
    ///
    /// # Errors
    /// Why not.
    async fn stop(&self, name: &str, steps: &Steps) -> Result<()>;

    /// Whether a change of the declaration needs the machine to stop. The names of the keys that do.
    fn needs_restart(&self, before: &Wanted, after: &Wanted) -> Vec<&'static str>;

    /// Brings a machine to another declaration; restarts it where it runs and must.
    ///
    /// # Errors
    /// Why not.
    async fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()>;

    /// Removes a machine with its state and its snapshots. One that is not there is no error.
    ///
    /// # Errors
    /// Why not.
    async fn destroy(&self, name: &str, steps: &Steps) -> Result<()>;

    /// The command that runs something inside, to be started by a process with this program's rights: its standard
    /// streams are those of what runs inside, its exit status, too.
    ///
    /// # Errors
    /// If the machine does not run.
    async fn exec(&self, name: &str, exec: &Exec) -> Result<std::process::Command>;

    /// A connection to a TCP port inside.
    ///
    /// # Errors
    /// If nobody listens there, or the machine does not run.
    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd>;

    /// A machine's serial console, whether it runs or not.
    ///
    /// # Errors
    /// If machines of this engine have none.
    async fn console(&self, name: &str) -> Result<Console> {
        let why = format!("\"{name}\" is on engine {}, whose machines have none", self.name());
        Err(EngineError::Cannot { what: "console", why })
    }

    /// A shell script that starts a machine without Stead, and says in comments what leads into it.
    ///
    /// # Errors
    /// If machines of this engine cannot be started so.
    async fn start_script(&self, name: &str) -> Result<String> {
        let why = format!("\"{name}\" is on engine {}, which needs Stead", self.name());
        Err(EngineError::Cannot { what: "start-script", why })
    }

    /// A machine's snapshots, oldest first. No two have the same time.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>>;

    /// Keeps a machine's state as it is now; with its memory only where [`Abilities::memory_snapshots`] says that it can.
    ///
    /// # Errors
    /// If the name is taken, or it cannot be kept.
    async fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot>;

    /// Puts a kept state into a machine that is stopped, or half through a restore that was cut short. The caller has kept
    /// the one that is replaced.
    ///
    /// # Errors
    /// If there is no such snapshot, or the machine runs.
    async fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()>;

    /// Removes a snapshot. One that is not there is no error.
    ///
    /// # Errors
    /// Why not.
    async fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()>;

    /// Makes a machine, stopped, with a copy of another's state (now, or of a snapshot) and an identity of its own.
    ///
    /// # Errors
    /// Why not.
    async fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()>;

    /// Puts the state of one stopped machine into another stopped machine; the first is then as freshly made. The caller
    /// has kept the state that is replaced.
    ///
    /// `token` names this move and no other. The engine keeps it with the target: asked again with the same token, it
    /// finishes what was cut short, and does nothing once all is done. Without it, a second asking after a crash would
    /// put the fresh state of the first machine over the one that was moved.
    ///
    /// # Errors
    /// Why not. After [`EngineError::Cannot`], [`EngineError::NotFound`] and [`EngineError::NotNow`] nothing was begun.
    async fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()>;

    /// What a machine changed against its base, in order of paths.
    ///
    /// # Errors
    /// Why it cannot be told.
    async fn diff(&self, name: &str) -> Result<Vec<Change>>;

    /// Removes what belongs to no machine: leftovers of starts that were cut short. Only what certainly is one.
    /// What was removed, a line each.
    ///
    /// # Errors
    /// Why not.
    async fn sweep(&self, steps: &Steps) -> Result<Vec<String>>;
}
