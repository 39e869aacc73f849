//! One machine: the stream to its bridge, and what is known of the sessions in it.

use super::door::Door;
use super::link::Link;
use super::{Alive, BridgeError, check};
use crate::StewardError;
use crate::shared::Core;
use crate::steward::lock_of;
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use stead_wire::bridge::{Ask, Event, Note, check_id};
use stead_wire::session::Run;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long an engine may take to hand over a stream.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a bridge may take to greet, and to tell of all sessions.
const GREET: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_mins(1);
/// A stream that stood for this long makes up for the failures before it.
const GOOD_LINK: Duration = Duration::from_secs(30);
/// How long a stream is kept that nobody needs.
const IDLE: Duration = Duration::from_mins(1);
/// Most sessions that one machine may tell of.
const MAX_SESSIONS: usize = 4096;

/// How far the steward reaches.
enum Reach {
    /// Nobody has asked yet.
    Unasked,
    /// It could not be asked, and why.
    Unknown(String),
    /// It certainly does not run.
    Stopped,
    /// There certainly is no such machine.
    Gone,
    /// Its bridge has told of every session.
    Connected(Arc<Link>),
}

struct State {
    reach: Reach,
    /// What the present bridge has told, as it was checked.
    notes: HashMap<String, Note>,
    doors: HashMap<String, Door>,
    /// The copies that are being made, by session.
    copies: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// How many attempts to connect have been finished.
    attempts: u64,
    /// How often the engine has said that it went down.
    downs: u64,
    /// How many are stopping it, or stopping it to start it again.
    stoppers: u32,
    task: Option<AbortHandle>,
    /// Visits and copies under way.
    tasks: Vec<AbortHandle>,
}

/// One machine that sessions run in, or have run in.
pub struct Machine {
    pub name: String,
    core: Weak<Core>,
    state: Mutex<State>,
    /// Told of everything that is new here.
    changed: watch::Sender<()>,
    poke: Notify,
    cancel: Notify,
}

/// A machine that is being stopped, until this is dropped; by then it has been told what has become of it.
#[must_use]
pub struct Stopping(Arc<Machine>);

impl Drop for Stopping {
    fn drop(&mut self) {
        lock_of(&self.0.state).stoppers -= 1;
        self.0.stir();
        if let Some(core) = self.0.core() {
            // Lives that ended meanwhile, and were not to be followed by others.
            core.wake_machine(&self.0.name);
        }
    }
}

impl Machine {
    pub fn new(name: &str, core: Weak<Core>) -> Arc<Self> {
        let state = State {
            reach: Reach::Unasked,
            notes: HashMap::new(),
            doors: HashMap::new(),
            copies: HashMap::new(),
            attempts: 0,
            downs: 0,
            stoppers: 0,
            task: None,
            tasks: Vec::new(),
        };
        Arc::new(Machine {
            name: name.to_owned(),
            core,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            poke: Notify::new(),
            cancel: Notify::new(),
        })
    }

    pub fn core(&self) -> Option<Arc<Core>> {
        self.core.upgrade()
    }

    /// Ends a task with this machine.
    pub fn keep(&self, task: AbortHandle) {
        let mut state = lock_of(&self.state);
        state.tasks.retain(|task| !task.is_finished());
        state.tasks.push(task);
    }

    /// Lets go of everything.
    pub fn end(&self) {
        let mut state = lock_of(&self.state);
        let own = state.task.take();
        for task in state.tasks.drain(..).chain(own) {
            task.abort();
        }
        if let Reach::Connected(link) = &state.reach {
            link.close("the steward ends");
        }
        state.reach = Reach::Unasked;
        let doors = std::mem::take(&mut state.doors);
        drop(state);
        // The next steward opens them again; until then nobody should wait at them.
        drop(doors);
    }

    /// The stream, if it stands.
    pub fn link_now(&self) -> Option<Arc<Link>> {
        match &lock_of(&self.state).reach {
            Reach::Connected(link) if !link.is_over() => Some(link.clone()),
            _ => None,
        }
    }

    /// What keeps the steward from reaching the machine, in words that follow "its machine".
    fn obstacle(&self) -> String {
        let state = lock_of(&self.state);
        match &state.reach {
            Reach::Unasked | Reach::Unknown(_) if state.stoppers > 0 => "is being stopped".into(),
            Reach::Unasked => "has not been asked yet".into(),
            Reach::Unknown(why) => format!("cannot be reached: {why}"),
            Reach::Stopped => "does not run".into(),
            Reach::Gone => "is gone".into(),
            Reach::Connected(_) => "has just been lost sight of".into(),
        }
    }

