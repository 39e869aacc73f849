//! Where things lie, and the files of a session's folder.
//!
//! ```text
//! $XDG_DATA_HOME/stead/sessions/ID/spec.json          what was asked for
//!                                  run.json           the present life
//!                                  conversation.json  the agent's conversation
//!                                  exit.json          how it ended
//!                                  report.json        what the agent reported
//!                                  screen.ansi        the last screen, once ended
//!                                  name               its present name, if it was renamed
//!                                  env.json           an agent's environment before its profile changed it
//!                                  lock               held by the session's hold
//!                                  history/           everything it printed
//!                                  back.json          where its machine was put back to an earlier state
//!                                  earlier/TIME/      what it had printed until it was
//! $XDG_RUNTIME_DIR/stead/holds/ID.sock                the hold's socket
//! ```
//!
//! Every file is replaced as a whole (written beside, renamed), so a reader never sees half of one. They survive
//! the death of every process at once; a power cut once [`Folder::sync`] has been called.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use stead_wire::session::{AgentReport, Conversation, Exit, Run, Spec};

/// Why a session's folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`, `remove`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The file is not the JSON that it should be.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// Neither the environment nor the user's home says where things lie.
    #[error("neither {0} nor HOME is set: set one of them")]
    NoHome(&'static str),
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { what, path, source }
}

/// Where things lie for one user, or for the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Sessions, index: what must survive a reboot.
    pub data: PathBuf,
    /// Sockets: what ends with a reboot.
    pub runtime: PathBuf,
    /// Settings and agent profiles of the user.
    pub config: PathBuf,
}

impl Places {
    /// From `XDG_DATA_HOME`, `XDG_RUNTIME_DIR`, `XDG_CONFIG_HOME`, with the usual defaults under `HOME`, and for a
    /// missing runtime folder `/tmp/stead-UID`.
    ///
    /// # Errors
    /// [`FolderError::NoHome`] if neither they nor `HOME` are set.
    pub fn from_env() -> Result<Self, FolderError> {
        let dir = |name: &'static str, below_home: &str| -> Result<PathBuf, FolderError> {
            match std::env::var_os(name).filter(|v| Path::new(v).is_absolute()) {
                Some(dir) => Ok(PathBuf::from(dir).join("stead")),
                None => match std::env::var_os("HOME").filter(|v| !v.is_empty()) {
                    Some(home) => Ok(PathBuf::from(home).join(below_home).join("stead")),
                    None => Err(FolderError::NoHome(name)),
                },
            }
        };
        let runtime = match std::env::var_os("XDG_RUNTIME_DIR")
            .filter(|v| Path::new(v).is_absolute())
        {
            Some(dir) => PathBuf::from(dir).join("stead"),
            None => PathBuf::from(format!("/tmp/stead-{}", rustix::process::geteuid().as_raw())),
        };
        Ok(Places {
            data: dir("XDG_DATA_HOME", ".local/share")?,
            runtime,
            config: dir("XDG_CONFIG_HOME", ".config")?,
        })
    }

    /// The folder that holds all sessions' folders.
    pub fn sessions(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// A session's folder.
    pub fn session(&self, id: &str) -> Folder {
        Folder { path: self.sessions().join(id) }
    }

    /// All sessions' folders, oldest first. A folder without `spec.json` is left out: it was never finished.
    ///
    /// # Errors
    /// If the sessions' folder exists and cannot be read.
    pub fn all_sessions(&self) -> Result<Vec<Folder>, FolderError> {
        let dir = self.sessions();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_error("read", &dir)(e)),
        };
        let mut folders: Vec<Folder> = entries
            .flatten()
            .map(|entry| Folder { path: entry.path() })
            .filter(|folder| folder.path.join("spec.json").exists())
            .collect();
        folders.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(folders)
    }

    /// The folder of the holds' sockets.
    pub fn holds(&self) -> PathBuf {
        self.runtime.join("holds")
    }

    /// A hold's socket.
    pub fn hold_socket(&self, id: &str) -> PathBuf {
        self.holds().join(format!("{id}.sock"))
    }

    /// The steward's socket.
    pub fn steward_socket(&self) -> PathBuf {
        self.runtime.join("steward.sock")
    }

    /// Makes the folders that only the owner may enter.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn create(&self) -> Result<(), FolderError> {
        create_private(&self.sessions())?;
        create_private(&self.holds())
    }
}

/// Makes a folder, and those above it, for the owner alone (mode 0700).
///
/// # Errors
/// If it cannot be made.
pub fn create_private(path: &Path) -> Result<(), FolderError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// The machine of a session was put back to an earlier state, and the session with it: it went on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WentBack {
    /// When that was seen; milliseconds since the Unix epoch. The folder in `earlier` is called so.
    pub at: u64,
    /// Up to here, what was printed is what had been.
    pub offset: u64,
    /// The end of what had been printed.
    pub to: u64,
}

