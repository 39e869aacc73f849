//! What the dashboard shows, and what events do to it. No input or output.

use super::form::Form;
use super::input::Input;
use super::list::{self, Pick, Row};
use crossterm::event::KeyEvent;
use std::path::PathBuf;
use stead_steward::machines::api::Shown;
use stead_wire::api;
use stead_wire::session::{Session, Size};

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The steward's whole list.
    Listed(Vec<Session>),
    /// All machines.
    Machines(Vec<Shown>),
    /// The steward says that something happened.
    Happened(Box<api::Event>),
    /// The steward is gone, and why.
    Lost(String),
    /// What was asked for is done, or why not.
    Done(Action, Result<Option<Box<Session>>, Trouble>),
    /// Something to tell the person.
    Told(Notice),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// One line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Something to be done outside of the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Leave the dashboard.
    Quit,
    /// Draw everything anew.
    Redraw,
    /// Show this session instead of the dashboard until the person leaves it.
    Attach(String),
    /// Have the steward do something.
    Do(Action),
}

/// Something for the steward to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make a session.
    Create(Box<api::Create>),
    /// Do something to a session that is there.
    To(Subject, Deed),
    /// Start a machine, or stop it.
    Turn(String, Turn),
}

/// What is done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Start it.
    Up,
    /// Stop it.
    Down,
}

/// A session that something is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its id.
    pub id: String,
    /// The name it had when the person said so.
    pub name: String,
}

/// What is done to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// End it.
    Kill,
    /// Remove it with its history.
    Remove,
    /// Start it again.
    Restart,
    /// Give it this name.
    Rename(String),
}

/// What keys mean at present.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Choose a session.
    List,
    /// Type a filter.
    Filter(Input),
    /// Answer yes or no.
    Confirm(Subject, Deed),
    /// Answer whether this machine is to be stopped.
    Stop(String),
    /// Type another name.
    Rename(Subject, Input),
    /// Fill in a new session.
    New(Form),
    /// Read about the keys.
    Help,
}

/// One line for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
}

impl Notice {
    /// Something that went well.
    pub fn good(text: impl Into<String>) -> Self {
        Notice { text: text.into(), bad: false }
    }

    /// Something that went wrong.
    pub fn bad(text: impl Into<String>) -> Self {
        Notice { text: text.into(), bad: true }
    }
}

impl From<Trouble> for Notice {
    fn from(trouble: Trouble) -> Self {
        match trouble.help {
            Some(help) => Notice::bad(format!("{} ({help})", trouble.message)),
            None => Notice::bad(trouble.message),
        }
    }
}

/// The session whose screen is shown beside the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// Which of its lives.
    pub life: u32,
    /// Whether it has ended: its last screen is shown then.
    pub ended: bool,
    /// Its terminal's size.
    pub size: Size,
}

/// Everything that a frame is drawn from, but for the preview's picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The sessions, in no order.
    pub sessions: Vec<Session>,
    /// The machines, in order of names, this host first.
    pub machines: Vec<Shown>,
    /// What is selected.
    pub selected: Option<Pick>,
    /// What the list is narrowed to.
    pub filter: String,
    /// What keys mean at present.
    pub mode: Mode,
    /// Whether the preview is wanted.
    pub preview: bool,
    /// What the footer says until the next key.
    pub notice: Option<Notice>,
    /// Why the steward is not there, while it is not.
    pub lost: Option<String>,
    /// The time; milliseconds since the Unix epoch.
    pub now: u64,
    /// The folder in which new sessions start unless told otherwise.
    pub folder: PathBuf,
    /// The person's home, for `~` in the form.
    pub home: Option<PathBuf>,
    /// The agent that the form offers first.
    pub agent: usize,
    /// The selected line, to stay near it when its session goes.
    pub(super) line: usize,
}

impl Model {
    /// A model of these sessions.
    pub fn new(sessions: Vec<Session>, folder: PathBuf, now: u64) -> Self {
        let mut model = Model {
            sessions,
            machines: Vec::new(),
            selected: None,
            filter: String::new(),
            mode: Mode::List,
            preview: true,
            notice: None,
            lost: None,
            now,
            folder,
            home: None,
            agent: 0,
            line: 0,
        };
        model.settle();
        model
    }

    /// The sessions that are shown, in order.
    pub fn shown(&self) -> Vec<&Session> {
        list::shown(&self.sessions, &self.filter)
    }

    /// The selected session.
    pub fn current(&self) -> Option<&Session> {
        let Some(Pick::Session(id)) = &self.selected else { return None };
        self.sessions.iter().find(|s| s.id == *id)
    }

    /// The selected machine, if it is not one of its sessions that is selected.
    pub fn machine(&self) -> Option<&Shown> {
        let Some(Pick::Machine(name)) = &self.selected else { return None };
        self.machines.iter().find(|m| m.name == *name)
    }

