//! What the rest of the program says to the steward about machines, and asks of them.

use super::link::{AskError, Ended};
use super::machine::{Machine, Stopping};
use crate::shared::Core;
use crate::steward::Steward;
use crate::{Places, StewardError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stead_hold::clock::now_ms;
use stead_wire::bridge::Ask;
use stead_wire::message::Ask as HoldAsk;
use stead_wire::session::{EndedBy, Exit, Restart, Session, Size};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a hold may take to write what it has not written yet.
const FLUSH: Duration = Duration::from_secs(2);
/// How long a command inside may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// How long all copies of a machine's sessions may take before it is stopped.
const LAST_COPIES: Duration = Duration::from_mins(1);

/// A command to run inside a machine, without a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exec {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Environment beside what the machine has of its own.
    pub env: BTreeMap<String, String>,
    /// Folder inside; the user's home if absent.
    pub cwd: Option<PathBuf>,
    /// The size of its terminal, if it gets one.
    pub terminal: Option<Size>,
}

/// A command that runs inside a machine. It is hung up when its stream is closed.
#[derive(Debug)]
pub struct Running {
    /// Its standard input and output; shut down for writing to end its input.
    pub stream: UnixStream,
    /// Its standard error; with a terminal nothing comes there.
    pub errors: UnixStream,
    /// How it ended, after all that it printed; an error if its machine was lost sight of.
    pub ended: oneshot::Receiver<Ended>,
    resize: (std::sync::Weak<Core>, String, u32),
}

impl Running {
    /// Changes the size of its terminal.
    pub async fn resize(&self, size: Size) {
        let (core, machine, channel) = &self.resize;
        if let Some(core) = core.upgrade()
            && let Some(link) = core.machine(machine).link_now()
        {
            let _ = link.ask::<()>(Ask::Resize { channel: *channel, size }, BEGIN).await;
        }
    }
}

impl Steward {
    /// A machine runs now: its sessions are looked for, and those that were lost begin again by their policy.
    pub fn machine_up(&self, name: &str) {
        self.core.machine(name).up();
    }

    /// A machine certainly does not run any more: its living sessions are lost.
    pub fn machine_down(&self, name: &str) {
        self.core.machine(name).down(false);
    }

    /// Whether a machine runs cannot be told, and why: its sessions are unknown unless its bridge still answers.
    pub fn machine_unknown(&self, name: &str, why: &str) {
        self.core.machine(name).unknown(why);
    }

    /// A machine is certainly gone for good: its sessions are lost, what was copied of them stays.
    pub fn machine_gone(&self, name: &str) {
        self.core.machine(name).down(true);
    }

    /// A person destroyed a machine, and with it its sessions: none of them begins again, also not in another machine of
    /// that name.
    pub fn machine_destroyed(&self, name: &str) {
        let sessions: Vec<String> = {
            let mut table = self.core.lock();
            let of = table.entries.values_mut().filter(|e| e.session.machine == name);
            of.map(|entry| {
                entry.killed = true;
                entry.session.id.clone()
            })
            .collect()
        };
        self.machine_gone(name);
        for id in sessions {
            let folder = self.core.places.session(&id);
            let ended = folder.exit().ok().flatten();
            if ended.as_ref().is_some_and(|exit| exit.by != EndedBy::Lost) {
                continue;
            }
            let at = ended.map_or_else(now_ms, |exit| exit.at);
            let exit = Exit { code: None, signal: None, at, by: EndedBy::Person, failed: None };
            let unwritten = folder.write_exit(&exit).err();
            self.core.change(&id, |session| {
                crate::record::set_exit(session, exit.clone());
                if let Some(e) = &unwritten {
                    session.warning = Some(e.to_string());
                }
            });
        }
    }

    /// A machine is about to be stopped: what its sessions have printed is copied while it can be. Nothing begins in it
    /// until what this returns is dropped, after it was said what has become of the machine.
    pub async fn machine_stopping(&self, name: &str) -> Stopping {
        let machine = self.core.machine(name);
        // Without a stream one is made for the copies first.
        let stopping = machine.link_now().map(|_| machine.stopping());
        let sessions: Vec<String> = {
            let table = self.core.lock();
            let of = table.entries.values().filter(|e| e.session.machine == name);
            of.filter(|e| e.session.exit.is_none()).map(|e| e.session.id.clone()).collect()
        };
        let mut copies = JoinSet::new();
        for id in sessions {
            let core = self.core.clone();
            copies.spawn(async move { core.copy(&id).await });
        }
        let _ = timeout(LAST_COPIES, async { while copies.join_next().await.is_some() {} }).await;
        stopping.unwrap_or_else(|| machine.stopping())
    }