/// A session's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path; its last part is the session's id.
    pub fn at(path: PathBuf) -> Self {
        Folder { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session's id: the folder's own name.
    pub fn id(&self) -> &str {
        self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// Where the history lies.
    pub fn history(&self) -> PathBuf {
        self.path.join("history")
    }

    /// Where the histories lie that a session had before its machine was put back.
    pub fn earlier(&self) -> PathBuf {
        self.path.join("earlier")
    }

    /// Where in the history its machine was put back, from the beginning on.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn went_back(&self) -> Result<Vec<WentBack>, FolderError> {
        Ok(self.optional("back.json")?.unwrap_or_default())
    }

    /// Writes down where its machine was put back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_went_back(&self, all: &[WentBack]) -> Result<(), FolderError> {
        self.write_json("back.json", &all)
    }

    /// Makes the folder with its spec.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(&self, spec: &Spec) -> Result<(), FolderError> {
        create_private(&self.path)?;
        self.write_json("spec.json", spec)
    }

    /// Takes the session for this process, until the file is closed. `None`: another process has it.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn lock(&self) -> Result<Option<fs::File>, FolderError> {
        let path = self.path.join("lock");
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let taken = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        Ok(taken.is_ok().then_some(file))
    }

    /// What was asked for, under its present name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn spec(&self) -> Result<Spec, FolderError> {
        let mut spec: Spec = read_json(&self.path.join("spec.json"))?;
        if let Ok(name) = fs::read_to_string(self.path.join("name")) {
            spec.name = name;
        }
        Ok(spec)
    }

    /// Gives the session another name; `spec.json` stays as it was asked for.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn rename(&self, name: &str) -> Result<(), FolderError> {
        self.write("name", name.as_bytes())
    }

    /// The present or last life.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn run(&self) -> Result<Option<Run>, FolderError> {
        self.optional("run.json")
    }

    /// Writes down the present life.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_run(&self, run: &Run) -> Result<(), FolderError> {
        self.write_json("run.json", run)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn exit(&self) -> Result<Option<Exit>, FolderError> {
        self.optional("exit.json")
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_exit(&self, exit: &Exit) -> Result<(), FolderError> {
        self.write_json("exit.json", exit)
    }

    /// Takes the ending back before another life.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn clear_exit(&self) -> Result<(), FolderError> {
        let path = self.path.join("exit.json");
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The agent's conversation, if known.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn conversation(&self) -> Result<Option<Conversation>, FolderError> {
        self.optional("conversation.json")
    }

    /// Writes down the agent's conversation.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_conversation(&self, conversation: &Conversation) -> Result<(), FolderError> {
        self.write_json("conversation.json", conversation)
    }

    /// What the agent reported, if anything.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn report(&self) -> Result<Option<AgentReport>, FolderError> {
        self.optional("report.json")
    }

    /// Writes down what the agent reported.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_report(&self, report: &AgentReport) -> Result<(), FolderError> {
        self.write_json("report.json", report)
    }

    /// Escape sequences that paint the last screen of an ended session.
    pub fn last_screen(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("screen.ansi")).ok()
    }

    /// Keeps the last screen.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_last_screen(&self, bytes: &[u8]) -> Result<(), FolderError> {
        self.write("screen.ansi", bytes)
    }

    /// Waits until the disk has what describes the session: its files survive a power cut from here on. What cannot
    /// be synced stays as it is.
    pub fn sync(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if let Ok(file) = fs::File::open(entry.path()) {
                let _ = file.sync_all();
            }
        }
    }

    /// Removes the session with all its history.
    ///
    /// # Errors
    /// If something in it cannot be removed.
    pub fn remove(&self) -> Result<(), FolderError> {
        fs::remove_dir_all(&self.path).map_err(io_error("remove", &self.path))
    }

    fn optional<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, FolderError> {
        match read_json(&self.path.join(file)) {
            Ok(value) => Ok(Some(value)),
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn write_json<T: Serialize>(&self, file: &str, value: &T) -> Result<(), FolderError> {
        let mut text =
            serde_json::to_vec_pretty(value).expect("session files hold nothing that JSON cannot");
        text.push(b'\n');
        self.write(file, &text)
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), FolderError> {
        replace(&self.path.join(file), bytes)
    }
}

/// Replaces a file as a whole (mode 0600).
///
/// # Errors
/// If it cannot be written; the file is then as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&beside);
        io_error("write", path)(e)
    })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FolderError> {
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| FolderError::Damaged { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace(&dir.path().join("no/f.json"), b"x").is_err());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { path: dir.path().to_owned() };
        assert!(folder.exit().unwrap().is_none());
        fs::write(dir.path().join("exit.json"), b"{").unwrap();
        let error = folder.exit().unwrap_err().to_string();
        assert!(error.contains("exit.json is damaged"), "{error}");
    }
}
