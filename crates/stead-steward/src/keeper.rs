//! The task that looks after one session: it stays connected to the hold, notices its end, and begins the
//! next life where the policy says so.

use crate::link::{Link, LinkError};
use crate::record::{set_exit, take_end};
use crate::remote::{self, Alive};
use crate::restart::Decision;
use crate::shared::Core;
use crate::waitable::waitable;
use serde_json::Value;
use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use stead_hold::clock::now_ms;
use stead_wire::message::{Answer, Ask, Purpose, ToClient};
use stead_wire::session::{EndedBy, Exit, Restart, Run, Session};
use stead_wire::status::Status;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// How long a session without a first life is taken for one that is being started.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long a hold may take to answer before its status is unknown.
pub const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_mins(1);
/// Quick retries while a socket is being made or taken away, before a person is told.
const QUICK_RETRIES: u32 = 6;

/// A question to the session's hold.
#[derive(Debug)]
pub struct Request {
    pub ask: Ask,
    pub answer: oneshot::Sender<Result<Value, String>>,
}

/// What comes next for a session.
enum Next {
    /// Look at it again.
    Again,
    /// There is nothing to look after.
    Rest,
}

pub struct Keeper {
    core: Arc<Core>,
    id: String,
    requests: mpsc::Receiver<Request>,
    wake: Arc<Notify>,
}

impl Keeper {
    pub fn new(
        core: Arc<Core>,
        id: String,
        requests: mpsc::Receiver<Request>,
        wake: Arc<Notify>,
    ) -> Self {
        Keeper { core, id, requests, wake }
    }

    /// Looks after the session until there is nothing left to do.
    pub async fn run(mut self) {
        loop {
            self.core.looked(&self.id);
            match self.look().await {
                Next::Rest if self.core.rest(&self.id) => return,
                Next::Again | Next::Rest => {}
            }
        }
    }

    async fn look(&mut self) -> Next {
        let folder = self.core.places.session(&self.id);
        match folder.run() {
            Ok(Some(run)) => match self.core.alive(&self.id, &run) {
                Alive::Yes => self.follow(Some(&run)).await,
                Alive::No => self.settle(Some(run)).await,
                Alive::Unknown(why) => self.out_of_reach(&why).await,
            },
            Ok(None) => {
                if let Some(machine) = self.core.machine_of(&self.id)
                    && let Alive::Unknown(why) = machine.alive(&self.id, None)
                {
                    return self.out_of_reach(&why).await;
                }
                self.unstarted().await
            }
            // Whether its hold lives cannot be told from the folder; the socket may still answer.
            Err(e) => {
                self.core.change(&self.id, |s| s.warning = Some(e.to_string()));
                self.follow(None).await
            }
        }
    }

    /// Its machine cannot be asked: nothing is known until it can be.
    async fn out_of_reach(&mut self, why: &str) -> Next {
        let asked = self.core.machine_of(&self.id).is_some_and(|machine| machine.asked());
        let ended = folder_has_end(&self.core, &self.id);
        // While it is asked for the first time, the last word stands.
        if asked && !ended {
            self.unknown(why);
        }
        loop {
            tokio::select! {
                () = self.wake.notified() => return Next::Again,
                Some(request) = self.requests.recv() => {
                    let _ = request.answer.send(Err(why.to_owned()));
                }
            }
        }
    }

    /// There is no life yet. Somebody may be starting the first one just now; if nobody is, there will be none.
    async fn unstarted(&mut self) -> Next {
        self.unknown("it is being started");
        tokio::select! {
            () = self.wake.notified() => return Next::Again,
            () = sleep(START_PATIENCE) => {}
        }
        let folder = self.core.places.session(&self.id);
        if !folder.path().exists() || !matches!(folder.run(), Ok(None)) {
            return Next::Again;
        }
        let failed = Some("its start was cut short".to_owned());
        let exit = Exit { code: None, signal: None, at: now_ms(), by: EndedBy::Lost, failed };
        let unwritten = folder.write_exit(&exit).err();
        self.core.change(&self.id, |session| {
            set_exit(session, exit);
            if let Some(e) = &unwritten {
                session.warning = Some(e.to_string());
            }
        });
        Next::Rest
    }