    /// Brings what lies on this host of a session up to date, before its history is read from its folder. A sentence
    /// if it may be behind: the machine cannot be reached. For sessions of this host there is nothing to do.
    ///
    /// # Errors
    /// If there is no such session.
    pub async fn sync(&self, name: &str) -> Result<Option<String>, StewardError> {
        let id = self.core.lock().find(name)?;
        Ok(self.core.copy(&id).await.err())
    }

    /// Runs a command inside a machine, without a session.
    ///
    /// # Errors
    /// If the machine cannot be reached, or the command does not start.
    pub async fn exec(&self, machine: &str, exec: Exec) -> Result<Running, StewardError> {
        let core = &self.core;
        let target = core.machine(machine);
        let link = target.link().await?;
        let pair = || UnixStream::pair().map_err(StewardError::io("make a stream"));
        let ((stream, inner), (errors, inner_errors)) = (pair()?, pair()?);
        let (own, second) = (link.join(inner, true), link.join(inner_errors, true));
        let ended = link.end_of(own.number());
        let ask = Ask::Exec(Box::new(stead_wire::bridge::Exec {
            channel: own.number(),
            errors: second.number(),
            command: exec.command,
            env: exec.env,
            cwd: exec.cwd,
            terminal: exec.terminal,
        }));
        if let Err(e) = link.ask::<()>(ask, BEGIN).await {
            link.part(own.number());
            link.part(second.number());
            return Err(match e {
                AskError::Refused(why) => StewardError::failed(why),
                AskError::Broken(_) => target.unreachable(),
            });
        }
        let resize = (Arc::downgrade(core), machine.to_owned(), own.number());
        for pipe in [own, second] {
            let link = link.clone();
            target.keep(tokio::spawn(async move { pipe.run(&link).await }).abort_handle());
        }
        Ok(Running { stream, errors, ended, resize })
    }
}

impl Machine {
    /// Removes a session that has ended inside, too; if the machine cannot be told now, when it can be.
    pub async fn remove(self: &Arc<Self>, core: &Core, id: &str) -> Result<(), StewardError> {
        let Some(link) = self.link_now() else {
            self.mark_removed(core, id);
            return Ok(());
        };
        match link.ask::<()>(Ask::Remove { id: id.to_owned() }, BEGIN).await {
            Ok(()) => Ok(()),
            Err(AskError::Refused(why)) => Err(StewardError::failed(format!(
                "it cannot be removed inside \"{}\": {why}",
                self.name
            ))),
            Err(AskError::Broken(_)) => {
                self.mark_removed(core, id);
                Ok(())
            }
        }
    }

    /// Gives a session its other name inside, too. One that cannot be told now gets it with its next life.
    pub fn rename(self: &Arc<Self>, id: &str, name: &str) {
        let Some(link) = self.link_now() else { return };
        let ask = Ask::Rename { id: id.to_owned(), name: name.to_owned() };
        let tell = async move {
            let _ = link.ask::<()>(ask, BEGIN).await;
        };
        self.keep(tokio::spawn(tell).abort_handle());
    }
}

impl Core {
    /// Brings the copy of a session up to date, if it is in a machine.
    ///
    /// # Errors
    /// In a sentence, why it may be behind.
    pub async fn copy(&self, id: &str) -> Result<(), String> {
        let Some(machine) = self.machine_of(id) else { return Ok(()) };
        let session = self.lock().entries.get(id).map(|e| e.session.clone());
        let living = session.is_some_and(|s| s.exit.is_none());
        if living {
            let _ = self.ask(id, HoldAsk::Flush, FLUSH).await;
        }
        let copied = machine.copy(id).await;
        // Of one that has ended everything may have been copied before.
        if !living && copied.is_err() && self.is_copied(id) { Ok(()) } else { copied }
    }

    fn is_copied(&self, id: &str) -> bool {
        let places: &Places = &self.places;
        places.session(id).path().join("copied").exists()
    }

    /// Whether any session of a machine lives, or begins again once the machine runs.
    pub fn has_sessions_in(&self, name: &str) -> bool {
        let begins_again = |s: &Session| {
            use stead_wire::session::EndedBy::{Lost, Person};
            match &s.exit {
                None => true,
                Some(exit) => {
                    (s.restart == Restart::Resume && exit.by == Lost)
                        || (s.restart == Restart::Always && exit.by != Person)
                }
            }
        };
        let table = self.lock();
        let mut of = table.entries.values().filter(|e| e.session.machine == name);
        of.any(|e| begins_again(&e.session))
    }
}
