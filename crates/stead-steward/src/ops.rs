//! What clients ask for, about sessions that are there.

use crate::StewardError;
use crate::keeper::{PATIENCE, Request};
use crate::remote::Alive;
use crate::shared::Core;
use crate::steward::Steward;
use crate::table::Entry;
use crate::waitable::waitable;
use serde_json::Value;
use std::time::Duration;
use stead_hold::clock::now_ms;
use stead_hold::folder::Folder;
use stead_wire::message::Ask;
use stead_wire::session::{EndedBy, Session, check_name};
use stead_wire::status::{Evidence, State, Status};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a list waits for holds that are at work.
const LIST_PATIENCE: Duration = Duration::from_secs(2);
/// How long a hold may take to end its command: it hangs up first and kills later.
const END_PATIENCE: Duration = Duration::from_secs(15);
/// Past states shown by [`Steward::explain`].
const PAST: u32 = 10;

impl Steward {
    /// Every session, oldest first. Holds that are at work are asked; those at rest have said all there is.
    pub async fn list(&self) -> Vec<Session> {
        let mut asked = JoinSet::new();
        let busy: Vec<String> = {
            let table = self.core.lock();
            let busy = |e: &&Entry| e.unasked || e.session.attached > 0 || at_work(&e.session);
            table.entries.values().filter(busy).map(|e| e.session.id.clone()).collect()
        };
        for id in busy {
            let core = self.core.clone();
            asked.spawn(async move { core.refresh(&id, LIST_PATIENCE).await });
        }
        while asked.join_next().await.is_some() {}
        self.core.lock().all()
    }

    /// One session, by name or id, as it is now.
    ///
    /// # Errors
    /// If there is none.
    pub async fn get(&self, name: &str) -> Result<Session, StewardError> {
        let id = self.find(name)?;
        self.core.refresh(&id, PATIENCE).await;
        let session = self.session(&id)?;
        if session.exit.is_some_and(|exit| exit.by == EndedBy::Lost)
            && let Some(gate) = self.core.gate(&id)
        {
            // Its next life may be beginning just now: whoever asks wants that one.
            let _ = timeout(PATIENCE, gate.lock()).await;
        }
        self.session(&id)
    }

    /// The evidence behind a session's status.
    ///
    /// # Errors
    /// If there is no such session, or its hold does not answer.
    pub async fn explain(&self, name: &str) -> Result<Vec<Evidence>, StewardError> {
        let session = self.get(name).await?;
        if session.exit.is_none() && !is_silent(&session.status) {
            let value = self.core.ask(&session.id, Ask::Explain, PATIENCE).await?;
            return serde_json::from_value(value).map_err(|e| {
                StewardError::failed(format!("the hold's answer cannot be read: {e}"))
            });
        }
        let Status { state, source, since, detail } = session.status.clone();
        let mut all = vec![Evidence { source, state, at: since, detail, decides: true }];
        for past in self.core.index.transitions(&session.id, PAST).await {
            let detail = format!("was {} before, then {}: {}", past.from, past.to, past.detail);
            let (source, state) = (word(&past.source), word(&past.to));
            if let (Some(source), Some(state)) = (source, state) {
                all.push(Evidence { source, state, at: past.at, detail, decides: false });
            }
        }
        Ok(all)
    }

    /// Signals a session's foreground processes, or ends the session (signal 0), and returns it as it is
    /// then. A session that a person ended is not started again by itself.
    ///
    /// # Errors
    /// If there is no such session, it has ended, or its hold does not answer.
    pub async fn kill(&self, name: &str, signal: i32) -> Result<Session, StewardError> {
        let id = self.find(name)?;
        if !(0..=64).contains(&signal) {
            return Err(StewardError::invalid(format!("there is no signal {signal}"))
                .with_help("a number from 1 to 64, or 0 to end the session"));
        }
        let session = self.living(&id)?;
        self.core.end(&session, signal).await?;
        self.session(&id)
    }

    /// Gives a session another name.
    ///
    /// # Errors
    /// If there is no such session, or the name is taken or not allowed.
    pub async fn rename(&self, old: &str, new: &str) -> Result<Session, StewardError> {
        check_name(new).map_err(StewardError::invalid)?;
        let id = {
            let table = self.core.lock();
            let id = table.find(old)?;
            if table.entries[&id].session.name == new {
                return Ok(table.entries[&id].session.clone());
            }
            if let Some(error) = table.refuse(new) {
                return Err(error);
            }
            id
        };
        self.core.places.session(&id).rename(new)?;
        if let Some(machine) = self.core.machine_of(&id) {
            machine.rename(&id, new);
        }
        let session = self.core.change(&id, |session| new.clone_into(&mut session.name));
        let living = session.as_ref().is_some_and(|s| s.exit.is_none());
        if living {
            // The folder has the name; a hold that cannot be told now reads it at its next start.
            let _ = self.core.ask(&id, Ask::Rename { name: new.to_owned() }, PATIENCE).await;
        }
        session.ok_or_else(|| StewardError::NotFound(old.to_owned()))
    }