    /// Has a living hold put its socket back, if that is gone.
    fn mend_socket(&self, run: Option<&Run>) {
        if let Some(run) = run
            && !self.core.places.hold_socket(&self.id).exists()
        {
            match self.core.machine_of(&self.id) {
                Some(machine) => machine.mend(&self.core, &self.id),
                None => self.core.holds.mend(run),
            }
        }
    }

    fn unknown(&self, why: &str) {
        self.core.change(&self.id, |session| {
            session.status = Status::unknown(now_ms(), why);
        });
    }

    /// Stays connected to the hold for as long as it lives.
    async fn follow(&mut self, run: Option<&Run>) -> Next {
        let socket = self.core.places.hold_socket(&self.id);
        let process =
            run.map_or("process not known".to_owned(), |run| format!("process {}", run.hold));
        let mut failures = 0;
        loop {
            let error = match Link::open(&socket, Purpose::Watch).await {
                Ok(link) => {
                    let (answered, error) = self.converse(link, run, &process).await;
                    if answered {
                        failures = 0;
                    }
                    error
                }
                Err(e) => Some(e),
            };
            self.mend_socket(run);
            // While the connection stands, its end tells of the hold's; a descriptor for it is needed only now.
            let inside = self.core.machine_of(&self.id).is_some();
            let ends = match run.map(|run| self.core.holds.watch(run)) {
                // The bridge tells of the end of a hold inside.
                _ if inside => match run.map(|run| self.core.alive(&self.id, run)) {
                    Some(Alive::No | Alive::Unknown(_)) => return Next::Again,
                    Some(Alive::Yes) | None => None,
                },
                Some(None) if run.is_none_or(|run| !self.core.holds.alive(run)) => {
                    return Next::Again;
                }

                Some(Some(fd)) => waitable(fd).ok(),
                // That no descriptor was to be had says nothing of the hold.
                Some(None) | None => None,
            };
            failures += 1;
            let absent = matches!(&error, Some(LinkError::Io(e)) if matches!(e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused));
            let patient = failures > QUICK_RETRIES;
            if patient {
                let why = match &error {
                    _ if absent && run.is_none() => return Next::Rest,
                    _ if absent => format!("its hold ({process}) runs, but has no socket"),
                    Some(e) => format!("its hold ({process}) cannot be asked: {e}"),
                    None => format!("its hold ({process}) closes the connection"),
                };
                self.unknown(&why);
            }
            let retry = (FIRST_RETRY * (1 << failures.min(20))).min(LAST_RETRY);
            // A socket that is not there is announced when it comes; anything else is tried again.
            let again = async {
                if patient && absent { pending::<()>().await } else { sleep(retry).await }
            };
            tokio::select! {
                () = readable(ends.as_ref()) => return Next::Again,
                () = self.wake.notified() => self.core.looked(&self.id),
                () = again => {}
                Some(request) = self.requests.recv() => {
                    let _ = request.answer.send(Err("its hold cannot be reached".into()));
                }
            }
        }
    }

    /// Talks with the hold until the connection ends. Says whether the hold answered at all.
    async fn converse(
        &mut self,
        mut link: Link,
        run: Option<&Run>,
        process: &str,
    ) -> (bool, Option<LinkError>) {
        let wake = self.wake.clone();
        let mut talk = Talk { waiting: HashMap::new(), last: 0, answered: false, said_bye: None };
        let mut due = Some(Instant::now() + PATIENCE);
        if let Err(e) = talk.ask(&mut link, Ask::Info, None).await {
            return (false, Some(e.into()));
        }
        loop {
            let late = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let result = tokio::select! {
                message = link.read() => match message {
                    Ok(Some(message)) => self.heard(&mut talk, &mut link, message).await,
                    Ok(None) => return (talk.answered, talk.said_bye.map(refusal)),
                    Err(e) => return (talk.answered, Some(e)),
                },
                Some(request) = self.requests.recv() => {
                    talk.ask(&mut link, request.ask, Some(request.answer)).await.map_err(Into::into)
                }
                () = wake.notified() => {
                    self.core.looked(&self.id);
                    self.mend_socket(run);
                    Ok(())
                }
                () = late => {
                    self.unknown(&format!("its hold ({process}) does not answer"));
                    due = None;
                    Ok(())
                }
            };
            if let Err(e) = result {
                return (talk.answered, Some(e));
            }
            if talk.answered {
                due = None;
            }
        }
    }

