use super::IndexError;
use rusqlite::{Connection, OpenFlags, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use stead_wire::session::Session;
use stead_wire::status::Status;

/// The layout of the tables; another number in a file means another layout.
const VERSION: i32 = 1;
/// Transitions kept, over all sessions.
const KEPT: i64 = 10_000;

/// A change of a session's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The session's id.
    pub id: String,
    /// When; milliseconds since the Unix epoch.
    pub at: u64,
    /// The state before, as a word.
    pub from: String,
    /// The state after, as a word.
    pub to: String,
    /// Who said so, as a word.
    pub source: String,
    /// The evidence in one line.
    pub detail: String,
}

impl Transition {
    /// From one status to the next.
    pub fn new(id: &str, before: &Status, now: &Status) -> Self {
        Transition {
            id: id.to_owned(),
            at: now.since,
            from: before.state.word().to_owned(),
            to: now.state.word().to_owned(),
            source: now.source.word().to_owned(),
            detail: now.detail.clone(),
        }
    }
}

/// The open database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    inode: u64,
}

/// A database that has been opened, or made.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub store: Store,
    /// The sessions as they were last seen, by id.
    pub sessions: HashMap<String, Session>,
    /// Why it had to be made anew, for a person.
    pub remade: Option<String>,
}

impl Store {
    /// Opens the index at `path`, or makes it. One that is damaged is kept as `index.sqlite.damaged-TIME`.
    ///
    /// # Errors
    /// If not even a new one can be made.
    pub fn open(path: &Path, now_ms: u64) -> Result<Opened, IndexError> {
        let absent = !path.exists();
        let why = match Self::open_sound(path) {
            Ok((store, sessions)) => {
                let remade = absent.then(|| "the index was missing".to_owned());
                return Ok(Opened { store, sessions, remade });
            }
            Err(Unsound::Version(found)) => {
                remove_with_log(path);
                format!("the index was of version {found}, this steward writes {VERSION}")
            }
            Err(Unsound::Sqlite(e)) => {
                let aside = move_aside(path, now_ms)?;
                format!("the index was damaged ({e}) and is kept as {}", aside.display())
            }
        };
        match Self::open_sound(path) {
            Ok((store, sessions)) => Ok(Opened { store, sessions, remade: Some(why) }),
            Err(Unsound::Sqlite(e)) => Err(e.into()),
            Err(Unsound::Version(_)) => Err(rusqlite::Error::InvalidQuery.into()),
        }
    }