    /// The lines of the list.
    pub fn rows(&self) -> Vec<Row<'_>> {
        list::rows(&self.shown(), &self.machines, &self.filter)
    }

    /// What can be selected, in the order of the lines.
    pub(super) fn picks(&self) -> Vec<Pick> {
        self.rows().iter().filter_map(Row::pick).collect()
    }

    /// Whose screen the preview should show, if it is wanted.
    pub fn target(&self) -> Option<Target> {
        let session = self.current().filter(|_| self.preview)?;
        let (id, life) = (session.id.clone(), session.life);
        Some(Target { id, life, ended: list::ended(session), size: session.size })
    }

    /// Milliseconds until some shown age is another one.
    pub fn next_tick(&self) -> Option<u64> {
        let ages = self.shown().into_iter().map(|s| list::until_next_age(list::since(s), self.now));
        ages.min()
    }

    /// Takes in what happened; what is to be done about it comes back.
    pub fn update(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Key(key) => effects.extend(self.key(key)),
            Event::Paste(text) => self.paste(&text),
            Event::Listed(sessions) => {
                self.sessions = sessions;
                self.lost = None;
            }
            Event::Machines(machines) => self.machines = machines,
            Event::Happened(event) => self.happened(*event),
            Event::Lost(why) => self.lost = Some(why),
            Event::Done(action, Ok(session)) => self.done(action, session.map(|s| *s)),
            Event::Done(action, Err(trouble)) => self.failed(&action, trouble),
            Event::Told(notice) => self.notice = Some(notice),
        }
        self.settle();
        effects
    }

    fn happened(&mut self, event: api::Event) {
        match event {
            api::Event::Session { session } => self.put(session),
            api::Event::Status { id, now, .. } => {
                if let Some(session) = self.sessions.iter_mut().find(|s| s.id == id) {
                    session.status = now;
                }
            }
            api::Event::Removed { id } => self.sessions.retain(|s| s.id != id),
        }
    }

    fn put(&mut self, session: Session) {
        match self.sessions.iter_mut().find(|s| s.id == session.id) {
            Some(known) => *known = session,
            None => self.sessions.push(session),
        }
    }

    fn done(&mut self, action: Action, session: Option<Session>) {
        let name = session.as_ref().map(|s| s.name.clone()).unwrap_or_default();
        match action {
            Action::Create(_) => {
                if matches!(self.mode, Mode::New(_)) {
                    self.mode = Mode::List;
                }
                self.selected = session.as_ref().map(|s| Pick::Session(s.id.clone()));
                // A filter must not hide what was just made.
                self.filter.clear();
                self.notice = Some(Notice::good(format!("{name} runs: enter attaches")));
            }
            Action::Turn(name, turn) => {
                let does = if turn == Turn::Up { "runs" } else { "is stopped" };
                self.notice = Some(Notice::good(format!("{name} {does}")));
            }
            Action::To(subject, Deed::Remove) => {
                self.sessions.retain(|s| s.id != subject.id);
                self.notice = Some(Notice::good(format!("{} is removed", subject.name)));
            }
            Action::To(subject, deed) => {
                let text = match deed {
                    Deed::Rename(to) => format!("{} is {to} now", subject.name),
                    Deed::Restart => format!("{} runs again", subject.name),
                    _ => format!("{} is told to end", subject.name),
                };
                self.notice = Some(Notice::good(text));
            }
        }
        if let Some(session) = session {
            self.put(session);
        }
    }

    fn failed(&mut self, action: &Action, trouble: Trouble) {
        if let (Action::Create(_), Mode::New(form)) = (action, &mut self.mode) {
            form.busy = false;
            form.error = Some(Notice::from(trouble).text);
        } else {
            self.notice = Some(trouble.into());
        }
    }

    /// Keeps the selection on what is shown, and questions on what is there.
    fn settle(&mut self) {
        if let Mode::Confirm(subject, _) | Mode::Rename(subject, _) = &self.mode
            && !self.sessions.iter().any(|s| s.id == subject.id)
        {
            self.notice = Some(Notice::good(format!("{} is gone", subject.name)));
            self.mode = Mode::List;
        }
        if let Mode::Stop(name) = &self.mode
            && !self.machines.iter().any(|m| m.name == *name)
        {
            self.notice = Some(Notice::good(format!("{name} is gone")));
            self.mode = Mode::List;
        }
        let mut picks = self.picks();
        let at = self.selected.as_ref().and_then(|pick| picks.iter().position(|p| p == pick));
        let line = at.unwrap_or_else(|| self.line.min(picks.len().saturating_sub(1)));
        let selected = (line < picks.len()).then(|| picks.swap_remove(line));
        (self.line, self.selected) = (line, selected);
    }
}