    /// Ends a session if it runs, and begins its next life.
    ///
    /// # Errors
    /// If there is no such session, it does not end, or does not start.
    pub async fn restart(&self, name: &str) -> Result<Session, StewardError> {
        let id = self.find(name)?;
        let session = self.session(&id)?;
        if session.exit.is_none() && session.status.state != State::Exited {
            let ended = self.core.end(&session, 0).await;
            if ended.is_err()
                && let Some(entry) = self.core.lock().entries.get_mut(&id)
            {
                // It was to begin again: its own end is still answered by its policy.
                entry.killed = false;
            }
            ended?;
        }
        let Some(gate) = self.core.gate(&id) else { return Err(not_found(name)) };
        let guard = gate.lock().await;
        self.core.hold_gone(&session).await?;
        if let Some(entry) = self.core.lock().entries.get_mut(&id) {
            entry.killed = false;
            entry.tries.reset();
        }
        let result = self.core.begin_life(&id).await;
        drop(guard);
        self.core.wake(&id);
        result?;
        self.session(&id)
    }

    /// Removes an ended session with all its history.
    ///
    /// # Errors
    /// If there is no such session, it has not ended, or its folder cannot be removed.
    pub async fn remove(&self, name: &str) -> Result<(), StewardError> {
        let id = self.find(name)?;
        let session = self.core.refresh(&id, PATIENCE).await.ok_or_else(|| not_found(name))?;
        let Some(gate) = self.core.gate(&id) else { return Err(not_found(name)) };
        let _gate = gate.lock().await;
        let folder = self.core.places.session(&id);
        let machine = self.core.machine_of(&id);
        if session.exit.is_none() && self.core.may_live(&folder) {
            let name = &session.name;
            return Err(StewardError::invalid(format!(
                "\"{name}\" has not ended: it is {}",
                session.status.state
            ))
            .with_help(format!("stead kill {name}, then stead rm {name}")));
        }
        self.core.hold_gone(&session).await?;
        if let Some(machine) = machine {
            machine.remove(&self.core, &id).await?;
        }
        tokio::task::spawn_blocking(move || folder.remove())
            .await
            .map_err(|e| StewardError::failed(e.to_string()))??;
        let _ = std::fs::remove_file(self.core.places.hold_socket(&id));
        self.core.forget(&id);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<String, StewardError> {
        self.core.lock().find(name)
    }

    fn session(&self, id: &str) -> Result<Session, StewardError> {
        self.core.lock().entries.get(id).map(|e| e.session.clone()).ok_or_else(|| not_found(id))
    }

    fn living(&self, id: &str) -> Result<Session, StewardError> {
        let session = self.session(id)?;
        match &session.exit {
            Some(exit) => Err(StewardError::Ended { name: session.name, how: exit.to_string() }),
            None => Ok(session),
        }
    }
}

/// Whether this is the steward's own word that a hold or its machine says nothing (each begins so). A hold may say
/// "unknown" itself.
fn is_silent(status: &Status) -> bool {
    let own = ["its hold", "its machine"].iter().any(|begin| status.detail.starts_with(begin));
    status.state == State::Unknown && own
}

impl Core {
    /// Asks a session's hold.
    ///
    /// # Errors
    /// If there is no way to it, or it does not answer in time.
    pub async fn ask(&self, id: &str, ask: Ask, patience: Duration) -> Result<Value, StewardError> {
        let answer = self.ask_while_it_lives(id, ask, patience).await?;
        answer.ok_or_else(|| StewardError::failed("its hold has ended meanwhile"))
    }

    /// As [`Core::ask`]; `None` if the hold ended before it answered.
    async fn ask_while_it_lives(
        &self,
        id: &str,
        ask: Ask,
        patience: Duration,
    ) -> Result<Option<Value>, StewardError> {
        let silent = || {
            StewardError::failed("its hold does not answer")
                .with_help("\"stead status --explain\" shows what is known of it")
        };
        let Some(requests) = self.requests(id) else {
            return Err(StewardError::failed("it has no hold that could be asked"));
        };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            requests.send(Request { ask, answer }).await.ok()?;
            answered.await.ok()
        };
        match timeout(patience, asked).await {
            Ok(Some(result)) => result.map(Some).map_err(StewardError::failed),
            Ok(None) => Ok(None),
            Err(_) => Err(silent()),
        }
    }

