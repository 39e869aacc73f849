//! Sessions that come and go without the steward's doing, told by inotify.

use crate::Places;
use crate::inotify::{Change, Folders, ReadFlags, WatchFlags};
use crate::record;
use crate::shared::Core;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Time between two attempts to watch, while it does not work.
const RETRY: Duration = Duration::from_secs(5);

/// The folders that are watched, by the numbers of their watches.
struct Watches {
    sessions: i32,
    holds: i32,
    runtime: i32,
    data: i32,
}

impl Watches {
    fn set(folders: &Folders, places: &Places) -> io::Result<Self> {
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let come = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        Ok(Watches {
            sessions: folders.watch(&places.sessions(), itself | gone | WatchFlags::MOVED_TO)?,
            holds: folders.watch(&places.holds(), itself | come | gone)?,
            runtime: folders.watch(&places.runtime, itself | gone)?,
            data: folders.watch(&places.data, itself | gone)?,
        })
    }

    /// Whether what is watched is no longer what there is. The kernel tells of a folder's own end only once
    /// nobody uses it, and every connection to a socket in it does; the folder above tells at once.
    fn lost(&self, change: &Change) -> bool {
        change.blind() || (change.watch == self.runtime && change.name == "holds")
    }
}

/// Begins to watch; the task ends with the steward. Where the kernel has no inotify instance left for this user,
/// the steward serves all the same, and it is tried again until there is one.
pub fn start(core: &Arc<Core>) {
    let ready = set(&core.places).ok();
    tokio::spawn(watch(Arc::downgrade(core), ready));
}

async fn watch(core: Weak<Core>, mut ready: Option<(Folders, Watches)>) {
    loop {
        let changes = match &ready {
            Some((folders, _)) => folders.next().await.ok(),
            None => None,
        };
        match (changes, &ready) {
            (Some(changes), Some((_, watches))) if !changes.iter().any(|c| watches.lost(c)) => {
                let Some(core) = core.upgrade() else { return };
                for change in &changes {
                    seen(&core, watches, change);
                }
            }
            _ => match again(&core).await {
                None => return,
                mended => ready = mended,
            },
        }
    }
}

fn set(places: &Places) -> io::Result<(Folders, Watches)> {
    places.create().map_err(io::Error::other)?;
    let folders = Folders::new()?;
    let watches = Watches::set(&folders, places)?;
    Ok((folders, watches))
}

fn tell(core: &Core, error: &io::Error) {
    core.tell(format!(
        "the folders of the sessions cannot be watched: {error}; sessions made without the steward are found \
         late (if inotify instances are lacking: sysctl fs.inotify.max_user_instances)"
    ));
}

fn seen(core: &Arc<Core>, watches: &Watches, change: &Change) {
    if change.watch == watches.holds {
        if let Some(id) = change.name.strip_suffix(".sock") {
            core.discover(id);
        }
    } else if change.watch == watches.sessions {
        if change.what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
            core.forget(&change.name);
        } else {
            core.discover(&change.name);
        }
    } else if change.watch == watches.data && change.name == "index.sqlite" {
        core.index.check();
    }
}

/// Makes folders that are gone and watches them again, however long that takes, then looks at everything: whatever
/// happened meanwhile was not told. `None`: the steward has ended.
async fn again(core: &Weak<Core>) -> Option<(Folders, Watches)> {
    let mut told = false;
    loop {
        {
            let core = core.upgrade()?;
            match set(&core.places) {
                Ok(ready) => {
                    core.look_everywhere();
                    return Some(ready);
                }
                Err(e) if !told => {
                    told = true;
                    tell(&core, &e);
                }
                Err(_) => {}
            }
            core.look_everywhere();
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl Core {
    /// Looks at a session that may be new, or whose socket has come.
    pub fn discover(&self, id: &str) {
        let known = {
            let table = self.lock();
            if table.starting.contains(id) {
                return;
            }
            table.entries.contains_key(id)
        };
        if !known {
            let folder = self.places.session(id);
            match record::from_folder(&folder, None) {
                Ok(session) if session.id == id => self.insert(&session),
                // A hold's socket without a readable folder: there is nothing to show.
                Ok(_) | Err(_) => return,
            }
        }
        self.wake(id);
    }

    /// Compares the table with the folders: after changes that nobody could tell.
    fn look_everywhere(&self) {
        let Ok(folders) = self.places.all_sessions() else { return };
        let there: Vec<String> = folders.iter().map(|folder| folder.id().to_owned()).collect();
        let gone: Vec<String> =
            self.lock().entries.keys().filter(|id| !there.contains(id)).cloned().collect();
        for id in gone {
            self.forget(&id);
        }
        for id in there {
            self.discover(&id);
        }
        self.index.check();
    }
}
