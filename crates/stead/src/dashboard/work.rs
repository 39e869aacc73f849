//! The threads that talk to the steward: one listens, one has things done. Both start it when it is not there.

use super::mailbox::Message;
use super::model::{Action, Deed, Event, Trouble};
use crate::failure::Failure;
use crate::steward::Steward;
use miette::Diagnostic;
use std::sync::mpsc;
use std::time::Duration;
use stead_hold::folder::Places;
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

/// Has actions done one after another, and says how each went.
pub fn worker(
    places: Places,
    tell: impl Fn(Message) -> bool + Send + 'static,
) -> mpsc::Sender<Action> {
    let (asked, actions) = mpsc::channel::<Action>();
    std::thread::spawn(move || {
        for action in actions {
            let result = Steward::new(places.clone()).and_then(|steward| act(&steward, &action));
            if !tell(Message::Event(Event::Done(
                action,
                result.map_err(|failure| trouble(&failure)),
            ))) {
                return;
            }
        }
    });
    asked
}

fn act(steward: &Steward, action: &Action) -> Result<Option<Box<Session>>, Failure> {
    let session: Session = match action {
        Action::Create(create) => steward.post("/v1/sessions", create)?,
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

fn trouble(failure: &Failure) -> Trouble {
    let help = Diagnostic::help(failure).map(|help| help.to_string());
    Trouble { message: failure.to_string(), help }
}