    /// Returns the stream once it stands; `None` once that is hopeless.
    pub async fn connected(self: &Arc<Self>) -> Option<Arc<Link>> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(link) = self.link_now() {
                return Some(link);
            }
            if matches!(lock_of(&self.state).reach, Reach::Stopped | Reach::Gone) {
                return None;
            }
            self.ask();
            changed.changed().await.ok()?;
        }
    }

    /// The stream; connects if need be.
    ///
    /// # Errors
    /// If the machine cannot be reached now.
    pub async fn link(self: &Arc<Self>) -> Result<Arc<Link>, StewardError> {
        let mut changed = self.changed.subscribe();
        let tried = |state: &State| (state.attempts, state.downs);
        let seen = tried(&lock_of(&self.state));
        if let Some(link) = self.link_now() {
            return Ok(link);
        }
        if !self.ask() {
            self.poke.notify_one();
        }
        let result = async {
            loop {
                if let Some(link) = self.link_now() {
                    return Some(link);
                }
                if tried(&lock_of(&self.state)) != seen || changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        match timeout(CONNECT + GREET * 2, result).await {
            Ok(Some(link)) => Ok(link),
            _ => Err(self.unreachable()),
        }
    }

    /// The stream, for something that is to begin.
    ///
    /// # Errors
    /// If the machine cannot be reached now, or is being stopped.
    pub async fn link_to_begin(self: &Arc<Self>) -> Result<Arc<Link>, StewardError> {
        if self.is_stopping() {
            return Err(StewardError::Unreachable {
                message: format!("the machine \"{}\" is being stopped", self.name),
                help: format!("when that is done: stead up {}", self.name),
            });
        }
        self.link().await
    }

    /// Why nothing can be done in the machine now.
    pub fn unreachable(&self) -> StewardError {
        let help = match &lock_of(&self.state).reach {
            Reach::Stopped => format!("stead up {}", self.name),
            _ => "\"stead ls\" shows the machines".to_owned(),
        };
        let message = format!("the machine \"{}\" {}", self.name, self.obstacle());
        StewardError::Unreachable { message, help }
    }

    /// Begins to connect, if nobody has. Whether an attempt has just been begun.
    pub fn ask(self: &Arc<Self>) -> bool {
        let mut state = lock_of(&self.state);
        if state.task.as_ref().is_some_and(|task| !task.is_finished()) {
            if matches!(state.reach, Reach::Unasked) {
                self.poke.notify_one();
            }
            return false;
        }
        state.task = Some(tokio::spawn(self.clone().run()).abort_handle());
        true
    }

    /// Whether a hold runs; without a life, whether there is any.
    pub fn alive(self: &Arc<Self>, id: &str, run: Option<&Run>) -> Alive {
        {
            let state = lock_of(&self.state);
            match &state.reach {
                Reach::Stopped | Reach::Gone => return Alive::No,
                Reach::Connected(link) if !link.is_over() => {
                    let note = state.notes.get(id).filter(|note| note.alive);
                    let runs = note.is_some_and(|n| run.is_none() || n.run.as_ref() == run);
                    return if runs { Alive::Yes } else { Alive::No };
                }
                _ => {}
            }
        }
        self.ask();
        Alive::Unknown(format!("its machine {}", self.obstacle()))
    }

    /// Somebody is about to stop it. Until the guard goes, no stream into it is made and nothing begins in it: what runs
    /// inside is ending, and a life that began there now would be lost at once. A stream that stands is kept.
    pub fn stopping(self: &Arc<Self>) -> Stopping {
        lock_of(&self.state).stoppers += 1;
        Stopping(self.clone())
    }

    /// Whether it is being stopped.
    pub fn is_stopping(&self) -> bool {
        lock_of(&self.state).stoppers > 0
    }

    /// Returns once nobody is stopping it.
    async fn settled(&self) {
        let mut changed = self.changed.subscribe();
        while self.is_stopping() && changed.changed().await.is_ok() {}
    }

    /// Whether the machine has been asked, with whatever result.
    pub fn asked(&self) -> bool {
        !matches!(lock_of(&self.state).reach, Reach::Unasked)
    }

    /// Returns once the hold of this life is gone. An error if that cannot be seen.
    pub async fn wait_gone(self: &Arc<Self>, id: &str, run: &Run) -> Result<(), StewardError> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.alive(id, Some(run)) {
                Alive::No => return Ok(()),
                Alive::Unknown(_) => return Err(self.unreachable()),
                Alive::Yes => {}
            }
            if changed.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    fn stir(&self) {
        self.changed.send_replace(());
    }

    fn set_reach(self: &Arc<Self>, reach: Reach) {
        let doors = {
            let mut state = lock_of(&self.state);
            let down = matches!(reach, Reach::Stopped | Reach::Gone);
            if let Reach::Connected(link) = std::mem::replace(&mut state.reach, reach) {
                link.close("its machine went down");
            }
            if down {
                state.notes.clear();
            }
            if down { std::mem::take(&mut state.doors) } else { HashMap::new() }
        };
        drop(doors);
        self.stir();
        if let Some(core) = self.core() {
            core.wake_machine(&self.name);
        }
    }

    /// The engine says that it runs now.
    pub fn up(self: &Arc<Self>) {
        {
            let mut state = lock_of(&self.state);
            if matches!(state.reach, Reach::Connected(_)) {
                return;
            }
            if matches!(state.reach, Reach::Stopped | Reach::Gone) {
                state.reach = Reach::Unasked;
            }
        }
        let begun = lock_of(&self.state).task.is_some();
        let needed = begun || self.core().is_some_and(|core| core.has_sessions_in(&self.name));
        if needed && !self.ask() {
            self.poke.notify_one();
        }
    }

    /// The engine says that it does not run any more, or is gone.
    pub fn down(self: &Arc<Self>, gone: bool) {
        self.cancel.notify_waiters();
        lock_of(&self.state).downs += 1;
        self.set_reach(if gone { Reach::Gone } else { Reach::Stopped });
    }

    /// The engine cannot tell. A stream that stands says more.
    pub fn unknown(self: &Arc<Self>, why: &str) {
        if self.link_now().is_none() {
            self.set_reach(Reach::Unknown(check::line(why, 500)));
            self.ask();
        }
    }

    /// Connects, and connects again, for as long as somebody wants that.
    async fn run(self: Arc<Self>) {
        let mut failures = 0u32;
        loop {
            let begun = Instant::now();
            // This attempt is what was asked for until now.
            tokio::select! {
                biased;
                () = self.poke.notified() => {}
                () = std::future::ready(()) => {}
            }
            let result = tokio::select! {
                result = self.attempt() => result,
                () = self.cancel.notified() => None,
            };
            if begun.elapsed() > GOOD_LINK {
                failures = 0;
            }
            match result {
                Some(reach) => {
                    lock_of(&self.state).attempts += 1;
                    self.set_reach(reach);
                    failures += 1;
                }
                // Somebody else has said how it is.
                None => self.stir(),
            }
            let retry = match &lock_of(&self.state).reach {
                Reach::Unknown(_) => {
                    Some((FIRST_RETRY * (1 << failures.saturating_sub(1).min(20))).min(LAST_RETRY))
                }
                _ => None,
            };
            let wanted = self.core().is_some_and(|core| core.wants(&self.name));
            let again = async {
                match retry.filter(|_| wanted) {
                    Some(retry) => sleep(retry).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = again => {}
                () = self.poke.notified() => {}
            }
        }
    }

    /// Connects and serves until the stream ends. What that means for the machine; `None` if somebody else has decided.
    async fn attempt(self: &Arc<Self>) -> Option<Reach> {
        let unknown = |why: &str| Some(Reach::Unknown(check::line(why, 500)));
        self.settled().await;
        let machines = self.core()?.remote.machines.clone();
        let stream = match timeout(CONNECT, machines.bridge(&self.name)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(BridgeError::NotRunning)) => return Some(Reach::Stopped),
            Ok(Err(BridgeError::NoSuchMachine)) => return Some(Reach::Gone),
            Ok(Err(BridgeError::Unreachable(why))) => return unknown(&why),
            Err(_) => return unknown("its engine does not answer"),
        };
        let with_words = |why: &str| match machines.last_words(&self.name) {
            Some(words) => format!("{why}: {words}"),
            None => why.to_owned(),
        };
        let (link, incoming) = match timeout(GREET, Link::open(stream)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(why)) => return unknown(&with_words(&why)),
            Err(_) => return unknown(&with_words("its bridge does not greet")),
        };
        lock_of(&self.state).notes.clear();
        let listed = async {
            if let Err(e) = link.ask::<serde_json::Value>(Ask::List, GREET).await {
                return Reach::Unknown(check::line(&e.to_string(), 500));
            }
            {
                // The answer is that of the stream's reader, which sleeps now.
                let mut state = lock_of(&self.state);
                state.attempts += 1;
                // Holds that are no more have no doors.
                let State { doors, notes, .. } = &mut *state;
                doors.retain(|id, _| notes.get(id).is_some_and(|note| note.alive));
            }
            self.set_reach(Reach::Connected(link.clone()));
            self.catch_up(&link).await;
            self.unwanted().await;
            Reach::Unasked
        };
        let told = |event: Event| self.told(event);
        let after = tokio::select! {
            why = link.serve(incoming, told) => Reach::Unknown(check::line(&why, 500)),
            reach = listed => reach,
        };
        link.close("");
        let decided = {
            let state = lock_of(&self.state);
            matches!(state.reach, Reach::Stopped | Reach::Gone)
        };
        (!decided).then_some(after)
    }

    /// Returns once nobody has wanted the stream for a while.
    async fn unwanted(&self) {
        let mut changed = self.changed.subscribe();
        let wanted = || {
            self.core().is_none_or(|core| core.wants(&self.name))
                || lock_of(&self.state).tasks.iter().any(|task| !task.is_finished())
        };
        loop {
            if wanted() {
                let _ = changed.changed().await;
                continue;
            }
            sleep(IDLE).await;
            if !wanted() {
                return;
            }
        }
    }

    /// A session's task has nothing more to do.
    pub fn rested(&self) {
        self.stir();
    }

    fn told(self: &Arc<Self>, event: Event) {
        match event {
            Event::Session { session } if check_id(&session.id) => self.noted(session),
            Event::Gone { id } => {
                lock_of(&self.state).notes.remove(&id);
                self.shut(&id);
                if let Some(core) = self.core().filter(|core| core.lock().entries.contains_key(&id))
                    && core.machine_of(&id).is_some_and(|m| m.name == self.name)
                {
                    core.wake(&id);
                }
            }
            _ => return,
        }
        self.stir();
    }

    fn noted(self: &Arc<Self>, note: Note) {
        let Some(core) = self.core() else { return };
        let note = check::note(&self.name, note);
        let id = note.id.clone();
        {
            let mut state = lock_of(&self.state);
            if state.notes.len() >= MAX_SESSIONS && !state.notes.contains_key(&id) {
                return;
            }
            state.notes.insert(id.clone(), note.clone());
        }
        let machine = core.lock().entries.get(&id).map(|e| e.session.machine.clone());
        match machine {
            Some(machine) if machine == self.name => self.take_over(&core, &note),
            // It claims a session of this host or of another machine.
            Some(_) => {}
            None => self.stranger(&core, &id),
        }
    }

    /// The note of a session, as the present bridge has told it.
    pub fn note(&self, id: &str) -> Option<Note> {
        lock_of(&self.state).notes.get(id).cloned()
    }

    /// Takes over what has been told of a session of this machine.
    pub fn take_over(self: &Arc<Self>, core: &Arc<Core>, note: &Note) {
        let over = super::mirror::write(core, note);
        if note.alive {
            self.open(core, &note.id);
        } else {
            self.shut(&note.id);
        }
        if over {
            self.copy_soon(&note.id);
        }
        let kept = core.lock().entries.get(&note.id).is_some_and(|e| e.keeper.is_some());
        if kept || core.needs_keeper(&note.id) {
            core.wake(&note.id);
        }
    }

    /// Opens the door to a session's hold.
    pub fn open(self: &Arc<Self>, core: &Core, id: &str) {
        let stands = lock_of(&self.state).doors.get(id).is_some_and(Door::stands);
        if stands {
            return;
        }
        self.shut(id);
        match Door::open(self, id, &core.places.hold_socket(id)) {
            Ok(door) => {
                lock_of(&self.state).doors.insert(id.to_owned(), door);
            }
            Err(e) => {
                core.change(id, |session| {
                    session.warning = Some(format!("its socket cannot be made: {e}"));
                });
            }
        }
    }

    fn shut(&self, id: &str) {
        let door = lock_of(&self.state).doors.remove(id);
        drop(door);
    }

    /// Puts a living hold's socket back, here and inside.
    pub fn mend(self: &Arc<Self>, core: &Core, id: &str) {
        if self.note(id).is_some_and(|note| note.alive) {
            self.open(core, id);
        }
        if let Some(link) = self.link_now() {
            let id = id.to_owned();
            let ask = async move {
                let _ = link.ask::<()>(Ask::Mend { id }, GREET).await;
            };
            self.keep(tokio::spawn(ask).abort_handle());
        }
    }

    /// Only one copy of a session is made at a time.
    pub fn copying(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = lock_of(&self.state);
        state.copies.retain(|_, lock| Arc::strong_count(lock) > 1);
        state.copies.entry(id.to_owned()).or_default().clone()
    }

    /// The sessions that the present bridge has told of.
    pub fn told_of(&self) -> Vec<String> {
        lock_of(&self.state).notes.keys().cloned().collect()
    }

    fn copy_soon(self: &Arc<Self>, id: &str) {
        let (machine, id) = (self.clone(), id.to_owned());
        let copy = async move {
            let _ = machine.copy(&id).await;
            machine.stir();
        };
        self.keep(tokio::spawn(copy).abort_handle());
    }
}