    async fn heard(
        &mut self,
        talk: &mut Talk,
        link: &mut Link,
        message: ToClient,
    ) -> Result<(), LinkError> {
        match message {
            ToClient::Status(mut status) => {
                if self.core.machine_of(&self.id).is_some() {
                    remote::check_status(&mut status);
                }
                self.core.change(&self.id, |session| session.status = status);
                // What else has changed with it: the title, the report, who is attached.
                talk.ask(link, Ask::Info, None).await?;
            }
            ToClient::Size(note) => {
                self.core.change(&self.id, |session| session.size = note.size);
                // Somebody has come or gone, too.
                talk.ask(link, Ask::Info, None).await?;
            }
            ToClient::Exited(exit) => {
                // Written down before the end is told; an answer of the hold that is still under way would come
                // too late for somebody who has waited for the end and asks now.
                let folder = self.core.places.session(&self.id);
                let again = self.core.change(&self.id, |session| {
                    take_end(session, &folder, exit.clone());
                });
                // A hold that lingers for a reader stands in the way of the next life.
                if again.is_some_and(|s| s.restart == Restart::Always) && exit.by != EndedBy::Person
                {
                    talk.ask(link, Ask::Ack, None).await?;
                }
            }
            ToClient::Answer(answer) => self.answered(talk, answer),
            ToClient::Bye(bye) => talk.said_bye = Some(bye.text),
            _ => {}
        }
        Ok(())
    }

    fn answered(&self, talk: &mut Talk, answer: Answer) {
        let Some(waiting) = talk.waiting.remove(&answer.id) else { return };
        talk.answered = true;
        let result = match (answer.error, answer.ok) {
            (Some(why), _) => Err(why),
            (None, ok) => Ok(ok.unwrap_or(Value::Null)),
        };
        if let (true, Ok(value)) = (waiting.is_info, &result)
            && let Ok(mut session) = serde_json::from_value::<Session>(value.clone())
            && session.id == self.id
        {
            session.warning = session.warning.or_else(|| self.core.note(&self.id));
            let inside = self.core.machine_of(&self.id).is_some();
            self.core.change(&self.id, |known| {
                if inside {
                    session = remote::check_session(known, session);
                }
                // An answer that was under way while the session was renamed has its old name.
                session.name = std::mem::take(&mut known.name);
                *known = session;
            });
        }
        if let Some(reply) = waiting.reply {
            let _ = reply.send(result);
        }
    }

    /// The hold is gone: finds out how it ended and does what the policy says.
    async fn settle(&mut self, run: Option<Run>) -> Next {
        let delay = {
            let Some(gate) = self.core.gate(&self.id) else { return Next::Rest };
            let _gate = gate.lock().await;
            match self.core.close_life(&self.id, run.as_ref()) {
                None => return Next::Again,
                Some(Decision::Stay) => return Next::Rest,
                Some(Decision::After(delay)) if delay.is_zero() => {
                    // What went wrong is in the session; the next look decides about it.
                    let _ = self.core.begin_life(&self.id).await;
                    return Next::Again;
                }
                Some(Decision::After(delay)) => delay,
            }
        };
        let due = sleep(delay);
        tokio::pin!(due);
        loop {
            tokio::select! {
                () = &mut due => break,
                () = self.wake.notified() => {
                    self.core.looked(&self.id);
                    let folder = self.core.places.session(&self.id);
                    let dead = |run: &Run| self.core.alive(&self.id, run) == Alive::No;
                    if !folder.path().exists() || folder.run().ok().flatten().is_some_and(|r| !dead(&r)) {
                        return Next::Again;
                    }
                }
                Some(request) = self.requests.recv() => {
                    let _ = request.answer.send(Err("it has ended".into()));
                }
            }
        }
        let Some(gate) = self.core.gate(&self.id) else { return Next::Rest };
        let _gate = gate.lock().await;
        let dead = |run: Run| self.core.alive(&self.id, &run) == Alive::No;
        let folder = self.core.places.session(&self.id);
        if folder.run().is_ok_and(|run| run.is_none_or(dead))
            && !self.core.was_killed(&self.id)
            && self.core.could_begin(&self.id)
        {
            let _ = self.core.begin_life(&self.id).await;
        }
        Next::Again
    }
}

