//! What keys do.

use super::form::{Form, Step};
use super::input::Input;
use super::list;
use super::model::{Action, Deed, Effect, Mode, Model, Notice, Subject, Turn};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use stead_machine::model::Phase;
use stead_wire::session::{Session, check_name};

/// Lines that page-up and page-down go.
const PAGE: isize = 10;

/// The keys of the list, as the help shows them.
pub const KEYS: [(&str, &str); 12] = [
    ("up down j k", "choose a session, a machine"),
    ("enter", "attach; leave it with ctrl-\\ d"),
    ("n", "new session there"),
    ("u", "start the machine"),
    ("x K", "kill"),
    ("d", "remove it; stop the machine"),
    ("r", "rename"),
    ("/", "filter; esc clears it"),
    ("p", "preview on or off"),
    ("ctrl-l", "draw everything anew"),
    ("?", "this help"),
    ("q ctrl-c", "quit; sessions go on"),
];

impl Model {
    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.notice = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Some(Effect::Quit),
                KeyCode::Char('l') => return Some(Effect::Redraw),
                _ => {}
            }
        }
        match std::mem::replace(&mut self.mode, Mode::List) {
            Mode::List => self.list_key(key),
            Mode::Help => None,
            Mode::Filter(input) => {
                self.filter_key(input, key);
                None
            }
            Mode::Confirm(subject, deed) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Effect::Do(Action::To(subject, deed))),
                _ => None,
            },
            Mode::Stop(name) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(self.turn(name, Turn::Down)),
                _ => None,
            },
            Mode::Rename(subject, input) => self.rename_key(subject, input, key),
            Mode::New(form) => self.form_key(form, key),
        }
    }

    /// Takes pasted text. In the list it means nothing: its letters are not commands.
    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Filter(input) => {
                input.insert(text);
                self.filter = input.text();
            }
            Mode::Rename(_, input) => input.insert(text),
            Mode::New(form) if !form.busy => {
                if let Some(input) = form.input() {
                    input.insert(text);
                }
            }
            _ => {}
        }
    }

    fn list_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if self.move_key(key) {
            return None;
        }
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return None;
        }
        match key.code {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Char('k') => self.go(-1),
            KeyCode::Char('j') => self.go(1),
            KeyCode::Char('g') => self.go(isize::MIN),
            KeyCode::Char('G') => self.go(isize::MAX),
            KeyCode::Char('n') => self.mode = Mode::New(self.form()),
            KeyCode::Char('/') => self.mode = Mode::Filter(Input::new(&self.filter)),
            KeyCode::Char('p') => self.preview = !self.preview,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter | KeyCode::Char('x' | 'K' | 'd' | 'r' | 'u') => {
                return match self.machine() {
                    Some(machine) => {
                        let name = machine.name.clone();
                        self.machine_key(name, key.code)
                    }
                    None => self.session_key(key.code),
                };
            }
            _ => {}
        }
        None
    }

    /// Keys that do something to the selected machine.
    fn machine_key(&mut self, name: String, key: KeyCode) -> Option<Effect> {
        let running = self.machine().is_some_and(|m| m.phase == Phase::Running);
        let stopped = self.machine().is_some_and(|m| m.phase == Phase::Stopped);
        match key {
            KeyCode::Char('u') if running => {
                self.notice = Some(Notice::good(format!("{name} runs already")));
            }
            KeyCode::Char('u') => return Some(self.turn(name, Turn::Up)),
            KeyCode::Char('d') if stopped => {
                self.notice = Some(Notice::bad(format!(
                    "{name} is stopped; stead destroy {name} removes it"
                )));
            }
            KeyCode::Char('d') => self.mode = Mode::Stop(name),
            KeyCode::Enter => self.mode = Mode::New(self.form()),
            _ => {
                self.notice =
                    Some(Notice::bad(format!("{name} is a machine: u starts it, d stops it")));
            }
        }
        None
    }

    /// Has a machine started or stopped, and says so until that is done.
    fn turn(&mut self, name: String, turn: Turn) -> Effect {
        let does = if turn == Turn::Up { "starting" } else { "stopping" };
        self.notice = Some(Notice::good(format!("{does} {name}")));
        Effect::Do(Action::Turn(name, turn))
    }

    /// An empty form for a session where the selection is.
    fn form(&self) -> Form {
        let session = self.current().map(|session| session.machine.as_str());
        let machine = self.machine().map(|machine| machine.name.as_str()).or(session);
        // A machine that is gone can have no more sessions.
        let there = machine.filter(|name| self.machines.iter().any(|m| m.name == *name));
        Form::new(&self.folder, self.agent, there.unwrap_or("host"))
    }

    /// Keys that do something to the selected session.
    fn session_key(&mut self, key: KeyCode) -> Option<Effect> {
        let Some(session) = self.current() else {
            self.notice = Some(Notice::bad("there is no session to do that to: n starts one"));
            return None;
        };
        let subject = subject(session);
        let name = &subject.name;
        match (key, list::ended(session)) {
            (KeyCode::Char('u'), _) => {
                let text = format!("{name} is a session: u starts the machine above it");
                self.notice = Some(Notice::bad(text));
            }
            (KeyCode::Enter, false) => return Some(Effect::Attach(subject.name)),
            (KeyCode::Enter, true) => self.mode = Mode::Confirm(subject, Deed::Restart),
            (KeyCode::Char('r'), _) => {
                let input = Input::new(name);
                self.mode = Mode::Rename(subject, input);
            }
            (KeyCode::Char('d'), true) => self.mode = Mode::Confirm(subject, Deed::Remove),
            (KeyCode::Char('d'), false) => {
                self.notice = Some(Notice::bad(format!("{name} has not ended: x kills it")));
            }
            (_, false) => self.mode = Mode::Confirm(subject, Deed::Kill),
            (_, true) => {
                self.notice = Some(Notice::bad(format!("{name} has ended: d removes it")));
            }
        }
        None
    }

    /// Keys that choose a session without being letters.
    fn move_key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Up => self.go(-1),
            KeyCode::Down => self.go(1),
            KeyCode::Char('p') if control => self.go(-1),
            KeyCode::Char('n') if control => self.go(1),
            KeyCode::PageUp => self.go(-PAGE),
            KeyCode::PageDown => self.go(PAGE),
            KeyCode::Home => self.go(isize::MIN),
            KeyCode::End => self.go(isize::MAX),
            _ => return false,
        }
        true
    }

    fn go(&mut self, by: isize) {
        let picks = self.picks();
        let last = picks.len().saturating_sub(1);
        self.line = self.line.saturating_add_signed(by).min(last);
        self.selected = picks.into_iter().nth(self.line);
    }

    fn filter_key(&mut self, mut input: Input, key: KeyEvent) {
        match key.code {
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter => {}
            _ => {
                // Home and end belong to the text here.
                let moved = !matches!(key.code, KeyCode::Home | KeyCode::End) && self.move_key(key);
                if !moved && input.key(key) {
                    self.filter = input.text();
                }
                self.mode = Mode::Filter(input);
            }
        }
    }

    fn rename_key(&mut self, subject: Subject, mut input: Input, key: KeyEvent) -> Option<Effect> {
        match key.code {
            KeyCode::Esc => return None,
            KeyCode::Enter => {
                let name = input.text().trim().to_owned();
                if name == subject.name {
                    return None;
                }
                match check_name(&name) {
                    Ok(()) => return Some(Effect::Do(Action::To(subject, Deed::Rename(name)))),
                    Err(why) => self.notice = Some(Notice::bad(why)),
                }
            }
            _ => {
                input.key(key);
            }
        }
        self.mode = Mode::Rename(subject, input);
        None
    }

    fn form_key(&mut self, mut form: Form, key: KeyEvent) -> Option<Effect> {
        let mut effect = None;
        match form.key(key) {
            Step::Cancel => return None,
            Step::Edit => {}
            Step::Submit => match form.create(self.home.as_deref()) {
                Ok(create) => {
                    self.agent = form.agent;
                    form.busy = true;
                    form.error = None;
                    effect = Some(Effect::Do(Action::Create(Box::new(create))));
                }
                Err(why) => form.error = Some(why),
            },
        }
        self.mode = Mode::New(form);
        effect
    }
}

fn subject(session: &Session) -> Subject {
    Subject { id: session.id.clone(), name: session.name.clone() }
}
