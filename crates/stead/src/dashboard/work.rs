//! The threads that talk to the steward: one listens, one has things done. Both start it when it is not there.

use super::mailbox::Message;
use super::model::{Action, Deed, Event, Trouble, Turn};
use crate::commands::is_scratch;
use crate::failure::Failure;
use crate::resolve::path_part;
use crate::steward::Steward;
use hyper::Method;
use miette::Diagnostic;
use serde::Serialize;
use std::sync::mpsc;
use std::time::Duration;
use stead_hold::folder::Places;
use stead_machine::model::Phase;
use stead_machine::operation::{Event as Happened, EventKind};
use stead_steward::machines::Line;
use stead_steward::machines::api::{Make, Shown};
use stead_wire::api::{self, Kill, Rename};
use stead_wire::session::Session;

/// How long a steward that went away is left to come back by itself before it is started.
const GRACE: Duration = Duration::from_secs(1);

/// The longest time between two attempts to start it.
const LONGEST: Duration = Duration::from_secs(30);

/// Sends what the steward says to `tell` until that returns `false`. Reconnects for as long.
pub fn listen(places: Places, tell: impl Fn(Message) -> bool + Send + 'static) {
    let tell = move |event| tell(Message::Event(event));
    std::thread::spawn(move || {
        let mut pause = GRACE;
        loop {
            let why = match hear(&places, &tell) {
                Ok(true) => {
                    pause = GRACE;
                    "its event stream has ended".to_owned()
                }
                Ok(false) => return,
                Err(failure) => failure.to_string(),
            };
            if !tell(Event::Lost(why)) {
                return;
            }
            // Nothing else says that a socket is listened on again; it is looked for only while it is gone.
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    });
}

/// One connection. `true`: the steward ended it; `false`: nobody wants to hear.
fn hear(places: &Places, tell: &impl Fn(Event) -> bool) -> Result<bool, Failure> {
    let steward = Steward::new(places.clone())?;
    // First the stream, then the list: what happens between the two is told twice rather than never.
    let lines = steward.lines("/v1/events")?;
    if !tell(Event::Listed(steward.get("/v1/sessions")?)) {
        return Ok(false);
    }
    for line in lines {
        // Events of a later version are skipped.
        if let Ok(event) = serde_json::from_slice::<api::Event>(&line)
            && !tell(Event::Happened(Box::new(event)))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends the list of machines to `tell`, and again whenever something was done to one. That the steward is gone is told by
/// [`listen`].
pub fn listen_to_machines(places: Places, tell: impl Fn(Message) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let mut pause = GRACE;
        loop {
            match hear_of_machines(&places, &tell) {
                Ok(true) => pause = GRACE,
                Ok(false) => return,
                Err(_) => {}
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    });
}

/// As [`hear`].
fn hear_of_machines(places: &Places, tell: &impl Fn(Message) -> bool) -> Result<bool, Failure> {
    let steward = Steward::new(places.clone())?;
    let lines = steward.lines("/v1/operations/events")?;
    let list = || -> Result<bool, Failure> {
        Ok(tell(Message::Event(Event::Machines(steward.get("/v1/machines")?))))
    };
    if !list()? {
        return Ok(false);
    }
    for line in lines {
        let event = serde_json::from_slice::<Happened>(&line);
        let news = event
            .is_ok_and(|e| matches!(e.what, EventKind::Begun { .. } | EventKind::Ended { .. }));
        if news && !list()? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Has actions done one after another, and says how each went. What is done to machines takes long and holds up nothing.
pub fn worker(
    places: Places,
    tell: impl Fn(Message) -> bool + Clone + Send + 'static,
) -> mpsc::Sender<Action> {
    let (asked, actions) = mpsc::channel::<Action>();
    std::thread::spawn(move || {
        for action in actions {
            let (places, tell) = (places.clone(), tell.clone());
            let apart = match &action {
                Action::Create(create) => create.machine.is_some(),
                Action::Turn(..) => true,
                Action::To(..) => false,
            };
            let work = move || {
                let result = Steward::new(places).and_then(|steward| act(&steward, &action));
                let result = result.map_err(|failure| trouble(&failure));
                tell(Message::Event(Event::Done(action, result)))
            };
            if apart {
                std::thread::spawn(work);
            } else if !work() {
                return;
            }
        }
    });
    asked
}

fn act(steward: &Steward, action: &Action) -> Result<Option<Box<Session>>, Failure> {
    let session: Session = match action {
        Action::Create(create) => {
            if let Some(machine) = &create.machine {
                ready(steward, machine)?;
            }
            steward.post("/v1/sessions", create)?
        }
        Action::Turn(name, turn) => {
            let what = if *turn == Turn::Up { "up" } else { "down" };
            done(steward, &format!("/v1/machines/{}/{what}", path_part(name)), None::<&()>)?;
            return Ok(None);
        }
        Action::To(subject, deed) => {
            let path = format!("/v1/sessions/{}", subject.id);
            match deed {
                Deed::Kill => steward.post(&format!("{path}/kill"), &Kill::default())?,
                Deed::Restart => steward.post(&format!("{path}/restart"), &())?,
                Deed::Rename(name) => {
                    steward.post(&format!("{path}/rename"), &Rename { name: name.clone() })?
                }
                Deed::Remove => {
                    steward.delete(&path)?;
                    return Ok(None);
                }
            }
        }
    };
    Ok(Some(Box::new(session)))
}

/// Has a machine run that is stopped, or that needs no stead file.
fn ready(steward: &Steward, name: &str) -> Result<(), Failure> {
    let path = format!("/v1/machines/{}", path_part(name));
    match steward.get::<Shown>(&path) {
        Ok(shown) if shown.phase == Phase::Stopped => {
            done(steward, &format!("{path}/up"), None::<&()>)
        }
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some("not-found") && is_scratch(name) => {
            let body = Make { name: name.to_owned(), declared: None };
            done(steward, "/v1/machines", Some(&body))
        }
        Err(failure) => Err(failure),
    }
}

/// Has work done that tells how far it is, and waits for its end.
fn done(steward: &Steward, path: &str, body: Option<&impl Serialize>) -> Result<(), Failure> {
    for line in steward.lines_of(Method::POST, path, body)? {
        match serde_json::from_slice(&line) {
            Ok(Line::Done { .. }) => return Ok(()),
            Ok(Line::Problem { problem }) => return Err(problem.into()),
            // An event, or one of a later version.
            Ok(Line::Event(_)) | Err(_) => {}
        }
    }
    Err(Failure::failed("the steward went away before it was done"))
}

fn trouble(failure: &Failure) -> Trouble {
    let help = Diagnostic::help(failure).map(|help| help.to_string());
    Trouble { message: failure.to_string(), help }
}
