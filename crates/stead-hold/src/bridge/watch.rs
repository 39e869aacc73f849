//! What changes in the sessions' folders and with their holds, told by the kernel.

use super::BridgeError;
use crate::folder::{Folder, Places};
use crate::launch;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use stead_wire::bridge::{Event, MAX_MESSAGE, Note, check_id};
use stead_wire::session::Run;

/// Largest note, in bytes; reports and conversations beyond are left out.
const MAX_NOTE: usize = MAX_MESSAGE / 2;

pub struct Watch {
    /// `None` where the kernel has no more watches to give: then it is looked when something is asked.
    told: Option<Told>,
    known: BTreeMap<String, Known>,
    ids: HashMap<i32, String>,
    changed: BTreeSet<String>,
}

/// Where the kernel tells of changes.
struct Told {
    folders: OwnedFd,
    sessions: i32,
    holds: i32,
}

impl Told {
    fn of(places: &Places) -> Result<Self, Errno> {
        let folders = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let come = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        let gone = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let sessions = inotify::add_watch(&folders, places.sessions(), come | gone | itself)?;
        let holds = inotify::add_watch(&folders, places.holds(), come | gone | itself)?;
        Ok(Told { folders, sessions, holds })
    }
}

#[derive(Default)]
struct Known {
    watch: Option<i32>,
    /// The living hold, and a descriptor that tells of its end.
    hold: Option<(Run, OwnedFd)>,
    told: Option<Note>,
}

impl Watch {
    /// Watches the folders of these places, and looks at all that is there. Where they cannot be watched it says so on
    /// standard error, and [`Watch::look_unwatched`] finds what has changed.
    pub fn new(places: &Places) -> Self {
        let told = Told::of(places)
            .inspect_err(|e| {
                let _ = writeln!(io::stderr(), "the sessions are not watched: {e}");
            })
            .ok();
        let mut watch =
            Watch { told, known: BTreeMap::new(), ids: HashMap::new(), changed: BTreeSet::new() };
        watch.look_everywhere(places);
        watch
    }

    /// Looks at all there is if the kernel does not tell of changes.
    pub fn look_unwatched(&mut self, places: &Places) {
        if self.told.is_none() {
            self.look_at_all(places);
        }
    }