    /// Asks a living session's hold for everything and returns what is known then. A hold that lives and
    /// does not answer makes the status unknown; its late answer makes it known again.
    pub async fn refresh(&self, id: &str, patience: Duration) -> Option<Session> {
        if self.lock().entries.get(id)?.unasked {
            let _ = timeout(patience, self.first_word(id)).await;
            return self.lock().entries.get(id).map(|e| e.session.clone());
        }
        let session = self.lock().entries.get(id).map(|e| e.session.clone())?;
        // One that is known to be silent is not waited for again.
        if session.exit.is_none() && !is_silent(&session.status) {
            let requests = self.requests(id)?;
            let (answer, answered) = oneshot::channel();
            let asked = async {
                requests.send(Request { ask: Ask::Info, answer }).await.ok()?;
                answered.await.ok()
            };
            if timeout(patience, asked).await.is_err() {
                self.change(id, |session| {
                    session.status = Status::unknown(now_ms(), "its hold does not answer");
                });
            }
        }
        self.lock().entries.get(id).map(|e| e.session.clone())
    }

    /// Returns once a session's task has had its first word from the hold.
    async fn first_word(&self, id: &str) {
        loop {
            let word = self.first_words.notified();
            if self.lock().entries.get(id).is_none_or(|e| !e.unasked) {
                return;
            }
            word.await;
        }
    }

    /// Asks a hold to signal its command or to end, and waits for the end in the latter case.
    async fn end(&self, session: &Session, signal: i32) -> Result<(), StewardError> {
        let id = &session.id;
        if signal == 0
            && let Some(entry) = self.lock().entries.get_mut(id)
        {
            entry.killed = true;
        }
        let mut changes = self.subscribe();
        let kill = Ask::Kill { signal, by_person: true };
        let told = self.ask_while_it_lives(id, kill, PATIENCE).await.map_err(|e| {
            e.with_help(format!(
                "if its hold hangs: end the hold itself, then \"stead restart {}\"",
                session.name
            ))
        })?;
        if signal != 0 {
            return match told {
                Some(_) => Ok(()),
                None => Err(StewardError::failed(format!("\"{}\" has just ended", session.name))),
            };
        }
        // A hold that ended before it could answer has ended all the same: that is what was asked for.
        let ended = async {
            while self.lock().entries.get(id).is_some_and(|e| e.session.exit.is_none()) {
                // A lagging receiver has missed changes, so it looks again, too.
                let _ = changes.recv().await;
            }
        };
        timeout(END_PATIENCE, ended).await.map_err(|_| {
            StewardError::failed(format!("\"{}\" has been told to end and has not", session.name))
        })?;
        // A person ended it and knows: its hold need not wait for a reader.
        let _ = self.ask(id, Ask::Ack, PATIENCE).await;
        Ok(())
    }

    /// Sees to it that an ended session's hold, which may linger for a reader, is gone.
    async fn hold_gone(&self, session: &Session) -> Result<(), StewardError> {
        let folder = self.places.session(&session.id);
        let Some(run) = folder.run()? else { return Ok(()) };
        if let Some(machine) = self.machine_of(&session.id) {
            if machine.link_now().is_none() {
                // Whoever needs the machine asks it; an end that is known stands without it.
                return Ok(());
            }
            let _ = self.ask(&session.id, Ask::Ack, PATIENCE).await;
            return match timeout(PATIENCE, machine.wait_gone(&session.id, &run)).await {
                Ok(gone) => gone,
                Err(_) => Err(StewardError::failed(format!(
                    "the hold of \"{}\" in \"{}\" does not go",
                    session.name, session.machine
                ))),
            };
        }
        let Some(ends) = self.holds.watch(&run) else { return Ok(()) };
        let _ = self.ask(&session.id, Ask::Ack, PATIENCE).await;
        let ends = waitable(ends).map_err(StewardError::io("watch a hold"))?;
        match timeout(PATIENCE, ends.readable()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StewardError::failed(format!(
                "the hold of \"{}\" (process {}) does not go",
                session.name, run.hold
            ))
            .with_help(format!("kill {}", run.hold))),
        }
    }

    /// Whether a session may be alive: also when that cannot be told.
    fn may_live(&self, folder: &Folder) -> bool {
        match folder.run() {
            Ok(Some(run)) => self.alive(folder.id(), &run) != Alive::No,
            Ok(None) => self
                .machine_of(folder.id())
                .is_some_and(|machine| machine.alive(folder.id(), None) != Alive::No),
            Err(_) => self.places.hold_socket(folder.id()).exists(),
        }
    }
}

fn not_found(name: &str) -> StewardError {
    StewardError::NotFound(name.to_owned())
}

fn at_work(session: &Session) -> bool {
    session.exit.is_none() && matches!(session.status.state, State::Running | State::Waiting)
}

fn word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}