    fn open_sound(path: &Path) -> Result<(Self, HashMap<String, Session>), Unsound> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        let version: i32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -256;
             PRAGMA journal_size_limit = 1048576;",
        )?;
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)).into());
        }
        match version {
            VERSION => {}
            0 => db.execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE sessions (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE transitions (n INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL,
                   from_state TEXT NOT NULL, to_state TEXT NOT NULL, source TEXT NOT NULL, detail TEXT NOT NULL);
                 CREATE INDEX transitions_id ON transitions (id, n);
                 PRAGMA user_version = {VERSION};
                 COMMIT;"
            ))?,
            other => return Err(Unsound::Version(other)),
        }
        let sessions = {
            let mut rows = db.prepare("SELECT id, json FROM sessions")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            let mut sessions = HashMap::new();
            for row in rows {
                let (id, json): (String, String) = row?;
                // A row that cannot be read is as good as none: the folder knows more.
                if let Ok(session) = serde_json::from_str(&json) {
                    sessions.insert(id, session);
                }
            }
            sessions
        };
        let inode = inode(path).unwrap_or(0);
        Ok((Store { db, path: path.to_owned(), inode }, sessions))
    }

    /// Whether the file at its path is still the one that is open.
    pub fn in_place(&self) -> bool {
        inode(&self.path) == Some(self.inode)
    }

    /// Begins a batch of changes.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn begin(&self) -> Result<(), IndexError> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Ends a batch of changes; the oldest transitions beyond the bound go.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn commit(&self) -> Result<(), IndexError> {
        self.db
            .prepare("DELETE FROM transitions WHERE n <= (SELECT max(n) FROM transitions) - ?1")?
            .execute([KEPT])?;
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// Forgets a batch that could not be ended.
    pub fn abandon(&self) {
        if !self.db.is_autocommit() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    /// Writes a session as it is now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn put(&self, session: &Session) -> Result<(), IndexError> {
        let json = serde_json::to_string(session).expect("sessions hold nothing that JSON cannot");
        self.db
            .prepare("INSERT OR REPLACE INTO sessions (id, json) VALUES (?1, ?2)")?
            .execute(params![session.id, json])?;
        Ok(())
    }

    /// Writes a change of state.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn add(&self, t: &Transition) -> Result<(), IndexError> {
        self.db
            .prepare(
                "INSERT INTO transitions (id, at, from_state, to_state, source, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![t.id, t.at as i64, t.from, t.to, t.source, t.detail])?;
        Ok(())
    }

    /// Forgets a session and how its states followed each other.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove(&self, id: &str) -> Result<(), IndexError> {
        self.db.prepare("DELETE FROM sessions WHERE id = ?1")?.execute([id])?;
        self.db.prepare("DELETE FROM transitions WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// The newest changes of a session's state, newest first, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn transitions(&self, id: &str, limit: u32) -> Result<Vec<Transition>, IndexError> {
        let mut query = self.db.prepare(
            "SELECT id, at, from_state, to_state, source, detail FROM transitions
             WHERE id = ?1 ORDER BY n DESC LIMIT ?2",
        )?;
        let rows = query.query_map(params![id, limit], |row| {
            Ok(Transition {
                id: row.get(0)?,
                at: row.get::<_, i64>(1)? as u64,
                from: row.get(2)?,
                to: row.get(3)?,
                source: row.get(4)?,
                detail: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

enum Unsound {
    Version(i32),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unsound {
    fn from(e: rusqlite::Error) -> Self {
        Unsound::Sqlite(e)
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
}

fn log_files(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

fn remove_with_log(path: &Path) {
    let _ = std::fs::remove_file(path);
    for file in log_files(path) {
        let _ = std::fs::remove_file(file);
    }
}

fn move_aside(path: &Path, now_ms: u64) -> Result<PathBuf, IndexError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".damaged-{now_ms}"));
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside)
        .map_err(|source| IndexError::Aside { path: path.to_owned(), source })?;
    // A log of the damaged file must not be played into the new one.
    for file in log_files(path) {
        let _ = std::fs::remove_file(file);
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_wire::session::Spec;

    fn session(id: &str) -> Session {
        let spec: Spec = serde_json::from_value(serde_json::json!(
            {"id": id, "name": id, "command": ["sh"], "cwd": "/", "created": 1}
        ))
        .unwrap();
        crate::record::from_spec(&spec, None)
    }

    fn change(id: &str, at: u64) -> Transition {
        let before = Status::unknown(0, "");
        Transition::new(id, &before, &Status { since: at, ..before.clone() })
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.sqlite");
        let opened = Store::open(&path, 1).unwrap();
        assert_eq!(opened.remade.as_deref(), Some("the index was missing"));
        opened.store.begin().unwrap();
        opened.store.put(&session("a")).unwrap();
        opened.store.put(&session("b")).unwrap();
        opened.store.remove("b").unwrap();
        opened.store.add(&change("a", 7)).unwrap();
        opened.store.commit().unwrap();
        drop(opened);
        let opened = Store::open(&path, 2).unwrap();
        assert_eq!(opened.remade, None);
        assert_eq!(opened.sessions.len(), 1);
        assert_eq!(opened.sessions["a"], session("a"));
        assert_eq!(opened.store.transitions("a", 10).unwrap(), [change("a", 7)]);
        assert!(opened.store.in_place());
        std::fs::remove_file(&path).unwrap();
        assert!(!opened.store.in_place());
    }

    #[test]
    fn a_damaged_index_is_kept_aside_and_made_anew() {
        for garbage in
            [&b"this is no database, only text that is long enough to be looked at"[..], &[0; 5000]]
        {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("index.sqlite");
            std::fs::write(&path, garbage).unwrap();
            std::fs::write(dir.path().join("index.sqlite-wal"), "old log").unwrap();
            let opened = Store::open(&path, 99).unwrap();
            let why = opened.remade.unwrap();
            assert!(why.contains("damaged") && why.contains("index.sqlite.damaged-99"), "{why}");
            assert_eq!(std::fs::read(dir.path().join("index.sqlite.damaged-99")).unwrap(), garbage);
            opened.store.begin().unwrap();
            opened.store.put(&session("a")).unwrap();
            opened.store.commit().unwrap();
        }
    }

    #[test]
    fn damage_in_the_middle_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.sqlite");
        let store = Store::open(&path, 1).unwrap().store;
        store.begin().unwrap();
        for n in 0..500 {
            store.put(&session(&format!("s{n}"))).unwrap();
        }
        store.commit().unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let why = Store::open(&path, 5).unwrap().remade.unwrap();
        assert!(why.contains("damaged"), "{why}");
    }

    #[test]
    fn an_index_of_another_version_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.sqlite");
        let store = Store::open(&path, 1).unwrap().store;
        store.db.execute_batch("PRAGMA user_version = 77").unwrap();
        drop(store);
        let opened = Store::open(&path, 2).unwrap();
        let why = opened.remade.unwrap();
        assert!(why.contains("version 77"), "{why}");
        drop(opened.store);
        assert_eq!(Store::open(&path, 3).unwrap().remade, None);
    }

    #[test]
    fn the_table_of_transitions_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("index.sqlite"), 1).unwrap().store;
        store.begin().unwrap();
        for n in 0..KEPT as u64 + 50 {
            store.add(&change("a", n)).unwrap();
        }
        store.commit().unwrap();
        let all = store.transitions("a", u32::MAX).unwrap();
        assert_eq!(all.len() as i64, KEPT);
        assert_eq!(all[0].at, KEPT as u64 + 49);
    }
}