    /// What tells that something has changed.
    pub fn folders(&self) -> Option<BorrowedFd<'_>> {
        self.told.as_ref().map(|told| told.folders.as_fd())
    }

    /// The descriptors of the living holds.
    pub fn holds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.known.values().filter_map(|known| known.hold.as_ref()).map(|(_, fd)| fd.as_fd())
    }

    /// Everything is to be told, whether it has changed or not.
    pub fn look_everywhere(&mut self, places: &Places) {
        for known in self.known.values_mut() {
            known.told = None;
        }
        self.look_at_all(places);
    }

    fn look_at_all(&mut self, places: &Places) {
        for folder in places.all_sessions().unwrap_or_default() {
            self.touch(folder.id());
        }
        let known: Vec<String> = self.known.keys().cloned().collect();
        self.changed.extend(known);
    }

    fn touch(&mut self, id: &str) {
        if check_id(id) {
            self.changed.insert(id.to_owned());
        }
    }

    /// Takes in what the kernel has told, without waiting.
    pub fn look(&mut self, places: &Places) -> Result<(), BridgeError> {
        let Some(told) = &self.told else { return Ok(()) };
        let (sessions, holds) = (told.sessions, told.holds);
        let mut buf = [MaybeUninit::uninit(); 4096];
        let mut seen = Vec::new();
        let mut reader = inotify::Reader::new(&told.folders, &mut buf);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|n| n.to_string_lossy().into_owned());
                    seen.push((event.wd(), event.events(), name.unwrap_or_default()));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(e) => return Err(io::Error::from(e).into()),
            }
        }
        for (watch, what, name) in seen {
            let lost = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.look_everywhere(places);
            } else if watch == sessions || watch == holds {
                if what.intersects(lost) {
                    // The next bridge makes them again and begins from what is there.
                    let what = "the sessions: their folder is gone".to_owned();
                    let source = io::Error::from(io::ErrorKind::NotFound);
                    return Err(BridgeError::Watch { what, source });
                }
                self.touch(name.strip_suffix(".sock").unwrap_or(&name));
            } else if let Some(id) = self.ids.get(&watch).cloned() {
                if what.contains(ReadFlags::IGNORED) {
                    self.ids.remove(&watch);
                    if let Some(known) = self.known.get_mut(&id) {
                        known.watch = known.watch.filter(|w| *w != watch);
                    }
                    self.touch(&id);
                } else {
                    self.touch(&id);
                }
            }
        }
        Ok(())
    }

    /// Finds holds that have ended.
    pub fn look_at_holds(&mut self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let living: Vec<(&String, &OwnedFd)> = self
            .known
            .iter()
            .filter_map(|(id, known)| known.hold.as_ref().map(|(_, fd)| (id, fd)))
            .collect();
        if living.is_empty() {
            return;
        }
        let mut fds: Vec<PollFd<'_>> =
            living.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::IN)).collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0) {
            return;
        }
        let over: Vec<String> = fds
            .iter()
            .zip(&living)
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, (id, _))| (*id).clone())
            .collect();
        drop(fds);
        for id in over {
            if let Some(known) = self.known.get_mut(&id) {
                known.hold = None;
            }
            self.changed.insert(id);
        }
    }

    /// The next change that the steward has not been told of.
    pub fn next_change(&mut self, places: &Places) -> Option<Event> {
        while let Some(id) = self.changed.pop_first() {
            let folder = places.session(&id);
            if !folder.path().join("spec.json").exists() {
                if !folder.path().exists()
                    && let Some(known) = self.known.remove(&id)
                {
                    self.unwatch(&known);
                    if known.told.is_some() {
                        return Some(Event::Gone { id });
                    }
                } else if folder.path().exists() {
                    // It is being made: what comes into it is told.
                    self.watch_folder(&id, &folder);
                    if folder.path().join("spec.json").exists() {
                        // It came before it could be seen to come.
                        self.changed.insert(id);
                    }
                }
                continue;
            }
            self.watch_folder(&id, &folder);
            let note = self.note(&id, &folder, places);
            let known = self.known.entry(id).or_default();
            let begun = note.run.is_some() || note.exit.is_some();
            if begun && known.told.as_ref() != Some(&note) {
                known.told = Some(note.clone());
                return Some(Event::Session { session: note });
            }
        }
        None
    }

    fn watch_folder(&mut self, id: &str, folder: &Folder) {
        let known = self.known.entry(id.to_owned()).or_default();
        let Some(told) = &self.told else { return };
        if known.watch.is_some() {
            return;
        }
        let what = WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::ONLYDIR;
        if let Ok(watch) = inotify::add_watch(&told.folders, folder.path(), what) {
            known.watch = Some(watch);
            self.ids.insert(watch, id.to_owned());
        }
    }

    fn unwatch(&mut self, known: &Known) {
        if let (Some(told), Some(watch)) = (&self.told, known.watch) {
            self.ids.remove(&watch);
            let _ = inotify::remove_watch(&told.folders, watch);
        }
    }

    fn note(&mut self, id: &str, folder: &Folder, places: &Places) -> Note {
        // The process first: what an ended hold has written is then all there.
        let run = folder.run().ok().flatten();
        let known = self.known.entry(id.to_owned()).or_default();
        if known.hold.as_ref().map(|(run, _)| run) != run.as_ref() {
            known.hold = run.as_ref().and_then(|run| Some((run.clone(), launch::watch(run)?)));
        }
        let alive = known.hold.is_some() || run.as_ref().is_some_and(launch::alive);
        let mut note = Note {
            id: id.to_owned(),
            alive,
            listens: alive && places.hold_socket(id).exists(),
            run,
            exit: folder.exit().ok().flatten(),
            conversation: folder.conversation().ok().flatten(),
            report: folder.report().ok().flatten(),
        };
        if serde_json::to_vec(&note).map_or(0, |text| text.len()) > MAX_NOTE {
            (note.conversation, note.report) = (None, None);
        }
        note
    }
}