impl Core {
    /// Writes down how a life ended, if nobody has, and decides what follows. `None`: it has not ended. The
    /// session's gate must be held.
    fn close_life(&self, id: &str, run: Option<&Run>) -> Option<Decision> {
        let folder = self.places.session(id);
        if !folder.path().exists() {
            return Some(Decision::Stay);
        }
        let now = folder.run().ok().flatten();
        if now.as_ref() != run || now.is_some_and(|run| self.alive(id, &run) != Alive::No) {
            return None;
        }
        let mut warning = None;
        let exit = match folder.exit() {
            Ok(Some(exit)) => exit,
            Ok(None) => {
                let by = if self.was_killed(id) { EndedBy::Person } else { EndedBy::Lost };
                let exit = Exit { code: None, signal: None, at: now_ms(), by, failed: None };
                warning = folder.write_exit(&exit).err();
                exit
            }
            Err(e) => {
                // How it ended cannot be told, so neither can it be told that it may start again.
                self.change(id, |session| {
                    session.status = Status::unknown(now_ms(), e.to_string());
                    session.warning = Some(e.to_string());
                });
                return Some(Decision::Stay);
            }
        };
        let session = self.change(id, |session| {
            if session.exit.as_ref() != Some(&exit) {
                take_end(session, &folder, exit.clone());
            }
            if let Some(e) = &warning {
                session.warning = Some(e.to_string());
            }
        })?;
        if !self.could_begin(id) {
            // Its machine does not run: what follows is decided when it does.
            return Some(Decision::Stay);
        }
        let lived = run.map_or(0, |run| exit.at.saturating_sub(run.started));
        let decision = self.decide(id, session.restart, &exit, Duration::from_millis(lived));
        if let Decision::After(delay) = decision
            && !delay.is_zero()
        {
            self.change(id, |session| {
                session.status.detail = format!("{exit}; starts again after {} s", delay.as_secs());
            });
        }
        Some(decision)
    }
}

/// Whether it is known how a session ended.
fn folder_has_end(core: &Core, id: &str) -> bool {
    core.places.session(id).exit().is_ok_and(|exit| exit.is_some())
}

struct Waiting {
    is_info: bool,
    reply: Option<oneshot::Sender<Result<Value, String>>>,
}

/// The questions under way on one connection.
struct Talk {
    waiting: HashMap<u32, Waiting>,
    last: u32,
    answered: bool,
    said_bye: Option<String>,
}

impl Talk {
    async fn ask(
        &mut self,
        link: &mut Link,
        ask: Ask,
        reply: Option<oneshot::Sender<Result<Value, String>>>,
    ) -> io::Result<()> {
        self.last = self.last.wrapping_add(1);
        let is_info = matches!(ask, Ask::Info);
        self.waiting.insert(self.last, Waiting { is_info, reply });
        link.ask(self.last, ask).await
    }
}

fn refusal(text: String) -> LinkError {
    LinkError::Io(io::Error::other(text))
}

async fn readable(fd: Option<&AsyncFd<OwnedFd>>) {
    match fd {
        // An error means that the descriptor is of no use; the caller looks again either way.
        Some(fd) => drop(fd.readable().await),
        None => pending().await,
    }
}
