//! Telling people that a session needs them: at attached terminals, by a program of theirs, at an ntfy topic.

mod command;
mod ntfy;
mod policy;

use crate::settings::{Notify, Settings};
use crate::shared::Core;
use policy::{Notice, Policy};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use stead_hold::clock::steady_ms;
use stead_wire::message::{Ask, Note};
use stead_wire::session::Session;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How long one hold may take to show a note.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that may be worth telling.
#[derive(Debug)]
pub enum News {
    /// A session has moved to another state.
    Moved(Box<Session>),
    /// A session is no more.
    Removed(String),
}

/// Begins to listen to `news`; ends with the steward.
pub fn start(core: &Arc<Core>, news: mpsc::Receiver<News>) {
    let file = SettingsFile { path: core.places.config.join("settings.toml"), seen: Seen::Never };
    tokio::spawn(listen(Arc::downgrade(core), news, file));
}

async fn listen(core: Weak<Core>, mut news: mpsc::Receiver<News>, mut file: SettingsFile) {
    let mut settings = Settings::default().notify;
    let mut policy = Policy::new(settings.clone());
    let mut update = |core: &Core, policy: &mut Policy, settings: &mut Notify| match file.changed()
    {
        None => {}
        Some(Ok(changed)) => {
            policy.set(changed.notify.clone());
            *settings = changed.notify;
        }
        Some(Err(e)) => core.tell(format!("{e}; the settings from before stay in force")),
    };
    if let Some(core) = core.upgrade() {
        update(&core, &mut policy, &mut settings);
    }
    loop {
        let now = steady_ms();
        let due = policy.next(now).map(|at| Duration::from_millis(at.saturating_sub(now)));
        let timer = async {
            match due {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let item = tokio::select! {
            item = news.recv() => match item {
                Some(item) => Some(item),
                None => return,
            },
            () = timer => None,
        };
        let Some(core) = core.upgrade() else { return };
        update(&core, &mut policy, &mut settings);
        match item {
            Some(News::Moved(session)) => policy.moved(steady_ms(), &session),
            Some(News::Removed(id)) => policy.forget(&id),
            None => {}
        }
        for notice in policy.due(steady_ms()) {
            send(&core, &settings, notice);
        }
    }
}

/// Hands a notice to every way of telling; none waits for another.
fn send(core: &Arc<Core>, settings: &Notify, notice: Notice) {
    let notice = Arc::new(notice);
    if settings.desktop {
        tokio::spawn(show(core.clone(), notice.clone()));
    }
    if !settings.command.is_empty() {
        let (core, settings, notice) = (core.clone(), settings.clone(), notice.clone());
        tokio::spawn(async move {
            let patience = Duration::from_secs(settings.command_timeout);
            if let Err(why) = command::run(&settings.command, patience, &notice).await {
                core.tell(format!("the command of [notify] failed: {why}"));
            }
        });
    }
    if let Some(url) = settings.ntfy.clone() {
        let (core, settings) = (core.clone(), settings.clone());
        tokio::spawn(async move {
            if let Err(why) = ntfy::publish(&url, &settings, &notice, "curl").await {
                core.tell(format!("ntfy: {why}"));
            }
        });
    }
}

/// Shows a notice at every attached terminal of any session. A hold without one ignores it.
async fn show(core: Arc<Core>, notice: Arc<Notice>) {
    let note = Note { title: notice.title.clone(), body: notice.body.clone() };
    for id in core.living() {
        // A terminal that cannot be told now is not worth a message of its own.
        let _ = core.ask(&id, Ask::Notify(note.clone()), PATIENCE).await;
    }
}

/// What the settings file looked like when it was read.
#[derive(PartialEq, Eq)]
enum Seen {
    Never,
    Absent,
    At(SystemTime, u64),
}

/// The settings file, read again when it has changed by the time it is needed.
struct SettingsFile {
    path: PathBuf,
    seen: Seen,
}

impl SettingsFile {
    fn changed(&mut self) -> Option<Result<Settings, crate::settings::SettingsError>> {
        let meta = std::fs::metadata(&self.path).ok();
        let stamp = meta.and_then(|meta| Some(Seen::At(meta.modified().ok()?, meta.len())));
        let stamp = stamp.unwrap_or(Seen::Absent);
        if self.seen == stamp {
            return None;
        }
        self.seen = stamp;
        Some(Settings::read(&self.path))
    }
}
